/** The charts of a trade-off: an SVG that stands alone, and a page around it. Drawn by ECharts without a browser. */
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import { budgetWords } from './privacy-options.ts';
import type { PlanChoice, TradeOff } from './privacy-trade-off.ts';

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 1080;
const HEIGHT = 420;

/** @returns an SVG document: noise by rounds and by batch, and ε by round */
export function drawTradeOff({ question, choice, byRounds, byBatch, spent }: TradeOff): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  const panels = [
    panel('Noise σ by rounds', 'rounds', 'log', byRounds.map(pairOf('rounds')), [
      choice.rounds,
      choice.noiseMultiplier,
    ]),
    panel(
      'Noise in the average gradient by batch',
      'rows',
      'log',
      byBatch.map(({ batch, noisePerStep }) => [batch, noisePerStep]),
      [choice.batch, choice.noisePerStep],
    ),
    panel(
      `ε by round (budget ${question.epsilon})`,
      'round',
      'value',
      spent.map(({ round, epsilon }) => [round, epsilon]),
      [choice.rounds, choice.epsilon],
    ),
  ];
  const option: EChartsCoreOption = {
    animation: false,
    backgroundColor: '#ffffff',
    title: panels.map(({ title }, i) => ({ text: title, left: `${3 + i * 33}%`, textStyle: { fontSize: 13 } })),
    grid: panels.map((_, i) => ({ left: `${5 + i * 33}%`, width: '25%', top: 50, bottom: 50 })),
    xAxis: panels.map(({ xAxis }, gridIndex) => ({ ...xAxis, gridIndex })),
    yAxis: panels.map((_, gridIndex) => ({ type: 'value', min: 0, gridIndex })),
    series: panels.flatMap(({ points, chosen }, i) => [
      { type: 'line', data: points, xAxisIndex: i, yAxisIndex: i, showSymbol: false },
      { type: 'line', data: [chosen], xAxisIndex: i, yAxisIndex: i, symbol: 'circle', symbolSize: 9 },
    ]),
  };
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const pairOf =
  (key: 'rounds' | 'batch') =>
  (choice: PlanChoice): [number, number] => [choice[key], choice.noiseMultiplier];

function panel(title: string, name: string, type: 'log' | 'value', points: number[][], chosen: number[]) {
  return { title, points, chosen, xAxis: { type, name, nameLocation: 'middle', nameGap: 28 } };
}

/** @returns a page with the chart and the numbers; everything in it is our own */
export function pageOf(tradeOff: TradeOff, rows: readonly (readonly [string, string])[]): string {
  const table = rows.map(([what, value]) => `<tr><th>${what}</th><td>${value}</td></tr>`).join('\n');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Privacy plan: ${budgetWords(tradeOff.question)}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem; color: #1c1c1c }
  th { text-align: left; font-weight: 500; padding-right: 2rem }
  svg { max-width: 100%; height: auto }
</style>
<h1>Privacy plan: ${budgetWords(tradeOff.question)}</h1>
<table>
${table}
</table>
${drawTradeOff(tradeOff)}
</html>
`;
}
