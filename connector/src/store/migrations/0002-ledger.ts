import type { Migration } from '../database.ts';

/**
 * What was charged under each agreement. Entries are never deleted: a refunded one stays as evidence.
 *
 * `ledger_total` holds the sum of all charges that are reserved or committed, so that a decision reads one row per
 * meter however long the history is. It changes in the same transaction as the entries it sums up.
 */
export const ledger: Migration = {
  version: 2,
  name: 'ledger',
  sql: `
    CREATE TABLE ledger_entry (
      sequence INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      agreement_id TEXT NOT NULL,
      key TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('reserved', 'committed', 'refunded')),
      policy_digest TEXT NOT NULL,
      decision TEXT NOT NULL,
      basis TEXT,
      created_at TEXT NOT NULL,
      settled_at TEXT,
      UNIQUE (agreement_id, key)
    ) STRICT;
    CREATE INDEX ledger_entry_agreement ON ledger_entry (agreement_id, sequence);

    CREATE TABLE ledger_charge (
      entry INTEGER NOT NULL REFERENCES ledger_entry (sequence),
      meter TEXT NOT NULL CHECK (meter IN ('uses', 'rounds', 'epsilon')),
      amount REAL NOT NULL CHECK (amount >= 0),
      PRIMARY KEY (entry, meter)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE ledger_total (
      agreement_id TEXT NOT NULL,
      meter TEXT NOT NULL CHECK (meter IN ('uses', 'rounds', 'epsilon')),
      spent REAL NOT NULL CHECK (spent >= 0),
      PRIMARY KEY (agreement_id, meter)
    ) STRICT, WITHOUT ROWID;
  `,
};
