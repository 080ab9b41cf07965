import type { Migration } from '../database.ts';

/**
 * What happened to the ledger, by agreement, as a hash chain. `body` is the element in RFC 8785 form, `hash` its
 * SHA-256; each element names the hash of the one before.
 *
 * `chained` is how much of a charge the chain has: less than the amount while data leave. `ledger_unchained` has the
 * agreements whose entries are older than their chain; it is made when one of them is used next.
 */
export const ledgerChain: Migration = {
  version: 6,
  name: 'ledger chain',
  sql: `
    CREATE TABLE ledger_element (
      agreement_id TEXT NOT NULL,
      sequence INTEGER NOT NULL CHECK (sequence > 0),
      kind TEXT NOT NULL CHECK (kind IN ('reserved', 'committed', 'refunded', 'drawn', 'reconciled')),
      body TEXT NOT NULL,
      hash TEXT NOT NULL,
      PRIMARY KEY (agreement_id, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ledger_element_reconciled ON ledger_element (agreement_id) WHERE kind = 'reconciled';

    ALTER TABLE ledger_charge ADD COLUMN chained REAL NOT NULL DEFAULT 0;
    UPDATE ledger_charge SET chained = amount WHERE meter NOT IN ('rows', 'bytes');
    CREATE INDEX ledger_charge_unchained ON ledger_charge (entry) WHERE amount > chained;

    CREATE TABLE ledger_unchained (agreement_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    INSERT INTO ledger_unchained SELECT DISTINCT agreement_id FROM ledger_entry;

    -- Heads that partners hold and the chain does not contain: nothing is released until they are reconciled.
    CREATE TABLE ledger_dispute (
      agreement_id TEXT NOT NULL,
      hash TEXT NOT NULL,
      head TEXT NOT NULL,
      presented_at TEXT NOT NULL,
      PRIMARY KEY (agreement_id, hash)
    ) STRICT, WITHOUT ROWID;
  `,
};
