import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Waits between attempts at something that is out of reach for a while. */
export interface BackOff {
  /** @throws AbortError when `signal` aborts */
  wait(signal: AbortSignal): Promise<void>;
  /** It worked: the next failure waits shortly again. */
  reset(): void;
}

/**
 * Waits longer after every failure in a row, doubling, less a random part of up to a quarter, so that those who failed
 * at the same moment do not come again at the same moment.
 *
 * @param options `firstMs` after the first failure (default 250), `longestMs` at most (default 15000)
 */
export function createBackOff(options: { readonly firstMs?: number; readonly longestMs?: number } = {}): BackOff {
  const { firstMs = 250, longestMs = 15_000 } = options;
  let failures = 0;
  return {
    async wait(signal) {
      const full = Math.min(longestMs, firstMs * 2 ** failures);
      failures = Math.min(failures + 1, 30);
      await delay(full * (1 - randomInt(1000) / 4000), undefined, { signal });
    },
    reset() {
      failures = 0;
    },
  };
}
