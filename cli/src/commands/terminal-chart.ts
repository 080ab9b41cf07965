/** Curves for a terminal of 80 columns, without colour. */
import { plot } from 'simple-ascii-chart';

const WIDTH = 62;
const HEIGHT = 13;
const LABELS_ACROSS = 6;
const LABELS_UP = 5;
/** Columns between two labels of the horizontal axis, at least. */
const APART = 6;

type Point = readonly [x: number, y: number];

export interface Curve {
  readonly title: string;
  /** x > 0, ascending. */
  readonly points: readonly Point[];
  /** Shown as ●, for instance the choice among what could be chosen. */
  readonly mark?: Point;
  /** Equal factors are equally far apart on the horizontal axis. */
  readonly isLogarithmic?: boolean;
}

/** @returns lines of at most 80 characters; the vertical axis begins at 0, its labels have three digits */
export function drawCurve({ title, points, mark, isLogarithmic = false }: Curve): string {
  const across = (x: number): number => (isLogarithmic ? Math.log(x) : x);
  const placed = points.map(([x, y]): [number, number] => [across(x), y]);
  const [first, last] = [placed[0], placed.at(-1)];
  if (first === undefined || last === undefined) return `${title}\n(nothing to draw)\n`;
  const highest = Math.max(...points.map(([, y]) => y), mark?.[1] ?? 0);
  const step = niceStep(highest / LABELS_UP);
  const top = Math.ceil(highest / step - 1e-9) * step;
  const width = last[0] - first[0];
  const drawn = plot(alongColumns(placed), {
    title: ` ${title}`,
    width: WIDTH,
    height: HEIGHT,
    // A product may be a hair smaller than what it was rounded up from.
    yRange: [0, Math.max(top, highest)],
    customXAxisTicks: labelled(
      points.map(([x]) => x),
      (x) => (width === 0 ? 0 : ((across(x) - first[0]) / width) * WIDTH),
    ).map(across),
    customYAxisTicks: Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step),
    formatter: (value, { axis }) => (axis === 'x' ? Math.round(isLogarithmic ? Math.exp(value) : value) : short(value)),
    ...(mark === undefined ? {} : { points: [{ x: across(mark[0]), y: mark[1] }], symbols: { point: '●' } }),
  });
  return `${drawn
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n')}\n`;
}

/** A label of three digits: `0.005`, `1e-6`, `20000` */
function short(value: number): number | string {
  const rounded = Number(value.toPrecision(3));
  return rounded !== 0 && (rounded < 1e-3 || rounded >= 1e6) ? rounded.toExponential().replace('+', '') : rounded;
}

/** 1, 2 or 5 times a power of ten, at least this. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10);
}

/** The curve's value in every column, so that it rises where it rises and not in steps from point to point. */
function alongColumns(points: readonly [number, number][]): [number, number][] {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || points.length === 1) return [...points];
  let at = 0;
  return Array.from({ length: WIDTH }, (_, column) => {
    const x = first[0] + ((last[0] - first[0]) * column) / (WIDTH - 1);
    while (at < points.length - 2 && (points[at + 1]?.[0] ?? Infinity) < x) at += 1;
    const [left, right] = [points[at] ?? first, points[at + 1] ?? last];
    return [x, left[1] + ((right[1] - left[1]) * (x - left[0])) / (right[0] - left[0])];
  });
}

/** Of values, those whose labels have room beside each other: the first, the last and some between. */
function labelled(values: readonly number[], columnOf: (value: number) => number): number[] {
  const apart = Math.max(APART, WIDTH / LABELS_ACROSS);
  const last = values.at(-1);
  const chosen: number[] = [];
  let taken = -Infinity;
  for (const value of values) {
    const column = columnOf(value);
    const isFree = column - taken >= apart && (value === last || WIDTH - column >= apart);
    if (!isFree && value !== last) continue;
    chosen.push(value);
    taken = column;
  }
  return chosen;
}
