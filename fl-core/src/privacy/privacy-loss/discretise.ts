/**
 * Privacy losses on a grid of multiples of h, never too private and never too little private.
 *
 * Pessimistic: the mass between two grid points goes to both of them such that P and Q are kept, which interpolates the
 * curve of δ over e^ε linearly between the grid points: "Connect the Dots: Tighter Discrete Approximations of Privacy
 * Loss Distributions" (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi, arXiv:2207.04380).
 *
 * Optimistic: outputs around a grid point are merged into one whose ratio P/Q is exactly e^(grid point). Merging is a
 * post-processing, so the result is at most as revealing; like the pessimistic one it errs by O(h²), where rounding
 * losses down would err by O(h) in every step.
 *
 * Both are integrals of positive functions over short intervals; no differences of cumulative probabilities are taken.
 */
import type { LossSource, Stretch } from './source.ts';

/** P on the grid: `masses[i]` at the loss (`first` + i)·h; `infinite` at +∞ (0 when optimistic). */
export interface GridLosses {
  readonly first: number;
  readonly masses: Float64Array;
  readonly infinite: number;
}

/** Which side of the truth a discretisation errs on. */
export type Sense = 'pessimistic' | 'optimistic';

/** More grid points than this for one release are refused (+∞ ε, or a coarser grid, is the caller's answer). */
export const MAX_GRID = 1 << 22;

/** @returns the lowest and highest loss of the pieces */
export function lossRange({ pieces }: LossSource): readonly [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const piece of pieces) {
    const ends = piece.kind === 'atom' ? [piece.loss] : [piece.loss(piece.from), piece.loss(piece.to)];
    for (const end of ends) {
      low = Math.min(low, end);
      high = Math.max(high, end);
    }
  }
  return [low, high];
}

/** @throws RangeError when the losses spread over more than MAX_GRID intervals of h */
export function discretise(source: LossSource, h: number, sense: Sense): GridLosses {
  const [low, high] = lossRange(source);
  const first = Math.floor(low / h) - 1;
  const length = Math.ceil(high / h) + 2 - first;
  if (!(length <= MAX_GRID)) throw new RangeError(`Losses from ${low} to ${high} do not fit on a grid of ${h}.`);
  const masses = new Float64Array(length);
  if (sense === 'pessimistic') {
    connectTheDots(source, h, first, masses);
    const lowest = Math.max(0, Math.ceil(low / h) - first);
    masses[lowest] = (masses[lowest] ?? 0) + source.below;
    return { first, masses, infinite: source.above };
  }
  mergeAroundDots(source, h, first, masses);
  return { first, masses, infinite: 0 };
}

/** Visits the parts of a stretch that lie between neighbouring grid points and are short enough to integrate over. */
function forEachCell(stretch: Stretch, h: number, visit: (grid: number, from: number, to: number) => void): void {
  let grid = Math.floor(stretch.loss(stretch.from) / h);
  let from = stretch.from;
  const end = stretch.to;
  while (from < end) {
    const next = stretch.at((grid + 1) * h);
    const boundary = next > from ? Math.min(end, next) : Number.isNaN(next) ? end : from;
    while (from < boundary) {
      const to = boundary - from > 1.5 * stretch.smooth ? from + stretch.smooth : boundary;
      visit(grid, from, to);
      from = to;
    }
    grid++;
  }
}

/** P of a part of a stretch, and P − e^lower·Q of it. */
interface Part {
  mass: number;
  excess: number;
}

const NODES = [0, 0.538_469_310_105_683_1, 0.906_179_845_938_664] as const;
const WEIGHTS = [0.568_888_888_888_888_9, 0.478_628_670_499_366_5, 0.236_926_885_056_189_1] as const;
const TWO_POINT = 1 / Math.sqrt(3);

/**
 * Gauss-Legendre quadrature: of five points on parts of up to 1.5 smooth lengths, of two on parts below 1/50 of one
 * (both are then exact to about 10⁻¹³).
 *
 * @param into is overwritten, so that millions of parts need no object each
 */
function integrate(stretch: Stretch, from: number, to: number, lower: number, into: Part): void {
  const middle = (from + to) / 2;
  const half = (to - from) / 2;
  into.mass = 0;
  into.excess = 0;
  const add = (x: number, weight: number): void => {
    const p = stretch.density(x) * weight * half;
    into.mass += p;
    into.excess += -Math.expm1(lower - stretch.loss(x)) * p;
  };
  if (half < stretch.smooth / 100) {
    add(middle - half * TWO_POINT, 1);
    add(middle + half * TWO_POINT, 1);
    return;
  }
  add(middle, WEIGHTS[0]);
  for (const i of [1, 2] as const) {
    add(middle - half * NODES[i], WEIGHTS[i]);
    add(middle + half * NODES[i], WEIGHTS[i]);
  }
}

function connectTheDots(source: LossSource, h: number, first: number, masses: Float64Array): void {
  const whole = -Math.expm1(-h);
  const part: Part = { mass: 0, excess: 0 };
  const split = (grid: number, mass: number, excess: number): void => {
    // `excess` is P − e^(lower point)·Q of this mass: what must go up for Q to stay what it is.
    const up = Math.min(mass, Math.max(0, excess / whole));
    const i = grid - first;
    masses[i] = (masses[i] ?? 0) + mass - up;
    masses[i + 1] = (masses[i + 1] ?? 0) + up;
  };
  for (const piece of source.pieces) {
    if (piece.kind === 'atom') {
      const grid = Math.floor(piece.loss / h);
      split(grid, piece.mass, -Math.expm1(-(piece.loss - grid * h)) * piece.mass);
      continue;
    }
    forEachCell(piece, h, (grid, from, to) => {
      integrate(piece, from, to, grid * h, part);
      split(grid, part.mass, part.excess);
    });
  }
}

function mergeAroundDots(source: LossSource, h: number, first: number, masses: Float64Array): void {
  // What waits to be merged at the grid point `target`: its mass, and P − e^target·Q of it (negative while waiting).
  let target = -Infinity;
  let waiting = 0;
  let balance = 0;
  const part: Part = { mass: 0, excess: 0 };
  const emit = (extra: number): void => {
    const i = target - first;
    masses[i] = (masses[i] ?? 0) + waiting + extra;
    waiting = 0;
    balance = 0;
    target = -Infinity;
  };
  for (const piece of source.pieces) {
    if (piece.kind === 'atom') {
      let { mass } = piece;
      const floor = Math.floor(piece.loss / h + 1e-9);
      if (waiting > 0) {
        const gain = -Math.expm1(target * h - piece.loss);
        if (gain <= 0) {
          waiting += mass;
          balance += gain * mass;
          continue;
        }
        const taken = Math.min(mass, -balance / gain);
        balance += taken * gain;
        if (taken < mass) {
          emit(taken);
          mass -= taken;
        } else {
          waiting += taken;
          continue;
        }
      }
      // An atom may be split: the rest waits below the next grid point unless it lies on one.
      target = Math.abs(piece.loss - floor * h) < 1e-9 * h ? floor : floor + 1;
      waiting = mass;
      balance = Math.min(0, -Math.expm1(target * h - piece.loss) * mass);
      if (target === floor) emit(0);
      continue;
    }
    forEachCell(piece, h, (grid, from, to) => {
      let start = from;
      if (waiting > 0 && grid >= target) {
        integrate(piece, from, to, target * h, part);
        if (balance + part.excess <= 0) {
          waiting += part.mass;
          balance += part.excess;
          return;
        }
        start = balancePoint(piece, from, to, target * h, balance, part);
        emit(part.mass);
      }
      if (waiting === 0) target = grid + 1;
      integrate(piece, start, to, target * h, part);
      waiting += part.mass;
      // Positive only by rounding, where the part ends at the grid point.
      balance = Math.min(0, balance + part.excess);
    });
  }
  if (waiting > 0) {
    // Nothing is left to balance with: the merged loss is rounded down.
    const loss = target * h - Math.log((waiting - balance) / waiting);
    target = Math.max(first, Math.floor(loss / h));
    emit(0);
  }
}

/**
 * The x in [from, to] up to which the excess makes up for the balance: secant steps kept within a shrinking bracket.
 *
 * @param part holds the whole of [from, to] before, and what lies in [from, x] afterwards
 */
function balancePoint(stretch: Stretch, from: number, to: number, lower: number, balance: number, part: Part): number {
  let low = from;
  let high = to;
  // The excess grows about quadratically from the grid point on.
  let x = from + (to - from) * Math.sqrt(Math.min(1, -balance / part.excess));
  for (let round = 0; ; round++) {
    integrate(stretch, from, x, lower, part);
    const value = balance + part.excess;
    if (Math.abs(value) <= 1e-10 * -balance || round === 30) return x;
    if (value > 0) high = x;
    else low = x;
    const slope = -Math.expm1(lower - stretch.loss(x)) * stretch.density(x);
    const step = x - value / slope;
    const next = step > low && step < high ? step : (low + high) / 2;
    if (next === x) return x;
    x = next;
  }
}
