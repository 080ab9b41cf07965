import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pause, pauseBefore, retryAfterOf } from './back-off.ts';

describe('pauseBefore', () => {
  it('doubles from 250 ms up to the longest pause, with jitter on the upper half', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 100_000 }), (attempt, longest) => {
        const ceiling = Math.min(longest, 250 * 2 ** Math.min(attempt - 1, 20));
        const ms = pauseBefore(attempt, { longest });
        expect(ms).toBeGreaterThanOrEqual(Math.floor(ceiling / 2));
        expect(ms).toBeLessThanOrEqual(ceiling);
      }),
    );
    expect(pauseBefore(1, { random: (below) => below - 1 })).toBe(250);
    expect(pauseBefore(3, { random: (below) => below - 1 })).toBe(1000);
  });
});

describe('retryAfterOf', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  it.each([
    ['120', 120_000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2020 00:00:30 GMT', 0],
    ['soon', 0],
    ['-5', 0],
  ])('reads %j', (value, expected) => {
    expect(retryAfterOf(new Headers({ 'retry-after': value }), now)).toBe(expected);
  });
});

describe('pause', () => {
  it('ends at once when it is aborted', async () => {
    const controller = new AbortController();
    const waiting = pause(1e9, controller.signal);
    controller.abort();
    await waiting;
    await pause(1e9, controller.signal);
  });
});
