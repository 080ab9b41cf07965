import { expect, test } from 'vitest';
import { createBackOff } from './back-off.ts';

test('waits longer after every failure, up to the longest, and shortly again after a success', async () => {
  const backOff = createBackOff({ firstMs: 4, longestMs: 16 });
  const { signal } = new AbortController();
  const waited = async (): Promise<number> => {
    const began = performance.now();
    await backOff.wait(signal);
    return performance.now() - began;
  };
  // A quarter may be missing, and timers may fire up to a millisecond early.
  expect(await waited()).toBeGreaterThan(2 - 0.1);
  expect(await waited()).toBeGreaterThan(5 - 0.1);
  expect(await waited()).toBeGreaterThan(11 - 0.1);
  backOff.reset();
  expect(await waited()).toBeGreaterThan(2 - 0.1);
});

test('stops waiting when it is aborted', async () => {
  const stopping = new AbortController();
  const waiting = createBackOff({ firstMs: 60_000, longestMs: 60_000 }).wait(stopping.signal);
  stopping.abort();
  await expect(waiting).rejects.toThrow(/abort/i);
});
