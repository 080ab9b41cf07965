import type { Migration } from '../database.ts';

/**
 * Rows and bytes as meters, and with each entry what was asked for: it is decided again while data leave. Checks cannot
 * be altered in SQLite, so the two tables are made anew.
 */
export const volume: Migration = {
  version: 5,
  name: 'volume',
  sql: `
    ALTER TABLE ledger_entry ADD COLUMN request TEXT;

    CREATE TABLE ledger_charge_5 (
      entry INTEGER NOT NULL REFERENCES ledger_entry (sequence),
      meter TEXT NOT NULL CHECK (meter IN ('uses', 'rounds', 'epsilon', 'rows', 'bytes')),
      amount REAL NOT NULL CHECK (amount >= 0),
      PRIMARY KEY (entry, meter)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO ledger_charge_5 SELECT entry, meter, amount FROM ledger_charge;
    DROP TABLE ledger_charge;
    ALTER TABLE ledger_charge_5 RENAME TO ledger_charge;

    CREATE TABLE ledger_total_5 (
      agreement_id TEXT NOT NULL,
      meter TEXT NOT NULL CHECK (meter IN ('uses', 'rounds', 'epsilon', 'rows', 'bytes')),
      spent REAL NOT NULL CHECK (spent >= 0),
      PRIMARY KEY (agreement_id, meter)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO ledger_total_5 SELECT agreement_id, meter, spent FROM ledger_total;
    DROP TABLE ledger_total;
    ALTER TABLE ledger_total_5 RENAME TO ledger_total;
  `,
};
