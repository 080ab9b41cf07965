import { context } from '@opentelemetry/api';
import type { Database } from './database.ts';

/** A transaction under way. */
export interface Transaction {
  /** Runs `effect` once everything is durable; never when the transaction was rolled back. It must not throw. */
  after(effect: () => void): void;
}

/**
 * Transactions that tell others about what they wrote only when it is durable. A nested call joins the one around it.
 */
export interface Transact {
  <T>(work: (transaction: Transaction) => T): T;
  /** Like a nested call, but when `work` throws, what it wrote is taken back, and nothing of the transaction around it. */
  attempt<T>(work: (transaction: Transaction) => T): T;
}

export function createTransact(database: Database): Transact {
  let current: (() => void)[] | undefined;
  const savepoint = database.sql.prepare('SAVEPOINT attempt');
  const release = database.sql.prepare('RELEASE attempt');
  const rollback = database.sql.prepare('ROLLBACK TO attempt');

  /** Runs `work` with the effects that it asks for collected in `effects`. */
  const collect = <T>(effects: (() => void)[], work: (transaction: Transaction) => T): T => {
    const around = current;
    current = effects;
    try {
      // What follows belongs to the trace of what caused it, whoever's turn it is to commit.
      const active = context.active();
      return work({ after: (effect) => void effects.push(() => context.with(active, effect)) });
    } finally {
      current = around;
    }
  };
  const transact = <T>(work: (transaction: Transaction) => T): T => {
    if (current) return collect(current, work);
    const effects: (() => void)[] = [];
    const result = database.transaction(() => collect(effects, work));
    for (const effect of effects) effect();
    return result;
  };
  const attempt = <T>(work: (transaction: Transaction) => T): T => {
    if (!current) return transact(work);
    // A savepoint without a transaction would begin one of its own.
    if (!database.sql.isTransaction) throw new Error('the transaction has been ended by a failure within it');
    const effects: (() => void)[] = [];
    savepoint.run();
    try {
      const result = collect(effects, work);
      current.push(...effects);
      return result;
    } catch (error) {
      // Some failures (a full disk, for one) have ended the whole transaction already.
      if (database.sql.isTransaction) rollback.run();
      throw error;
    } finally {
      if (database.sql.isTransaction) release.run();
    }
  };
  return Object.assign(transact, { attempt });
}
