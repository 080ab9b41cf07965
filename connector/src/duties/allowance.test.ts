import { expect, it } from 'vitest';
import { createAllowance } from './allowance.ts';

it('lets each participant have so much at once, and again as time passes', () => {
  let now = new Date('2026-06-01T12:00:00Z');
  const allowance = createAllowance({ most: 100, overMs: 1_000, clock: () => now });
  expect([allowance.take('a', 60), allowance.take('a', 40), allowance.take('a', 1)]).toEqual([true, true, false]);
  expect(allowance.take('b', 100)).toBe(true);
  now = new Date(now.getTime() + 500);
  expect([allowance.take('a', 51), allowance.take('a', 50), allowance.take('a', 1)]).toEqual([false, true, false]);
  now = new Date(now.getTime() - 60_000);
  expect(allowance.take('a', 1)).toBe(false);
  now = new Date(now.getTime() + 3_600_000);
  expect([allowance.take('a', 101), allowance.take('a', 100)]).toEqual([false, true]);
});
