/** The charts of a trade-off: an SVG that stands alone, and a page around it. Drawn by ECharts without a browser. */
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { LineChart } from 'echarts/charts';
import { GridComponent, TitleComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import { budgetWords } from './privacy-options.ts';
import type { TradeOff } from './privacy-trade-off.ts';

use([LineChart, GridComponent, TitleComponent, SVGRenderer]);

const PANEL_WIDTH = 360;
const HEIGHT = 340;
/** As on the dashboard: a curve is blue, this plan a ring, a limit grey and dotted. */
const CURVE = '#3d82c4';
const INK = '#1d2327';
const MUTED = '#59626a';

interface Panel {
  readonly title: string;
  readonly across: string;
  readonly type: 'log' | 'value';
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly chosen: readonly [x: number, y: number];
  readonly limit?: number;
}

function panelsOf({ question, choice, byRounds, byBatch, spent }: TradeOff): Panel[] {
  return [
    {
      title: 'Noise σ by number of rounds',
      across: 'rounds',
      type: 'log',
      points: byRounds.map(({ rounds, noiseMultiplier }) => [rounds, noiseMultiplier] as const),
      chosen: [choice.rounds, choice.noiseMultiplier],
    },
    {
      title: 'Noise in the average gradient by batch',
      across: 'rows',
      type: 'log',
      points: byBatch.map(({ batch, noisePerStep }) => [batch, noisePerStep] as const),
      chosen: [choice.batch, choice.noisePerStep],
    },
    {
      title: `ε by round, budget ${question.epsilon}`,
      across: 'round',
      type: 'value',
      points: spent.map(({ round, epsilon }) => [round, epsilon] as const),
      chosen: [choice.rounds, choice.epsilon],
      limit: question.epsilon,
    },
  ];
}

/** @returns an SVG document: noise by rounds and by batch, and ε by round */
export const drawTradeOff = (tradeOff: TradeOff): string => draw(panelsOf(tradeOff));

/** Panels side by side. */
function draw(panels: readonly Panel[]): string {
  const width = panels.length * PANEL_WIDTH;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height: HEIGHT });
  const axis = { axisLabel: { color: MUTED, hideOverlap: true }, nameTextStyle: { color: MUTED } };
  const option: EChartsCoreOption = {
    animation: false,
    backgroundColor: '#ffffff',
    title: panels.map(({ title }, i) => ({
      text: title,
      left: i * PANEL_WIDTH + 12,
      top: 8,
      textStyle: { fontSize: 13, color: INK },
    })),
    grid: panels.map((_, i) => ({ left: i * PANEL_WIDTH + 52, width: PANEL_WIDTH - 84, top: 44, bottom: 48 })),
    xAxis: panels.map(({ type, across, points }, gridIndex) => ({
      ...axis,
      type,
      gridIndex,
      name: across,
      nameLocation: 'middle',
      nameGap: 28,
      min: type === 'log' ? points[0]?.[0] : 0,
      max: points.at(-1)?.[0],
      splitLine: { show: false },
      // Powers of ten alone would be few.
      ...(type === 'log' ? { axisLabel: { ...axis.axisLabel, showMinLabel: true, showMaxLabel: true } } : {}),
    })),
    yAxis: panels.map((_, gridIndex) => ({ ...axis, type: 'value', min: 0, gridIndex })),
    series: panels.flatMap(({ points, chosen, limit }, i) => [
      { type: 'line', data: points, xAxisIndex: i, yAxisIndex: i, showSymbol: false, color: CURVE },
      ...(limit === undefined
        ? []
        : [
            {
              type: 'line',
              data: points.map(([x]) => [x, limit]),
              xAxisIndex: i,
              yAxisIndex: i,
              showSymbol: false,
              lineStyle: { type: 'dotted', width: 1.5 },
              color: MUTED,
            },
          ]),
      {
        type: 'line',
        data: [chosen],
        xAxisIndex: i,
        yAxisIndex: i,
        symbol: 'circle',
        symbolSize: 11,
        itemStyle: { color: '#ffffff', borderColor: INK, borderWidth: 2.5 },
        clip: false,
      },
    ]),
  };
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
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
  .charts { display: flex; flex-wrap: wrap }
  svg { max-width: 100%; height: auto }
</style>
<h1>Privacy plan: ${budgetWords(tradeOff.question)}</h1>
<table>
${table}
</table>
<div class="charts">
${panelsOf(tradeOff)
  .map((panel) => `<div role="img" aria-label="${panel.title}">${draw([panel])}</div>`)
  .join('\n')}
</div>
<p>The ring is this plan.</p>
</html>
`;
}
