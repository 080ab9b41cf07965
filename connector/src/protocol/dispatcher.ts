import type { Logger } from 'pino';
import type { Events } from '../events.ts';
import { pause, pauseBefore } from './back-off.ts';
import { deliver, type DeliveryOptions, type Outcome } from './delivery.ts';
import type { Outbox, OutboxEntry } from './outbox.ts';
import type { PeerGate } from './peer-gate.ts';
import { peerPidOf, type Process } from './process-store.ts';

export interface Dispatcher extends AsyncDisposable {
  /** There is (perhaps) something to deliver for this process. Returns at once. */
  wake(processId: string): void;
  /** Takes up everything that was open when the program ended last time. */
  recover(): void;
}

export interface DispatcherOptions extends DeliveryOptions {
  readonly outbox: Outbox;
  readonly gate: PeerGate;
  readonly events: Events;
  readonly logger: Logger;
  /** Milliseconds between two attempts at one message at most, unless the counterparty wants more. */
  readonly longestPauseMs: number;
  process(entry: OutboxEntry): Process | undefined;
  /** The counterparty has the message: removes it, and learns from the answer (JSON, or undefined). */
  delivered(entry: OutboxEntry, answer: unknown): void;
  /**
   * The counterparty will not take the message. Looks whether that is because both sides have come to the same end
   * already; else it is `undeliverable`.
   */
  refused(entry: OutboxEntry, reason: string): Promise<void>;
  /** The counterparty will never have it: removes it and ends the process, in one transaction. */
  undeliverable(entry: OutboxEntry, reason: string): Promise<void>;
}

/**
 * Delivers the outbox: in order for each process, several processes at once, at most a few to one counterparty, none
 * while that is out of reach. It sleeps until it is woken; timers exist only while a failed delivery waits for its next
 * attempt.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { outbox, gate, events, logger, giveUpAfterMs, longestPauseMs } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const lanes = new Map<string, Promise<void>>();

  const processOf = (entry: OutboxEntry): Process => {
    const process = options.process(entry);
    if (process) return process;
    throw new Error(`outbox message ${entry.sequence} belongs to no process`);
  };
  const giveUp = async (entry: OutboxEntry, reason: string): Promise<void> => {
    const seconds = Math.round(giveUpAfterMs / 1000);
    await options.undeliverable(entry, `The counterparty could not be reached for ${seconds} s: ${reason}`);
  };

  /** Attempts until the message is out of the outbox, or not the first of its process any more, or the node stops. */
  const settle = async (entry: OutboxEntry): Promise<void> => {
    let process = processOf(entry);
    const { counterPartyId } = process;
    let since: number | undefined;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const turn = await gate.enter(counterPartyId, giveUpAfterMs);
      if (!turn.pass) {
        if (turn.reason !== undefined) await giveUp(entry, turn.reason);
        return;
      }
      since ??= performance.now();
      let outcome: Outcome | undefined;
      try {
        // Another message may have taken its place meanwhile, because the process was ended.
        if (!outbox.isNext(entry)) return;
        // The counterparty may have told its process id, which is all of a process that a message needs to know.
        if (!entry.initial && peerPidOf(process) === undefined) {
          await outbox.settled();
          process = processOf(entry);
        }
        outcome = await deliver(options, entry, process, signal);
      } finally {
        gate.leave(counterPartyId, outcome?.sign ?? 'nothing');
      }
      if (signal.aborted && outcome.kind !== 'delivered') return;
      if (!outbox.isNext(entry)) return;
      if (outcome.kind === 'delivered') {
        options.delivered(entry, outcome.answer);
        events.delivered(entry.name, counterPartyId);
        return;
      }
      if (outcome.kind === 'refused') {
        await options.refused(entry, outcome.reason);
        return;
      }
      if (performance.now() - since >= giveUpAfterMs) {
        await giveUp(entry, outcome.reason);
        return;
      }
      events.retried(entry.name, counterPartyId, attempt, outcome.reason);
      // While the counterparty is out of reach, the gate paces the attempts of all messages to it.
      if (typeof outcome.sign === 'object' && gate.isOpen(counterPartyId)) continue;
      const ms = Math.max(pauseBefore(attempt, { longest: longestPauseMs }), outcome.retryAfter);
      await pause(Math.min(ms, giveUpAfterMs), signal);
    }
  };

  const run = async (processId: string): Promise<void> => {
    while (!signal.aborted) {
      const entry = outbox.head(processId);
      if (!entry) {
        // In the same turn as the look, so that nobody's wake falls in between.
        lanes.delete(processId);
        return;
      }
      await settle(entry);
    }
  };
  const wake = (processId: string): void => {
    if (signal.aborted || lanes.has(processId)) return;
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
    await pause(pauseBefore(6), signal);
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
      gate.close();
      await Promise.allSettled(lanes.values());
    },
  };
}
