/** A chart with its legend, and the same values as a table for whoever cannot see or point at the chart. */
import { h, list, panel, setAttribute, setText, svg } from './element.ts';
import type { Part } from './element.ts';
import { createRoundChart } from './round-chart.ts';
import type { ChartData, ChartOptions, ChartSeries } from './round-chart.ts';
import { count } from './words.ts';

export interface ChartPanelOptions extends Omit<ChartOptions, 'onPoint' | 'height'> {
  readonly title: string;
  readonly className: string;
  readonly explanation: string;
  readonly value: (value: number | null | undefined) => string;
  /** What the horizontal axis counts, where that is not the rounds of the session. */
  readonly across?: { readonly column: string; readonly at: (value: number) => string; readonly none: string };
}

const ROUNDS = { column: 'Round', at: (round: number): string => `Round ${count(round)}`, none: 'No round yet' };

export interface ChartPanelData extends ChartData {
  /** Said in place of a chart while there is nothing to draw. */
  readonly empty: string;
  /** Index of the values in the legend while nothing is pointed at; the last by default. */
  readonly shown?: number;
  /** What has to be known of these values beside the explanation. */
  readonly note?: string;
}

interface LegendItem {
  readonly series: ChartSeries;
  readonly value: string;
}

function swatch(kind: ChartOptions['kind'], series: ChartSeries): SVGSVGElement {
  const stroke = `var(${series.colour})`;
  const mark =
    series.points === 'only'
      ? svg('circle', { cx: 13, cy: 6, r: 4.5, fill: 'none', stroke, 'stroke-width': 2.5 })
      : kind === 'lines'
        ? svg('line', {
            x1: 0,
            y1: 6,
            x2: 26,
            y2: 6,
            stroke,
            'stroke-width': series.width + 0.5,
            'stroke-dasharray': series.dash.length === 0 ? null : series.dash.join(' '),
          })
        : svg('rect', { x: 7, y: 0, width: 12, height: 12, rx: 2, fill: stroke });
  return svg('svg', { class: 'swatch', viewBox: '0 0 26 12', width: 26, height: 12, 'aria-hidden': 'true' }, mark);
}

function legendItem(kind: ChartOptions['kind'], first: LegendItem): Part<LegendItem> {
  const value = h('span', { class: 'legend-value' });
  const name = h('span', { class: 'legend-name' });
  return {
    element: h('li', {}, swatch(kind, first.series), name, value),
    update(item) {
      setText(name, item.series.label);
      setAttribute(name, 'title', item.series.label);
      setText(value, item.value);
    },
  };
}

function rowsOf(data: ChartData, value: ChartPanelOptions['value']): HTMLTableRowElement[] {
  return data.rounds
    .map((round, index) =>
      h(
        'tr',
        {},
        h('th', { scope: 'row' }, count(round)),
        ...data.series.map((series) => h('td', {}, value(series.values[index]))),
      ),
    )
    .toReversed();
}

/** @returns a panel that shows series over rounds as a chart or, at the press of a button, as a table. */
export function createChartPanel(options: ChartPanelOptions): Part<ChartPanelData> {
  const across = options.across ?? ROUNDS;
  let data: ChartPanelData = { rounds: [], lastRound: 1, series: [], empty: '' };
  let pointed: number | null = null;
  let asTable = false;
  let headers = '';

  const legend = h('ul', { class: 'legend' });
  const legendRound = h('p', { class: 'legend-round' });
  const updateLegend = list<LegendItem>(
    legend,
    (item) => `${item.series.key} ${item.series.colour} ${item.series.dash.join()}`,
    (item) => legendItem(options.kind, item),
  );
  const showLegend = (): void => {
    const index = pointed ?? data.shown ?? data.rounds.length - 1;
    const round = data.rounds[index];
    setText(legendRound, round === undefined ? across.none : across.at(round));
    updateLegend(data.series.map((series) => ({ series, value: options.value(series.values[index]) })));
  };

  const chart = createRoundChart({
    ...options,
    height: 240,
    onPoint(index) {
      pointed = index;
      showLegend();
    },
  });
  const empty = h('p', { class: 'chart-empty' });
  const head = h('thead');
  const body = h('tbody');
  const table = h(
    'div',
    { class: 'chart-table', role: 'region', tabindex: 0, hidden: true, 'aria-label': `${options.title}, table` },
    h('table', {}, h('caption', { class: 'for-screen-readers' }, options.explanation), head, body),
  );

  const showTable = (): void => {
    const columns = JSON.stringify(data.series.map((series) => series.label));
    if (columns !== headers) {
      headers = columns;
      head.replaceChildren(
        h(
          'tr',
          {},
          h('th', { scope: 'col' }, across.column),
          ...data.series.map((series) => h('th', { scope: 'col' }, series.label)),
        ),
      );
    }
    body.replaceChildren(...rowsOf(data, options.value));
  };

  const toggle = h('button', { type: 'button', class: 'quiet' });
  const show = (): void => {
    const nothing = data.rounds.length === 0;
    setText(empty, data.empty);
    empty.hidden = !nothing || asTable;
    chart.element.hidden = nothing || asTable;
    table.hidden = !asTable;
    const words = asTable ? 'Show as chart' : 'Show as table';
    setText(toggle, words);
    setAttribute(toggle, 'aria-label', `${words}: ${options.title}`);
    if (asTable) showTable();
  };
  toggle.addEventListener('click', () => {
    asTable = !asTable;
    show();
  });

  const note = h('span');
  const element = panel(
    options.title,
    options.className,
    h('p', { class: 'explanation' }, options.explanation, note),
    h('div', { class: 'chart-area' }, chart.element, empty, table),
    h('div', { class: 'legend-box' }, legendRound, legend),
  );
  element.prepend(h('div', { class: 'panel-head' }, element.querySelector('h2'), toggle));

  return {
    element,
    update(next) {
      data = next;
      setText(note, next.note === undefined ? '' : ` ${next.note}`);
      if (pointed !== null && pointed >= next.rounds.length) pointed = null;
      show();
      chart.update(next);
      showLegend();
    },
  };
}
