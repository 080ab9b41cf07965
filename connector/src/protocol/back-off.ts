import { randomInt } from 'node:crypto';

/** First pause between two attempts, in milliseconds. */
const FIRST = 250;

/**
 * How long to wait before the next attempt: exponential with full jitter on its upper half, so that peers which lost
 * the same connection do not come back in step.
 *
 * @param attempt 1 after the first failure
 * @returns milliseconds
 */
export function pauseBefore(attempt: number, { longest = 30_000, random = randomInt }: BackOffOptions = {}): number {
  const ceiling = Math.min(longest, FIRST * 2 ** Math.min(attempt - 1, 20));
  const half = Math.floor(ceiling / 2);
  return half + random(half + 1);
}

interface BackOffOptions {
  /** Milliseconds. @default 30000 */
  readonly longest?: number;
  /** A whole number in [0, below). @default from node:crypto */
  readonly random?: (below: number) => number;
}

/**
 * `Retry-After` of a response (RFC 9110, 10.2.3): seconds or an HTTP date.
 *
 * @returns milliseconds from `now`; 0 where there is none that can be read
 */
export function retryAfterOf(headers: Pick<Headers, 'get'>, now: Date): number {
  const value = headers.get('retry-after');
  if (value === null) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now.getTime());
}

/** Waits, or returns at once when `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
