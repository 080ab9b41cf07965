/**
 * Trade-offs of noise and rounds, each worked out once. It takes up to seconds of computing, so a thread of its own does
 * it, one at a time: rounds that are under way do not wait for whoever looks at a chart.
 */
import { FoedusError } from '@foedus/connector/errors';
import { type Contract, documentHash, type SessionPlan, type SessionTradeOff } from '@foedus/fl-core';
import { Worker } from 'node:worker_threads';

/** The newest are kept; one is a few kilobytes. */
const MOST_KEPT = 64;
const MOST_WAITING = 8;

export interface TradeOffs extends AsyncDisposable {
  /** @throws FoedusError `unavailable` when too many wait, or when it takes too long */
  of(plan: SessionPlan, contracts: readonly Contract[]): Promise<SessionTradeOff>;
}

export interface TradeOffsOptions {
  /** The longest that one may be worked on. */
  readonly mostSeconds: number;
  /** Works one out; a thread by default. */
  readonly work?: (plan: SessionPlan, contracts: readonly Contract[], signal: AbortSignal) => Promise<SessionTradeOff>;
}

export function createTradeOffs({ mostSeconds, work = inThread }: TradeOffsOptions): TradeOffs {
  const kept = new Map<string, Promise<SessionTradeOff>>();
  const stopping = new AbortController();
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  const workOut = async (plan: SessionPlan, contracts: readonly Contract[]): Promise<SessionTradeOff> => {
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    waiting += 1;
    try {
      await before;
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(mostSeconds * 1000)]);
      signal.throwIfAborted();
      return await work(plan, contracts, signal);
    } catch (cause) {
      if (cause instanceof FoedusError) throw cause;
      const why = stopping.signal.aborted
        ? 'The coordinator is being stopped.'
        : `It was not worked out within ${mostSeconds} seconds. Ask again when there is less to do, or use foedus privacy plan.`;
      throw new FoedusError('unavailable', `The trade-off of noise and rounds is not known. ${why}`, { cause });
    } finally {
      waiting -= 1;
      resolve();
    }
  };

  return {
    async of(plan, contracts) {
      const key = documentHash({ plan, contracts });
      const known = kept.get(key);
      if (known !== undefined) return await known;
      if (waiting >= MOST_WAITING) {
        throw new FoedusError(
          'unavailable',
          'Other trade-offs of noise and rounds are being worked out. Ask again soon.',
        );
      }
      const asked = workOut(plan, contracts);
      kept.set(key, asked);
      asked.catch(() => kept.delete(key));
      const oldest = kept.keys().next().value;
      if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
      return await asked;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await last;
    },
  };
}

async function inThread(
  plan: SessionPlan,
  contracts: readonly Contract[],
  signal: AbortSignal,
): Promise<SessionTradeOff> {
  const worker = new Worker(new URL('./trade-off-worker.ts', import.meta.url), {
    workerData: { plan, contracts },
    name: 'foedus-trade-off',
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  });
  const { promise, resolve, reject } = Promise.withResolvers<SessionTradeOff>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) => reject(new Error(`The thread ended with code ${code} before its answer.`)));
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
