/** A chart over rounds with uPlot: lines for metrics, stacked bars for durations. Follows width and theme. */
import type { AlignedData, Axis, Options, Series } from 'uplot';
import uPlot from './uplot.js';
import { h } from './element.ts';
import { colour, onThemeChange } from './theme.ts';

export interface ChartSeries {
  readonly key: string;
  readonly label: string;
  /** Custom property of the style sheet, such as `--series-1`. */
  readonly colour: string;
  /** Lengths of dashes and gaps in CSS pixels; empty for a solid line. */
  readonly dash: readonly number[];
  readonly width: number;
  /** `only`: points and no line, as for a plan's own point among curves. `none`: a line without points, as for a limit. */
  readonly points?: 'only' | 'none';
  /** One value for each round; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface ChartData {
  readonly rounds: readonly number[];
  /** The axis ends here, so that it does not grow with every round. */
  readonly lastRound: number;
  readonly series: readonly ChartSeries[];
}

export interface ChartOptions {
  readonly kind: 'lines' | 'stacked-bars';
  readonly height: number;
  /** The value axis for values between these. */
  readonly range: (min: number, max: number) => [number, number];
  readonly axisValue: (value: number) => string;
  /** Called with the index of the round under the pointer; null when the pointer leaves. */
  readonly onPoint: (index: number | null) => void;
}

export interface RoundChart {
  readonly element: HTMLElement;
  update(data: ChartData): void;
}

const font = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const roundSteps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];

/** Values as uPlot wants them. Stacked: each series lies on those before it, and the highest is drawn first. */
function aligned(kind: ChartOptions['kind'], data: ChartData): AlignedData {
  if (kind === 'lines') return [[...data.rounds], ...data.series.map((series) => [...series.values])];
  const sums = data.rounds.map(() => 0);
  const stacked = data.series.map((series) =>
    sums.map((_, index) => (sums[index] = (sums[index] ?? 0) + (series.values[index] ?? 0))),
  );
  return [[...data.rounds], ...stacked.toReversed()];
}

function seriesOptions(kind: ChartOptions['kind'], data: ChartData): Series[] {
  const options = data.series.map((series): Series => {
    const stroke = colour(series.colour);
    if (series.points === 'only') {
      const points = { show: true, size: 13, width: 3, stroke, fill: colour('--panel') };
      return { label: series.label, stroke, width: 0, points };
    }
    if (kind === 'lines') {
      const points = series.points === 'none' ? { show: false } : { size: 3 + series.width, space: 9, fill: stroke };
      return { label: series.label, stroke, width: series.width, dash: [...series.dash], spanGaps: true, points };
    }
    const paths = uPlot.paths.bars?.({ size: [0.7, 36] });
    return { label: series.label, stroke, fill: stroke, width: 0, points: { show: false }, ...(paths && { paths }) };
  });
  return kind === 'lines' ? options : options.toReversed();
}

/** A chart that fills the width of its place and has the same height whatever it shows. */
export function createRoundChart(options: ChartOptions): RoundChart {
  const element = h('div', { class: 'chart', 'aria-hidden': 'true' });
  let data: ChartData = { rounds: [], lastRound: 1, series: [] };
  let plot: uPlot | null = null;
  let drawn = '';

  const build = (): void => {
    plot?.destroy();
    const axis: Axis = {
      stroke: colour('--muted'),
      font,
      grid: { stroke: colour('--grid'), width: 1 },
      ticks: { stroke: colour('--grid'), width: 1, size: 4 },
    };
    const half = options.kind === 'lines' ? 0 : 0.5;
    const plotOptions: Options = {
      width: Math.max(200, element.clientWidth),
      height: options.height,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { show: options.kind === 'lines', size: 7 },
      },
      scales: {
        x: { time: false, range: () => [1 - half, Math.max(2, data.lastRound) + half] },
        // uPlot's types promise numbers, but a scale without any value is asked with null.
        y: { range: (_, min: number | null, max: number | null) => options.range(min ?? 0, max ?? min ?? 0) },
      },
      axes: [
        { ...axis, size: 30, gap: 6, incrs: roundSteps, grid: { show: false } },
        { ...axis, size: 52, gap: 6, space: 36, values: (_, splits) => splits.map(options.axisValue) },
      ],
      series: [{}, ...seriesOptions(options.kind, data)],
      hooks: { setCursor: [(self) => options.onPoint(self.cursor.idx ?? null)] },
    };
    plot = new uPlot(plotOptions, aligned(options.kind, data), element);
  };

  new ResizeObserver(() => {
    if (element.clientWidth === 0) return;
    if (plot === null) build();
    else if (plot.width !== element.clientWidth) {
      plot.setSize({ width: element.clientWidth, height: options.height });
    }
  }).observe(element);
  onThemeChange(() => {
    if (plot !== null) build();
  });

  return {
    element,
    update(next) {
      data = next;
      const series = JSON.stringify(next.series.map(({ key, label, colour: name, dash }) => [key, label, name, dash]));
      if (plot === null || element.clientWidth === 0) {
        drawn = series;
      } else if (series === drawn) {
        plot.setData(aligned(options.kind, next));
      } else {
        drawn = series;
        build();
      }
    },
  };
}
