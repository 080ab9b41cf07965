import { expect, test } from 'vitest';
import { logAdd, logErfc, logExpm1 } from './log-space.ts';

test('log erfc has the published values (DLMF table 7, asymptotics beyond)', () => {
  for (const [x, erfc] of [
    [-1, 1.842700792949715],
    [0, 1],
    [0.5, 0.4795001221869535],
    [1.9, 0.00720957],
    [1, 0.15729920705028513],
    [2, 0.004677734981047266],
    [3, 2.209049699858544e-5],
    [5, 1.5374597944280349e-12],
    [10, 2.088487583762545e-45],
  ] as const) {
    expect(Math.exp(logErfc(x)) / erfc).toBeCloseTo(1, 6);
    if (x !== 1.9) expect(Math.abs(logErfc(x) - Math.log(erfc))).toBeLessThan(2e-13);
  }
});

test('log erfc has no step where the method changes and none where erfc underflows', () => {
  for (const x of [2, 26.5, 27, 100]) {
    const slope = (logErfc(x + 1e-6) - logErfc(x - 1e-6)) / 2e-6;
    // erfc(x) ~ exp(−x²)/(x√π): the logarithm's slope is close to −2x − 1/x.
    expect(Math.abs(slope / (-2 * x - 1 / x) - 1)).toBeLessThan(0.05);
  }
  expect(Math.abs(logErfc(2 - 1e-12) - logErfc(2))).toBeLessThan(1e-11);
});

test('sums by logarithms are those of the numbers', () => {
  expect(logAdd(Math.log(3), Math.log(4))).toBeCloseTo(Math.log(7), 14);
  expect(logAdd(-Infinity, -Infinity)).toBe(-Infinity);
  expect(logAdd(-Infinity, 2)).toBe(2);
  expect(logAdd(1000, 1000)).toBeCloseTo(1000 + Math.LN2, 12);
  expect(logExpm1(1e-12)).toBeCloseTo(Math.log(1e-12), 11);
  expect(logExpm1(800)).toBe(800);
});
