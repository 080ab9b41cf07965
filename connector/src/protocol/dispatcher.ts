import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { FoedusError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { PeerClient } from '../identity/index.ts';
import { pause, pauseBefore, retryAfterOf } from './back-off.ts';
import { readJson } from './json-body.ts';
import { messagePath } from './messages.ts';
import type { Outbox, OutboxEntry } from './outbox.ts';
import { peerPidOf, type Process } from './process-store.ts';

/** Messages in flight to one counterparty at the same time. */
const LANES_PER_PEER = 4;

export interface Dispatcher extends AsyncDisposable {
  /** There is (perhaps) something to deliver for this process. Returns at once. */
  wake(processId: string): void;
  /** Takes up everything that was open when the program ended last time. */
  recover(): void;
}

export interface DispatcherOptions {
  readonly outbox: Outbox;
  readonly client: PeerClient;
  readonly events: Events;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** Trying one message for longer than this ends its process. Milliseconds, as are the next two. */
  readonly giveUpAfterMs: number;
  /** One attempt that takes longer counts as failed. */
  readonly attemptTimeoutMs: number;
  readonly longestPauseMs: number;
  process(entry: OutboxEntry): Process | undefined;
  /** The counterparty has the message: removes it, and learns from the answer (JSON, or undefined), in one transaction. */
  delivered(entry: OutboxEntry, answer: unknown): void;
  /** It will never have it: removes it and ends the process, in one transaction. */
  undeliverable(entry: OutboxEntry, reason: string): void;
}

type Outcome =
  | { readonly kind: 'delivered'; readonly answer: unknown }
  | { readonly kind: 'again'; readonly reason: string; readonly afterMs: number }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Delivers the outbox: in order for each process, several processes at once, at most a few to one counterparty.
 * It sleeps until it is woken; timers exist only while a failed delivery waits for its next attempt.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { outbox, events, logger, giveUpAfterMs, longestPauseMs } = options;
  const stopping = new AbortController();
  const lanes = new Map<string, Promise<void>>();
  const slots = createSlots(LANES_PER_PEER);

  const processOf = (entry: OutboxEntry): Process => {
    const process = options.process(entry);
    if (process) return process;
    throw new Error(`outbox message ${entry.sequence} belongs to no process`);
  };

  const run = async (processId: string): Promise<void> => {
    let attempts = 0;
    let since = performance.now();
    while (!stopping.signal.aborted) {
      const entry = outbox.head(processId);
      if (!entry) {
        // In the same turn as the look, so that nobody's wake falls in between.
        lanes.delete(processId);
        return;
      }
      const { counterPartyId } = processOf(entry);
      // Looked at again when it is its turn: meanwhile the counterparty may have told its process id.
      const outcome = await slots(counterPartyId, () => deliver(options, entry, processOf(entry), stopping.signal));
      if (stopping.signal.aborted && outcome.kind !== 'delivered') return;
      // Another message may have taken its place meanwhile, because the process was ended.
      if (outbox.head(processId)?.sequence !== entry.sequence) continue;
      attempts += 1;
      if (outcome.kind === 'delivered') {
        options.delivered(entry, outcome.answer);
        events.delivered(entry.name, counterPartyId);
      } else if (outcome.kind === 'refused') {
        options.undeliverable(entry, outcome.reason);
      } else if (performance.now() - since >= giveUpAfterMs) {
        const seconds = Math.round(giveUpAfterMs / 1000);
        options.undeliverable(entry, `The counterparty could not be reached for ${seconds} s: ${outcome.reason}`);
      } else {
        events.retried(entry.name, counterPartyId, attempts, outcome.reason);
        const ms = pauseBefore(attempts, { longest: longestPauseMs, retryAfter: outcome.afterMs });
        await pause(Math.min(ms, giveUpAfterMs), stopping.signal);
        continue;
      }
      attempts = 0;
      since = performance.now();
    }
  };

  const wake = (processId: string): void => {
    if (stopping.signal.aborted || lanes.has(processId)) return;
    const lane = Promise.resolve()
      .then(() => run(processId))
      .catch((error: unknown) => {
        logger.error({ err: error, process: processId }, 'delivery failed unexpectedly');
        lanes.set(processId, retryLater(processId));
      });
    lanes.set(processId, lane);
  };
  /** After an unexpected failure: the message stays, and is tried again as after any other failure. */
  const retryLater = async (processId: string): Promise<void> => {
    await pause(pauseBefore(6), stopping.signal);
    lanes.delete(processId);
    wake(processId);
  };

  return {
    wake,
    recover: () => {
      for (const processId of outbox.waiting()) wake(processId);
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await Promise.allSettled(lanes.values());
    },
  };
}

async function deliver(
  { client, clock, attemptTimeoutMs }: DispatcherOptions,
  entry: OutboxEntry,
  process: Process,
  signal: AbortSignal,
): Promise<Outcome> {
  const peerPid = peerPidOf(process);
  if (!entry.initial && peerPid === undefined) {
    return { kind: 'again', reason: 'the counterparty has not told its process id yet', afterMs: 0 };
  }
  const { consumerPid, providerPid } = process;
  const body = entry.initial ? entry.message : { ...entry.message, consumerPid, providerPid };
  const url = process.counterPartyAddress + messagePath(entry.name, entry.initial ? undefined : peerPid);
  const parent = propagation.extract(ROOT_CONTEXT, entry.trace);
  try {
    const response = await context.with(parent, () =>
      client.fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(body),
        expect: process.counterPartyId,
        timeoutMs: attemptTimeoutMs,
        // The body counts, too: a peer that sends it drop by drop must not hold a lane for ever.
        signal: AbortSignal.any([signal, AbortSignal.timeout(2 * attemptTimeoutMs)]),
      }),
    );
    // Many answers are empty or say no content type: only what can be read is used.
    const answer: unknown = await readJson(response).catch(() => undefined);
    if (response.ok) return { kind: 'delivered', answer };
    const reason = `${response.status}${wordsOf(answer)}`;
    if (response.status === 404 || response.status === 408 || response.status === 429 || response.status >= 500) {
      return { kind: 'again', reason: `it answered ${reason}`, afterMs: retryAfterOf(response.headers, clock()) };
    }
    return { kind: 'refused', reason: `The counterparty refused the ${entry.name} with ${reason}` };
  } catch (error) {
    const known = error instanceof FoedusError;
    const reason = error instanceof Error ? error.message : String(error);
    if (known && error.code !== 'unavailable') return { kind: 'refused', reason };
    return { kind: 'again', reason, afterMs: 0 };
  }
}

/** What a typed error says, shortened. */
function wordsOf(answer: unknown): string {
  const reason = (answer as { reason?: unknown } | undefined)?.reason;
  const words = Array.isArray(reason) ? reason.filter((item) => typeof item === 'string').join('; ') : '';
  return words === '' ? '' : `: ${words.slice(0, 1_000)}`;
}

/** Lets `count` pieces of work run at once for each key; others wait in the order they came. */
function createSlots(count: number): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const busy = new Map<string, { running: number; readonly queue: (() => void)[] }>();
  return async (key, work) => {
    const state = busy.get(key) ?? { running: 0, queue: [] };
    busy.set(key, state);
    if (state.running >= count) await new Promise<void>((resolve) => state.queue.push(resolve));
    else state.running += 1;
    try {
      return await work();
    } finally {
      const next = state.queue.shift();
      if (next) next();
      else if ((state.running -= 1) === 0) busy.delete(key);
    }
  };
}
