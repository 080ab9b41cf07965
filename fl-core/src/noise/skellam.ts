/**
 * Skellam noise (the difference of two Poisson variables of half the variance each), by inversion of its cumulative
 * distribution in integers. The distribution is computed once, to 2^−128 in total variation (what that could add to δ
 * is nothing beside any δ in use); from then on sampling is exact: 31 random bits decide, and in the rare case that they
 * do not, as many more as it takes. Unlike rejection it takes about the same time for every value.
 *
 * Sums of Skellam variables are Skellam, so members of a cohort can each add a share.
 */
import type { IntegerSampler } from './discrete-gaussian.ts';
import type { RandomBits } from './random-bits.ts';
import type { Rational } from './rational.ts';

/** Beyond the table a Skellam variable has less than 2^−TAIL_BITS. */
const TAIL_BITS = 160;
/** Fixed-point bits of the smallest entry. */
const GUARD_BITS = 192n;
/** Tables of larger variances would take too long to compute, and too much memory: the noise is drawn as a sum. */
const MAX_TABLE_VARIANCE = 2 ** 24;
/** With a sign they are one random word. */
const DECISION_BITS = 31;
const GUIDE_BITS = 14;
const SHIFT = DECISION_BITS - GUIDE_BITS;

/**
 * @param variance of the noise; its mean is 0
 * @returns a sampler of Skellam integers
 * @throws RangeError when the variance is not positive or above 2^40
 */
export function createSkellam(variance: Rational, random: RandomBits): IntegerSampler {
  const { numerator, denominator } = variance;
  if (!(numerator > 0n && denominator > 0n && numerator / denominator <= 2n ** 40n)) {
    throw new RangeError('The variance of Skellam noise must be positive and at most 2^40.');
  }
  const parts = Number(numerator / (denominator * BigInt(MAX_TABLE_VARIANCE))) + 1;
  const one = sampleFrom(tableOf({ numerator, denominator: denominator * BigInt(parts) }), random);
  if (parts === 1) return one;
  return () => {
    let sum = 0;
    for (let i = 0; i < parts; i++) sum += one();
    return sum;
  };
}

/** The distribution of the magnitude k: what lies below cumulative[k]/total belongs to smaller ones. */
interface Table {
  readonly cumulative: readonly bigint[];
  readonly total: bigint;
  /** ⌊2^DECISION_BITS·cumulative[k]/total⌋ */
  readonly floors: Uint32Array;
  /** Of every number of GUIDE_BITS bits, followed by zeros, the magnitude. */
  readonly guide: Uint32Array;
}

/** The newest table is kept: it takes tens of milliseconds, and all rounds of a session draw from the same. */
let newest: { readonly name: string; readonly table: Table } | undefined;

function tableOf(variance: Rational): Table {
  const name = `${variance.numerator}/${variance.denominator}`;
  if (newest?.name !== name) newest = { name, table: computeTable(variance) };
  return newest.table;
}

function computeTable(variance: Rational): Table {
  const weights = skellamWeights(variance);
  // Of magnitudes: 0 once, every other for both signs.
  const cumulative: bigint[] = [0n];
  let total = 0n;
  for (const [k, weight] of weights.entries()) {
    total += k === 0 ? weight : 2n * weight;
    cumulative.push(total);
  }
  const floors = Uint32Array.from(cumulative, (c) => Number((c << BigInt(DECISION_BITS)) / total));
  const guide = new Uint32Array(2 ** GUIDE_BITS + 1);
  for (let g = 0, k = 0; g < guide.length; g++) {
    while (k + 1 < floors.length - 1 && floors[k + 1]! <= g * 2 ** SHIFT) k++;
    guide[g] = k;
  }
  return { cumulative, total, floors, guide };
}

function sampleFrom({ cumulative, total, floors, guide }: Table, random: RandomBits): IntegerSampler {
  /** The magnitude of a uniform number whose first bits coincide with a boundary's: more bits decide. */
  const refine = (u: number): number => {
    let value = BigInt(u);
    let width = BigInt(DECISION_BITS);
    for (;;) {
      value = (value << 64n) | random.bigBits(64);
      width += 64n;
      // The magnitude at both ends of [value, value + 1)/2^width.
      const low = search(cumulative, value * total, width);
      const high = search(cumulative, (value + 1n) * total - 1n, width);
      if (low === high) return low;
    }
  };

  return () => {
    const word = random.bits(DECISION_BITS + 1);
    const u = word >>> 1;
    let low = guide[u >>> SHIFT]!;
    let high = guide[(u >>> SHIFT) + 1]! + 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (floors[middle]! <= u) low = middle;
      else high = middle;
    }
    // floors[low] ≤ u; equal, the boundary itself lies within [u, u + 1).
    const magnitude = low > 0 && floors[low] === u ? refine(u) : low;
    // The last bit is the sign; without a branch, which would be guessed wrong every other time.
    const negative = -(word & 1);
    return (magnitude ^ negative) - negative;
  };
}

/** @returns the largest k with cumulative[k]·2^width ≤ scaled */
function search(cumulative: readonly bigint[], scaled: bigint, width: bigint): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (cumulative[middle]! << width <= scaled) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Multiples of the probabilities of 0, 1, 2, …: I_k(variance) by the downward recurrence
 * I_{k−1} = I_{k+1} + (2k/variance)·I_k (Miller; DLMF 10.74), all terms positive, in fixed point. What the recurrence
 * starts with wrongly is of the order of the tail that is cut off.
 */
export function skellamWeights({ numerator, denominator }: Rational): bigint[] {
  const variance = Number(numerator) / Number(denominator);
  const depth = TAIL_BITS * Math.LN2;
  // Chernoff: K(θ) = variance·(cosh θ − 1).
  let extent = Infinity;
  for (let theta = 2 ** -14; theta < 64; theta *= 1.02) {
    extent = Math.min(extent, (variance * (Math.cosh(theta) - 1) + depth) / theta);
  }
  const last = Math.ceil(extent) + 2;
  const weights: bigint[] = [];
  let next = 0n;
  let current = 1n << GUARD_BITS;
  for (let k = last; k > 0; k--) {
    weights.push(current);
    const previous = next + (2n * BigInt(k) * denominator * current) / numerator;
    next = current;
    current = previous;
  }
  weights.push(current);
  return weights.toReversed();
}
