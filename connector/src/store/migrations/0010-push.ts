import type { Migration } from '../database.ts';

/**
 * Pushes on their way, and the parts that were charged. A part's hash makes sure that what is sent again after a crash
 * is what was paid for.
 */
export const push: Migration = {
  version: 10,
  name: 'push',
  sql: `
    CREATE TABLE push (
      transfer_id TEXT PRIMARY KEY,
      entry_id TEXT NOT NULL,
      decision TEXT NOT NULL,
      receiver TEXT,
      finished INTEGER NOT NULL CHECK (finished IN (0, 1))
    ) STRICT;
    CREATE TABLE push_part (
      transfer_id TEXT NOT NULL REFERENCES push (transfer_id),
      number INTEGER NOT NULL CHECK (number > 0),
      bytes INTEGER NOT NULL CHECK (bytes >= 0),
      hash TEXT NOT NULL,
      tag TEXT,
      PRIMARY KEY (transfer_id, number)
    ) STRICT, WITHOUT ROWID;
  `,
};
