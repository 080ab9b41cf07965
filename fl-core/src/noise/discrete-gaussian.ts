/**
 * Exact samplers with integer arithmetic only: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential
 * Privacy", arXiv:2004.00010, Algorithms 1 to 3. No float takes part, so nothing of Mironov's attack (2012) on
 * floating-point noise applies. The running time depends on the values drawn.
 */
import type { RandomBits } from './random-bits.ts';
import type { Rational } from './rational.ts';

/** K in Algorithm 1 seldom passes this; beyond it the denominator is multiplied as a BigInt. */
const SAFE_DENOMINATOR = 2 ** 47;

/** @returns true with probability numerator/(denominator·k) */
function isBelow(random: RandomBits, numerator: number | bigint, denominator: number | bigint, k: number): boolean {
  if (typeof denominator === 'number' && k < 64) return random.below(denominator * k) < (numerator as number);
  return random.belowBig(BigInt(denominator) * BigInt(k)) < BigInt(numerator);
}

/** Algorithm 1 for γ ≤ 1: true with probability exp(−γ). */
function bernoulliExpOfUnit(random: RandomBits, numerator: number | bigint, denominator: number | bigint): boolean {
  let k = 1;
  while (isBelow(random, numerator, denominator, k)) k++;
  return k % 2 === 1;
}

/**
 * Algorithm 1.
 *
 * @returns true with probability exp(−numerator/denominator), both ≥ 0 and denominator > 0
 */
export function bernoulliExp(random: RandomBits, numerator: bigint, denominator: bigint): boolean {
  let rest = numerator;
  while (rest > denominator) {
    if (!bernoulliExpOfUnit(random, 1, 1)) return false;
    rest -= denominator;
  }
  return denominator < SAFE_DENOMINATOR
    ? bernoulliExpOfUnit(random, Number(rest), Number(denominator))
    : bernoulliExpOfUnit(random, rest, denominator);
}

/** A sampler of integers. */
export type IntegerSampler = () => number;

/**
 * Algorithm 2: P[X = x] ∝ exp(−|x|/scale).
 *
 * @param scale t/s with t below 2^47
 * @throws RangeError when the scale's numerator is larger
 */
export function createDiscreteLaplace(scale: Rational, random: RandomBits): IntegerSampler {
  const t = Number(scale.numerator);
  const s = Number(scale.denominator);
  if (t >= SAFE_DENOMINATOR || s >= SAFE_DENOMINATOR) throw new RangeError('The scale must be a simpler fraction.');
  return () => {
    for (;;) {
      const u = random.below(t);
      if (!bernoulliExpOfUnit(random, u, t)) continue;
      let v = 0;
      while (bernoulliExpOfUnit(random, 1, 1)) v++;
      const magnitude = Math.floor((u + t * v) / s);
      const isNegative = random.bits(1) === 1;
      if (isNegative && magnitude === 0) continue;
      return isNegative ? -magnitude : magnitude;
    }
  };
}

/**
 * Algorithm 3: P[X = x] ∝ exp(−x²/2σ²).
 *
 * @param variance σ² (the parameter; the variance itself is slightly smaller for small σ)
 */
export function createDiscreteGaussian(variance: Rational, random: RandomBits): IntegerSampler {
  const { numerator: n, denominator: d } = variance;
  const t = squareRoot(n / d) + 1n;
  const laplace = createDiscreteLaplace({ numerator: t, denominator: 1n }, random);
  const denominator = 2n * n * d * t * t;
  const step = d * t;
  const isSmall = denominator < SAFE_DENOMINATOR;
  const [smallN, smallStep, smallDenominator] = [Number(n), Number(step), Number(denominator)];
  return () => {
    for (;;) {
      const y = laplace();
      const magnitude = Math.abs(y);
      // γ = (|y| − σ²/t)²/2σ²
      const difference = magnitude * smallStep - smallN;
      const square = difference * difference;
      if (isSmall && square <= smallDenominator) {
        if (bernoulliExpOfUnit(random, square, smallDenominator)) return y;
        continue;
      }
      const exact = BigInt(magnitude) * step - n;
      if (bernoulliExp(random, exact * exact, denominator)) return y;
    }
  };
}

/** ⌊√n⌋ by Newton's iteration. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n;
  let x = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const y = (x + n / x) >> 1n;
    if (y >= x) return x;
    x = y;
  }
}
