import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bernoulliExp,
  createDiscreteGaussian,
  createDiscreteLaplace,
  type IntegerSampler,
} from './discrete-gaussian.ts';
import { createRandomBits } from './random-bits.ts';
import { rationalOf } from './rational.ts';
import { createSkellam, skellamWeights } from './skellam.ts';

const random = createRandomBits();

/**
 * Pearson's χ² of `count` draws against exact probabilities. The threshold is the quantile at z = 6.5 by Wilson and
 * Hilferty: a right sampler fails about once in 10¹⁰ runs.
 */
function expectDistribution(
  sample: IntegerSampler,
  weight: (k: number) => number,
  reach: number,
  count = 60_000,
): void {
  let total = 0;
  for (let k = -reach; k <= reach; k++) total += weight(Math.abs(k));
  const seen = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const k = sample();
    seen.set(k, (seen.get(k) ?? 0) + 1);
  }
  let chiSquare = 0;
  let classes = 0;
  let [expected, observed] = [0, 0];
  for (let k = -reach; k <= reach; k++) {
    expected += (weight(Math.abs(k)) / total) * count;
    observed += seen.get(k) ?? 0;
    seen.delete(k);
    // Neighbours are put together until a class is large enough for the approximation.
    if (expected >= 40 || k === reach) {
      chiSquare += (observed - expected) ** 2 / Math.max(expected, 1);
      classes++;
      [expected, observed] = [0, 0];
    }
  }
  expect(seen.size, 'values beyond any likely one').toBe(0);
  const degrees = classes - 1;
  expect(chiSquare).toBeLessThan(degrees * (1 - 2 / (9 * degrees) + 6.5 * Math.sqrt(2 / (9 * degrees))) ** 3);
}

describe('the distribution is the exact one', () => {
  for (const scale of [0.5, 1, 3.25]) {
    test(`discrete Laplace of scale ${scale}`, () => {
      expectDistribution(createDiscreteLaplace(rationalOf(scale), random), (k) => Math.exp(-k / scale), scale * 40);
    });
  }
  for (const variance of [0.25, 1, 30.5]) {
    test(`discrete Gaussian of σ² = ${variance}`, () => {
      const reach = Math.ceil(Math.sqrt(variance) * 9) + 1;
      const sample = createDiscreteGaussian(rationalOf(variance), random);
      expectDistribution(sample, (k) => Math.exp((-k * k) / (2 * variance)), reach);
    });
  }
  test('discrete Gaussian of a σ² whose arithmetic needs integers beyond 2^53', () => {
    const variance = { numerator: 10n ** 20n + 7n, denominator: 10n ** 19n };
    expectDistribution(createDiscreteGaussian(variance, random), (k) => Math.exp((-k * k) / 20), 32, 20_000);
  });
  for (const variance of [0.5, 2, 300]) {
    test(`Skellam of variance ${variance}`, () => {
      const exact = poissonDifference(variance / 2);
      const reach = Math.ceil(Math.sqrt(variance) * 10) + 8;
      expectDistribution(createSkellam(rationalOf(variance), random), exact, reach);
    });
  }
  test('Skellam of a variance beyond one table has that variance', () => {
    const variance = 3 * 2 ** 24;
    const sample = createSkellam(rationalOf(variance), random);
    let squares = 0;
    const count = 20_000;
    for (let i = 0; i < count; i++) squares += sample() ** 2;
    // The estimate's relative standard deviation is √(2/n) = 1 %; 6.5 of them.
    expect(Math.abs(squares / count / variance - 1)).toBeLessThan(0.065);
  });
  test('exp(−γ) with probability exp(−γ), also for γ above 1', () => {
    for (const [numerator, denominator] of [
      [1n, 3n],
      [5n, 2n],
      [10n ** 30n, 10n ** 30n + 1n],
    ] as const) {
      const p = Math.exp(-Number(numerator) / Number(denominator));
      const count = 20_000;
      let hits = 0;
      for (let i = 0; i < count; i++) hits += bernoulliExp(random, numerator, denominator) ? 1 : 0;
      expect(Math.abs(hits - count * p)).toBeLessThan(6.5 * Math.sqrt(count * p * (1 - p)));
    }
  });
});

/** Σ_j Pois(j + k)·Pois(j), summed directly: another way to the same numbers than the sampler's. */
function poissonDifference(mean: number): (k: number) => number {
  const n = Math.ceil(mean + 40 * Math.sqrt(mean + 1) + 40);
  const poisson = new Float64Array(2 * n);
  let log = -mean;
  for (let j = 0; j < poisson.length; j++) {
    poisson[j] = Math.exp(log);
    log += Math.log(mean) - Math.log(j + 1);
  }
  return (k) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += (poisson[j] ?? 0) * (poisson[j + k] ?? 0);
    return sum;
  };
}

test('Skellam weights agree with Poisson differences to the last digits', () => {
  for (const variance of [0.5, 7.25, 200]) {
    const weights = skellamWeights(rationalOf(variance));
    const exact = poissonDifference(variance / 2);
    for (const k of [1, 2, 5, 20]) {
      const ratio = Number((weights[k]! << 300n) / weights[0]!) / 2 ** 300;
      expect(ratio / (exact(k) / exact(0))).toBeCloseTo(1, 9);
    }
  }
});

test('a number below n is below n, and every such number comes', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 90n }), (n) => {
      expect(random.belowBig(n) < n).toBe(true);
      const small = Number(n % 2n ** 53n) + 1;
      expect(random.below(small)).toBeLessThan(small);
    }),
  );
  expect(new Set(Array.from({ length: 200 }, () => random.below(5))).size).toBe(5);
});

describe('a boundary that the first 31 bits do not decide is decided by more', () => {
  /** One random word, then always the same. */
  const first = (word: number, then: number) =>
    createRandomBits((bytes) => {
      const words = new Uint32Array(bytes.buffer);
      words.fill(then);
      words[0] = word;
    });

  test('on either side of it', () => {
    const weights = skellamWeights(rationalOf(4));
    const total = weights.reduce((sum, weight, k) => sum + (k === 0 ? weight : 2n * weight), 0n);
    let below = weights[0]!;
    for (let magnitude = 1; magnitude < 10; magnitude++) {
      const word = 2 * Number((below << 31n) / total);
      const draw = (w: number, then: number) => createSkellam(rationalOf(4), first(w, then))();
      expect(draw(word, 0)).toBe(magnitude - 1);
      expect(draw(word, 0xffff_ffff)).toBe(magnitude);
      expect(draw(word + 1, 0xffff_ffff)).toBe(-magnitude);
      below += 2n * weights[magnitude]!;
    }
  });

  test('also at both ends of the distribution', () => {
    expect(createSkellam(rationalOf(4), first(0, 0))()).toBe(0);
    expect(createSkellam(rationalOf(4), first(0xffff_ffff, 0xffff_ffff))()).toBeLessThan(-15);
  });
});

test('samplers of two variances draw from their own, in whatever order they were made', () => {
  const [narrow, wide] = [0.01, 1e6].map((variance) => createSkellam(rationalOf(variance), random));
  const sizes = (sample: IntegerSampler) => Array.from({ length: 200 }, () => Math.abs(sample()));
  expect(Math.max(...sizes(narrow!))).toBeLessThan(10);
  expect(Math.max(...sizes(wide!))).toBeGreaterThan(100);
});

test('a rational is exactly the float', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (value) => {
      const { numerator, denominator } = rationalOf(value);
      expect(Number(numerator) / Number(denominator)).toBe(value);
    }),
  );
  expect(() => rationalOf(0)).toThrow(RangeError);
});
