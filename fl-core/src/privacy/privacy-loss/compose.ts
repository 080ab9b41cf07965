/**
 * The sum of many independent privacy losses, by the discrete Fourier transform: Koskela, Jälkö, Honkela, "Computing
 * Tight Differential Privacy Guarantees Using FFT", arXiv:1906.03049, with two changes.
 *
 * The losses are tilted before they are transformed: p becomes p·e^(λ·loss)/M(λ), which composes to the tilted sum. With
 * λ one less than the best Rényi order the mass lies where δ is read off, so that rounding and wrap-around are small
 * beside δ itself, however small that is; and the transform has to be only as wide as the tilted sum.
 *
 * Wrap-around (by Chernoff bounds) and floating-point rounding are bounded and added to the pessimistic δ and taken from
 * the optimistic one.
 */
import FFT from 'fft.js';
import type { GridLosses, Sense } from './discretise.ts';

export interface CountedLosses {
  readonly losses: GridLosses;
  readonly steps: number;
}

/** Probability under the tilted distribution that may lie outside the transform's window, at each end. */
const OUTSIDE = 1e-13;
/** Of float64. */
const ROUNDING = 2 ** -53;
/** A transform of more points is refused. */
export const MAX_POINTS = 1 << 22;

/** log Σ p·e^(θ·loss) of all steps together: the logarithm of the moment-generating function. */
export function logMoment(parts: readonly CountedLosses[], h: number, theta: number): number {
  let sum = 0;
  for (const { losses, steps } of parts) sum += steps * logMomentOfOne(losses, h, theta);
  return sum;
}

function logMomentOfOne({ first, masses }: GridLosses, h: number, theta: number): number {
  // From the end where the exponent is largest, so that nothing overflows, and what underflows is small beside it.
  const [start, step] = theta > 0 ? [masses.length - 1, -1] : [0, 1];
  const anchor = theta * (first + start) * h;
  const ratio = Math.exp(-Math.abs(theta) * h);
  let sum = 0;
  let power = 1;
  for (let n = 0; n < masses.length; n++) {
    const i = start + step * n;
    // A running power, renewed before its rounding shows.
    if (n % 64 === 0) power = Math.exp(theta * (first + i) * h - anchor);
    sum += (masses[i] ?? 0) * power;
    power *= ratio;
  }
  return anchor + Math.log(sum);
}

/** The grid interval [low, high] in which the tilted sum lies but for OUTSIDE at each end. */
export interface Window {
  readonly low: number;
  readonly high: number;
}

/** @param spread about the standard deviation of the tilted sum, in nats: only the width depends on it */
export function windowOf(parts: readonly CountedLosses[], h: number, tilt: number, spread: number): Window {
  const only = singleOf(parts);
  if (only !== undefined) return { low: only.first, high: only.first + only.masses.length - 1 };
  const base = logMoment(parts, h, tilt);
  const depth = -Math.log(OUTSIDE);
  let high = Infinity;
  let low = -Infinity;
  // Up to 8 for a sum like a normal one; less where a few large losses have most of the moment.
  for (const factor of [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 6, 8, 10, 14, 20, 40]) {
    const theta = factor / spread;
    high = Math.min(high, (logMoment(parts, h, tilt + theta) - base + depth) / theta);
    low = Math.max(low, -(logMoment(parts, h, tilt - theta) - base + depth) / theta);
  }
  // No sum is beyond the sum of the extremes.
  const least = parts.reduce((sum, { losses, steps }) => sum + steps * losses.first, 0);
  return { low: Math.max(least, Math.floor(low / h)), high: Math.min(largestSum(parts), Math.ceil(high / h)) };
}

/** @returns the last grid point that a sum of finite losses can come to */
const largestSum = (parts: readonly CountedLosses[]): number =>
  parts.reduce((sum, { losses, steps }) => sum + steps * (losses.first + losses.masses.length - 1), 0);

/** How δ depends on ε for a composition. */
export interface ComposedLosses {
  /** δ at ε, an upper bound when pessimistic and a lower bound when optimistic. */
  delta(epsilon: number): number;
  /** The smallest ε ≥ 0 whose δ is at most this; +∞ when there is none. */
  epsilon(delta: number): number;
}

/** What can be said where the numbers do not fit into float64. */
const NOTHING_KNOWN: Readonly<Record<Sense, ComposedLosses>> = {
  pessimistic: { delta: () => 1, epsilon: () => Infinity },
  optimistic: { delta: () => 0, epsilon: () => 0 },
};

/**
 * @param window of the same parts and tilt
 * @throws RangeError when the window has more than MAX_POINTS points
 */
export function compose(
  parts: readonly CountedLosses[],
  h: number,
  tilt: number,
  window: Window,
  sense: Sense,
): ComposedLosses {
  const only = singleOf(parts);
  const transformed = only === undefined ? transform(parts, h, tilt, window, sense) : one(only);
  if (transformed === undefined) return NOTHING_KNOWN[sense];
  const { massAt, outside, falling } = transformed;
  const infinite = -Math.expm1(parts.reduce((log, { losses, steps }) => log + steps * Math.log1p(-losses.infinite), 0));
  const count = window.high - window.low + 1;
  const total = (finite: number, epsilon: number): number =>
    sense === 'pessimistic'
      ? Math.min(1, infinite + finite + outside(epsilon))
      : Math.max(0, finite - outside(Math.max(epsilon, window.low * h)));

  const shrink = Math.exp(-h);
  const gain = -Math.expm1(-h);
  return {
    delta(epsilon) {
      let finite = 0;
      for (let i = count - 1; i >= 0; i--) {
        const loss = (window.low + i) * h;
        if (loss <= epsilon) break;
        finite += massAt(i) * -Math.expm1(epsilon - loss);
      }
      return total(finite, epsilon);
    },
    epsilon(delta) {
      if (infinite >= delta && sense === 'pessimistic') return Infinity;
      const last = window.high * h;
      if (total(0, last) > delta) {
        // So small a δ lies beyond the window: what is outside falls as the tilt says, and ends at the largest sum.
        return Math.max(0, last, Math.min(largestSum(parts) * h, falling(delta - infinite)));
      }
      // Downwards from the largest loss: `above` is the mass beyond the grid point and `excess` its δ there.
      let above = 0;
      let excess = 0;
      for (let grid = window.high; ; grid--) {
        const epsilon = grid * h;
        if (total(excess, epsilon) > delta) {
          // Between this point and the next higher one δ is A − e^(ε − here)·(A − excess).
          const rest = delta - (sense === 'pessimistic' ? infinite + outside(epsilon) : -outside(epsilon));
          const within = above > excess ? Math.log(Math.max(1, (above - rest) / (above - excess))) : h;
          return Math.max(0, rest <= 0 ? epsilon + h : epsilon + Math.min(h, within));
        }
        if (epsilon <= 0) return 0;
        // Nothing in the window is beyond rounding: that says nothing from below.
        if (grid < window.low && above === 0) return sense === 'pessimistic' ? Math.max(0, last) : 0;
        above += grid >= window.low ? massAt(grid - window.low) : 0;
        excess = shrink * excess + gain * above;
      }
    },
  };
}

/** @returns the losses when they are all there is, so that nothing needs to be added up */
function singleOf(parts: readonly CountedLosses[]): GridLosses | undefined {
  const [first] = parts;
  return parts.length === 1 && first?.steps === 1 ? first.losses : undefined;
}

/** A sum's masses within a window, and what may be beside it. */
interface Summed {
  /** The mass at grid point window.low + i, with the rounding of the transform on the safe side. */
  readonly massAt: (i: number) => number;
  /** What wrapped around or lies outside can change δ at ε by at most this. */
  readonly outside: (epsilon: number) => number;
  /** The ε from which on `outside` is at most this. */
  readonly falling: (delta: number) => number;
}

const one = ({ masses }: GridLosses): Summed => ({
  massAt: (i) => masses[i] ?? 0,
  outside: () => 0,
  falling: () => Infinity,
});

/** @returns undefined where the numbers do not fit into float64 */
function transform(
  parts: readonly CountedLosses[],
  h: number,
  tilt: number,
  window: Window,
  sense: Sense,
): Summed | undefined {
  const size = transformSize(window);
  if (size > MAX_POINTS) throw new RangeError(`A transform of ${size} points is too large: use a coarser grid.`);
  const { sum, logScale, noise } = tiltedSum(parts, h, tilt, size);
  if (!(Number.isFinite(logScale) && Number.isFinite(noise) && sum.every(Number.isFinite))) return undefined;
  const sign = sense === 'pessimistic' ? 1 : -1;
  return {
    massAt(i) {
      const grid = window.low + i;
      const tilted = Math.max(0, sum[grid - size * Math.floor(grid / size)] ?? 0) + sign * noise;
      return tilted <= 0 ? 0 : tilted * Math.exp(logScale - tilt * grid * h);
    },
    outside: (epsilon) => 2 * OUTSIDE * Math.exp(logScale - tilt * epsilon),
    falling: (delta) => (tilt > 0 ? (Math.log(2 * OUTSIDE) + logScale - Math.log(delta)) / tilt : Infinity),
  };
}

/** @returns the points of the transform for a window, a power of two */
export function transformSize({ low, high }: Window): number {
  let size = 64;
  while (size < high - low + 1) size *= 2;
  return size;
}

interface TiltedSum {
  /** The tilted sum's probabilities, at their grid points modulo the transform's size. */
  readonly sum: Float64Array;
  /** log M(λ) of the whole composition: what untilting multiplies by. */
  readonly logScale: number;
  /** What each probability may be wrong by. */
  readonly noise: number;
}

function tiltedSum(parts: readonly CountedLosses[], h: number, tilt: number, size: number): TiltedSum {
  const fft = new FFT(size);
  const logAbs = new Float64Array(size / 2 + 1);
  const phase = new Float64Array(size / 2 + 1);
  /** Relative error of each frequency's product. */
  const relative = new Float64Array(size / 2 + 1);
  const folded = new Float64Array(size);
  const transformed = new Float64Array(2 * size);
  let logScale = 0;
  for (const { losses, steps } of parts) {
    const { first, masses } = losses;
    const log = logMomentOfOne(losses, h, tilt);
    logScale += steps * log;
    folded.fill(0);
    let norm = 0;
    for (let i = 0; i < masses.length; i++) {
      const grid = first + i;
      const tilted = (masses[i] ?? 0) * Math.exp(tilt * grid * h - log);
      folded[grid - size * Math.floor(grid / size)]! += tilted;
      norm += tilted * tilted;
    }
    fft.realTransform(transformed, folded);
    const error = 4 * ROUNDING * Math.log2(size) * Math.sqrt(norm);
    for (let f = 0; f <= size / 2; f++) {
      const re = transformed[2 * f]!;
      const im = transformed[2 * f + 1]!;
      const abs = Math.sqrt(re * re + im * im);
      logAbs[f]! += steps * Math.log(abs);
      phase[f]! += steps * Math.atan2(im, re);
      relative[f]! += steps * (error / abs + 4 * ROUNDING);
    }
  }
  let noise = 0;
  const full = new Float64Array(2 * size);
  for (let f = 0; f <= size / 2; f++) {
    const abs = Math.exp(logAbs[f]!);
    if (!(abs > 1e-300)) continue;
    full[2 * f] = abs * Math.cos(phase[f]!);
    full[2 * f + 1] = abs * Math.sin(phase[f]!);
    noise += 2 * Math.min(1, abs * relative[f]!);
  }
  fft.completeSpectrum(full);
  const inverse = new Float64Array(2 * size);
  fft.inverseTransform(inverse, full);
  const sum = new Float64Array(size);
  for (let i = 0; i < size; i++) sum[i] = inverse[2 * i]!;
  return { sum, logScale, noise: noise / size + ROUNDING / size };
}
