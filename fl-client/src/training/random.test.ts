import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addGaussianNoise, poissonSample } from './random.ts';

const upTo = (n: number): Uint32Array => Uint32Array.from({ length: n }, (_, i) => i);

// The statistical tests draw fresh randomness from the system's generator. Each states how often it fails by chance.
describe('Gaussian noise', () => {
  const n = 200_000;
  const noise = new Float64Array(n);
  addGaussianNoise(noise, 3);

  test('has mean 0 and the standard deviation asked for', () => {
    const mean = noise.reduce((a, b) => a + b, 0) / n;
    const variance = noise.reduce((a, b) => a + b * b, 0) / n;
    // 6 standard errors each: fails by chance less than once in 10⁸ runs.
    expect(Math.abs(mean)).toBeLessThan((6 * 3) / Math.sqrt(n));
    expect(Math.abs(variance / 9 - 1)).toBeLessThan(6 * Math.sqrt(2 / n));
  });

  test('is spread as the normal distribution is', () => {
    // χ² of 8 cells between the octiles of N(0, 1): 7 degrees of freedom; above 60 with probability 1.5·10⁻¹⁰.
    const octiles = [-1.1503493803760079, -0.6744897501960817, -0.31863936396437514, 0];
    const edges = [...octiles, ...octiles.slice(0, 3).map((edge) => -edge)].toSorted((a, b) => a - b);
    const cells = new Float64Array(8);
    for (const value of noise) {
      const cell = edges.filter((edge) => value / 3 > edge).length;
      cells[cell] = (cells[cell] ?? 0) + 1;
    }
    const chiSquare = cells.reduce((sum, count) => sum + (count - n / 8) ** 2 / (n / 8), 0);
    expect(chiSquare).toBeLessThan(60);
  });

  test('of neighbouring values is independent', () => {
    let product = 0;
    for (let i = 0; i + 1 < n; i++) product += ((noise[i] ?? 0) * (noise[i + 1] ?? 0)) / 9;
    // The correlation's standard error is 1/√n; 6 of them: less than once in 10⁸ runs.
    expect(Math.abs(product / n)).toBeLessThan(6 / Math.sqrt(n));
  });

  test('is added to every value, and to none without a deviation', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { maxLength: 40 }), (values) => {
        const noisy = Float64Array.from(values);
        addGaussianNoise(noisy, 1);
        // A noise of exactly 0 has probability below 2⁻⁵⁰.
        expect(noisy.every((value, i) => value !== values[i] && Number.isFinite(value))).toBe(true);
        const same = Float64Array.from(values);
        addGaussianNoise(same, 0);
        expect(same.every((value, i) => value === values[i])).toBe(true);
      }),
    );
  });

  test('stays finite at the ends of the generator', () => {
    for (const word of [0, 0xffff_ffff]) {
      const values = new Float64Array(3);
      addGaussianNoise(values, 1, (words) => words.fill(word));
      expect(values.every((value) => Math.abs(value) < 8.6)).toBe(true);
    }
  });
});

describe('a Poisson sample', () => {
  test('has the size of a binomial distribution, never a fixed one', () => {
    const sizes = Array.from({ length: 200 }, () => poissonSample(upTo(5_000), 0.05).length);
    const mean = sizes.reduce((a, b) => a + b, 0) / 200;
    const variance = sizes.reduce((a, b) => a + (b - 250) ** 2, 0) / 200;
    // Mean 250, variance 237.5. 6 standard errors of each: less than once in 10⁷ runs.
    expect(Math.abs(mean - 250)).toBeLessThan(6 * Math.sqrt(237.5 / 200));
    expect(Math.abs(variance / 237.5 - 1)).toBeLessThan(6 * Math.sqrt(2 / 200));
  });

  test('has every candidate equally often, also beyond a block of random words', () => {
    const candidates = upTo(40_000);
    const counts = new Float64Array(4);
    for (let i = 0; i < 100; i++) {
      for (const row of poissonSample(candidates, 0.1)) {
        const quarter = Math.floor(row / 10_000);
        counts[quarter] = (counts[quarter] ?? 0) + 1;
      }
    }
    // Each quarter: mean 100,000, deviation 300; 6 of them: less than once in 10⁷ runs.
    for (const count of counts) expect(Math.abs(count - 100_000)).toBeLessThan(1_800);
  });

  test('holds candidates in order and each at most once; of rate 1 all, of rate 0 none', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(1000)), fc.double({ min: 0, max: 1, noNaN: true }), (rows, q) => {
        const candidates = Uint32Array.from(rows).toSorted();
        const sample = poissonSample(candidates, q);
        expect([...sample]).toEqual([...new Set(sample)].toSorted((a, b) => a - b));
        expect([...sample].every((row) => candidates.includes(row))).toBe(true);
        expect(poissonSample(candidates, 1)).toEqual(candidates);
        expect(poissonSample(candidates, 0)).toHaveLength(0);
      }),
    );
  });
});
