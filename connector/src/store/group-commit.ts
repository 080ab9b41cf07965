import { context, type Context } from '@opentelemetry/api';
import type { Transact, Transaction } from './transact.ts';

/**
 * Durable commits that share their wait for the disk: all work that is handed in during one turn of the event loop is
 * done in one transaction. A piece that throws takes back what it wrote, and nothing of the others.
 */
export interface GroupCommit extends AsyncDisposable {
  /**
   * Does `work` with what else there is to do, in the order it was handed in.
   *
   * @returns what it returned, once that is durable. Rejects with what it threw, or with why the commit failed
   */
  run<T>(work: (transaction: Transaction) => T): Promise<T>;
  /**
   * Does `work` with the next group, or a moment later: for what nobody waits for, and what is done again when a crash
   * comes in between.
   */
  soon(work: (transaction: Transaction) => void): void;
}

/** How long work that nobody waits for may wait for company, in milliseconds. */
const LATEST = 50;

interface Piece {
  /** Whose trace it belongs to. */
  readonly from: Context;
  readonly work: (transaction: Transaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Disposing it commits what is waiting.
 *
 * @param failed told why a piece of `soon` was not done
 */
export function createGroupCommit(transact: Transact, failed: (error: unknown) => void): GroupCommit {
  let pieces: Piece[] = [];
  let scheduled: NodeJS.Immediate | undefined;
  let latest: NodeJS.Timeout | undefined;

  const commit = (group: readonly Piece[]): void => {
    let settle: (() => void)[] = [];
    try {
      transact(() => {
        settle = group.map(({ from, work, resolve, reject }) => {
          try {
            const value = context.with(from, () => (group.length > 1 ? transact.attempt(work) : transact(work)));
            return () => resolve(value);
          } catch (error) {
            if (group.length === 1) throw error;
            return () => reject(error);
          }
        });
      });
    } catch (error) {
      settle = group.map(
        ({ reject }) =>
          () =>
            reject(error),
      );
    }
    for (const tell of settle) tell();
  };
  const flush = (): void => {
    clearImmediate(scheduled);
    clearTimeout(latest);
    scheduled = undefined;
    latest = undefined;
    const group = pieces;
    pieces = [];
    if (group.length > 0) commit(group);
  };

  return {
    run: (work) =>
      new Promise((resolve, reject) => {
        pieces.push({ from: context.active(), work, resolve: resolve as (value: unknown) => void, reject });
        scheduled ??= setImmediate(flush);
      }),
    soon: (work) => {
      pieces.push({ from: context.active(), work, resolve: () => undefined, reject: failed });
      if (!scheduled) latest ??= setTimeout(flush, LATEST);
    },
    [Symbol.asyncDispose]: async () => flush(),
  };
}
