import type { Logger } from 'pino';
import { pause, pauseBefore } from '../protocol/back-off.ts';
import type { Transact, Transaction } from '../store/transact.ts';
import type { DeliveryStore, Parcel } from './delivery-store.ts';

/** Brings what the outbox of duties holds to whom it is for, and tries until it is taken. */
export interface Courier extends AsyncDisposable {
  /** There is something in this lane. */
  wake(lane: string): void;
  /** Takes up what was open when the program ended. */
  recover(): void;
}

/**
 * One lane's parcels go out one after the other in the order they were made; what fails is tried again, after pauses
 * that double up to `longestPauseMs`, until it is taken, and what comes after it waits. Lanes do not wait for each other.
 *
 * @param carry does it once; throws where it did not work. What it has done may be done again after a crash
 * @param taken called in the transaction that marks a parcel as done
 */
export function createCourier(options: {
  store: DeliveryStore;
  transact: Transact;
  logger: Logger;
  clock: () => Date;
  longestPauseMs: number;
  carry: (parcel: Parcel, signal: AbortSignal) => Promise<void>;
  taken: (transaction: Transaction, parcel: Parcel) => void;
}): Courier {
  const { store, transact, logger, clock, longestPauseMs, carry, taken } = options;
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();
  const { signal } = stopping;

  const work = async (lane: string): Promise<void> => {
    for (let failures = 0; !signal.aborted;) {
      const parcel = store.first(lane);
      if (parcel === undefined) return;
      const attempts = parcel.delivery.attempts + 1;
      const { problem: _before, ...delivery } = parcel.delivery;
      try {
        await carry(parcel, signal);
        const done = { ...delivery, attempts, state: 'done', doneAt: clock().toISOString() } as const;
        transact((transaction) => {
          store.save(done);
          taken(transaction, parcel);
        });
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        const problem = error instanceof Error ? error.message : String(error);
        failures += 1;
        logger.warn({ to: delivery.to, agreement: delivery.agreementId, attempts, problem }, 'a duty is not done yet');
        transact(() => store.save({ ...delivery, attempts, problem }));
        await pause(pauseBefore(failures, { longest: longestPauseMs }), signal);
      }
    }
  };
  const wake = (lane: string): void => {
    if (running.has(lane) || signal.aborted) return;
    const turn = work(lane)
      .catch((error: unknown) => logger.error({ err: error, lane }, 'deliveries of duties have stopped'))
      .finally(() => {
        running.delete(lane);
        // What was put there between the last look and now.
        if (!signal.aborted && store.first(lane) !== undefined) wake(lane);
      });
    running.set(lane, turn);
  };
  return {
    wake,
    recover: () => {
      transact(() => {
        for (const delivery of store.abandoned()) {
          store.save({ ...delivery, state: 'failed', problem: 'The node went down before it was done.' });
        }
      });
      for (const lane of store.lanes()) wake(lane);
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}
