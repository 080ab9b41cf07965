import type { Database } from './database.ts';

/** A transaction under way. */
export interface Transaction {
  /** Runs `effect` once everything is durable; never when the transaction was rolled back. */
  after(effect: () => void): void;
}

export type Transact = <T>(work: (transaction: Transaction) => T) => T;

/**
 * Transactions that tell others about what they wrote only when it is durable. A nested call joins the one around it.
 */
export function createTransact(database: Database): Transact {
  let current: (() => void)[] | undefined;
  return (work) => {
    if (current) {
      const effects = current;
      return work({ after: (effect) => void effects.push(effect) });
    }
    const effects: (() => void)[] = [];
    current = effects;
    let result: ReturnType<typeof work>;
    try {
      result = database.transaction(() => work({ after: (effect) => void effects.push(effect) }));
    } finally {
      current = undefined;
    }
    for (const effect of effects) effect();
    return result;
  };
}
