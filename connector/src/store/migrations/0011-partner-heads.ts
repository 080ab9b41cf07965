import type { Migration } from '../database.ts';

/** The newest heads of partners' ledgers: what this node holds against a ledger that was set back. */
export const partnerHeads: Migration = {
  version: 11,
  name: 'partner heads',
  sql: `
    CREATE TABLE partner_head (
      agreement_id TEXT PRIMARY KEY,
      sequence INTEGER NOT NULL,
      head TEXT NOT NULL
    ) STRICT;
  `,
};
