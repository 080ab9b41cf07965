/**
 * From an update to ring elements and back: clip, rotate, scale, round at random, clip again by rounding anew, add
 * integer noise, wrap. Kairouz, Liu, Steinke, arXiv:2102.06387, Algorithms 1 and 2, with the Skellam noise of Agarwal,
 * Kairouz, Liu, arXiv:2110.04995.
 */
import { randomFillSync } from 'node:crypto';
import { integerL1Sensitivity } from '../privacy/sensitivity.ts';
import { RoundFailure } from './failure.ts';
import { rotate, rotateBack, rotatedLength } from './rotation.ts';

/** All that members and coordinator need to agree on to encode and decode. */
export interface Encoding {
  /** P */
  readonly length: number;
  /** C: the L2 norm that an update is clipped to. */
  readonly clipNorm: number;
  /** Ring elements per unit of the update: the grid's spacing is 1/scale. */
  readonly scale: number;
  /** The ring is the integers modulo 2^bits. */
  readonly bits: number;
  /** Public, hex; from the round's terms. */
  readonly rotationSeed: string;
  /** What a rounded update's L2 norm cannot exceed, in ring elements: the sensitivity under add/remove. */
  readonly l2Bound: number;
  /** The same for the L1 norm. */
  readonly l1Bound: number;
  /** Variance of the Skellam noise that each member adds, in ring elements; 0 without. */
  readonly noiseVariance: number;
  /** An upper bound of the probability, over rotation, rounding and noise, that any of the P sums wraps around. */
  readonly wrapProbability: number;
}

/**
 * The smallest ring in which the sum of a cohort does not wrap around but with a stated probability. The bound does not
 * assume that updates differ: rotated, the sum of n updates of norm C has norm at most nC, and each of its coordinates is
 * sub-Gaussian with variance (nC)²/2^m. Rounding adds n errors within (−1, 1): fewer than n in all, also where it was done
 * anew because of the norm, after which errors are not those of one draw. Noise adds n Skellam variables (Chernoff).
 *
 * @throws RangeError when more than 32 bits would be needed: scale down or allow a larger probability
 */
export function planEncoding(options: {
  readonly length: number;
  readonly clipNorm: number;
  readonly scale: number;
  readonly cohort: number;
  readonly rotationSeed: string;
  /** @default 0 */
  readonly noiseVariance?: number;
  /** @default 1e-6 */
  readonly wrapProbability?: number;
  /** By what part the ring has to be larger than the bound. @default 0 */
  readonly margin?: number;
}): Encoding {
  const { length, clipNorm, scale, cohort, rotationSeed, margin = 0 } = options;
  const { noiseVariance = 0, wrapProbability = 1e-6 } = options;
  const depth = Math.log((4 * length) / wrapProbability);
  const value = cohort * clipNorm * scale * Math.sqrt((2 * depth) / rotatedLength(length));
  const noise = noiseVariance === 0 ? 0 : skellamQuantile(cohort * noiseVariance, depth);
  const largest = (Math.min(value, cohort * clipNorm * scale) + cohort + noise) * (1 + margin);
  const bits = Math.ceil(Math.log2(2 * largest + 2));
  if (!(bits <= 32)) throw new RangeError(`Sums up to ${largest.toExponential(1)} need ${bits} bits; 32 are the most.`);
  const l2Bound = roundedNorm(scale * clipNorm, length);
  const l1Bound = integerL1Sensitivity(l2Bound, length);
  return { length, clipNorm, scale, bits, rotationSeed, l2Bound, l1Bound, noiseVariance, wrapProbability };
}

/** Chernoff, K(θ) = v·(cosh θ − 1): beyond it with probability at most e^−depth. */
function skellamQuantile(variance: number, depth: number): number {
  const theta = Math.min(1, Math.sqrt((2 * depth) / variance));
  return (variance * (Math.cosh(theta) - 1) + depth) / theta;
}

/**
 * What randomised rounding exceeds with probability at most e^(−1/2), so that rounding anew soon succeeds (Kairouz, Liu,
 * Steinke 2021, Proposition 22, β = e^(−1/2)).
 */
function roundedNorm(norm: number, length: number): number {
  const root = Math.sqrt(length);
  return Math.min(norm + root, Math.sqrt(norm ** 2 + length / 4 + norm + root / 2));
}

/** Rounding that fails this often fails for another reason than chance (e^(−1/2) a time). */
const MAX_ROUNDINGS = 400;

/**
 * @param update float [P], not changed
 * @param noise draws from Skellam noise of the encoding's variance; must be given if and only if that is not 0
 * @param fill random bytes for rounding; only tests give another than the operating system's
 * @returns ring elements, words [P]
 * @throws RoundFailure bad-input when a value is not finite, the length is another or noise is missing
 */
export function encode(
  update: Float32Array | Float64Array,
  encoding: Encoding,
  noise?: () => number,
  fill: (words: Uint32Array) => void = (words) => void randomFillSync(words),
): Uint32Array {
  const { length, clipNorm, scale, rotationSeed, l2Bound, noiseVariance } = encoding;
  if (update.length !== length) throw new RoundFailure('bad-input', `${update.length} values, not ${length}.`);
  if ((noise === undefined) !== (noiseVariance === 0)) {
    throw new RoundFailure('bad-input', 'The encoding asks for noise exactly when its variance is not 0.');
  }
  const norm = normOf(update);
  if (!Number.isFinite(norm)) throw new RoundFailure('bad-input', 'The update has values that are not finite.');
  const factor = scale * Math.min(1, clipNorm / norm || 1);
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) values[i] = update[i]! * factor;
  rotate(values, rotationSeed);
  const rounded = roundWithin(values, l2Bound, fill);
  // Given back now, the next round gets the same memory, and the unmasked update lies about no longer than it must.
  values.buffer.transfer(0);
  if (noise !== undefined) for (let i = 0; i < length; i++) rounded[i] = (rounded[i]! + noise()) | 0;
  return new Uint32Array(rounded.buffer);
}

/** Four sums side by side, so that an addition need not wait for the one before. */
function normOf(values: Float32Array | Float64Array): number {
  const sums = [0, 0, 0, 0] as [number, number, number, number];
  let [a, b, c, d] = sums;
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! * values[i]!;
    b += values[i + 1]! * values[i + 1]!;
    c += values[i + 2]! * values[i + 2]!;
    d += values[i + 3]! * values[i + 3]!;
  }
  for (let i = whole; i < values.length; i++) a += values[i]! * values[i]!;
  return Math.sqrt(a + b + (c + d));
}

/** Random words that are drawn at once: they are used up while they are in a core's first cache. */
const DRAWN = 4_096;

function roundWithin(values: Float64Array, bound: number, fill: (words: Uint32Array) => void): Int32Array {
  const rounded = new Int32Array(values.length);
  const random = new Uint32Array(Math.min(DRAWN, values.length));
  for (let attempt = 0; attempt < MAX_ROUNDINGS; attempt++) {
    let square = 0;
    for (let at = 0; at < values.length; at += DRAWN) {
      fill(random);
      square += roundAt(values, at, random, rounded);
    }
    random.fill(0);
    if (square <= bound * bound) return rounded;
  }
  throw new RoundFailure('bad-input', 'The update cannot be rounded within its norm: take a larger scale.');
}

/** @returns the sum of the squares of those values, `at` and after, that the random words are enough for */
function roundAt(values: Float64Array, at: number, random: Uint32Array, rounded: Int32Array): number {
  const count = Math.min(random.length, values.length - at);
  let square = 0;
  for (let i = 0; i < count; i++) {
    // ⌊v + u⌋, u uniform in [0, 1), is the next integer with the probability of v's fraction.
    const integer = Math.floor(values[at + i]! + random[i]! * 2 ** -32);
    rounded[at + i] = integer;
    square += integer * integer;
  }
  return square;
}

/** @returns words [P], 0, with room behind them to be decoded in place. The system gives memory only once it is used. */
export function createWords(length: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(new ArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT), 0, length);
}

/**
 * @param sum words [P] of which the lower `bits` bits are a sum of encoded updates. Words of createWords become the result
 *   and are not words any more; others are left as they are.
 * @returns the sum of the clipped updates, float64 [P]: divide by the number of survivors for their mean
 */
export function decode(sum: Uint32Array, encoding: Encoding): Float64Array {
  const { bits, scale } = encoding;
  const { buffer, byteOffset, length } = sum;
  const hasRoom = byteOffset === 0 && buffer.byteLength === length * Float64Array.BYTES_PER_ELEMENT;
  const values = hasRoom ? new Float64Array(buffer) : new Float64Array(length);
  // As `centred` does it, without an array in between: this is where the coordinator needs the most memory. From the end:
  // a value lies behind all words that are still to be read.
  const shift = 32 - bits;
  for (let i = length - 1; i >= 0; i--) values[i] = ((sum[i]! << shift) >> shift) / scale;
  rotateBack(values, encoding.rotationSeed);
  return values;
}
