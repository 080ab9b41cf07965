import type { Migration } from '../database.ts';

/**
 * Profiles that Delta Sharing clients read with (only hashes of their tokens), the tables of each, and the transfer
 * that is kept open for reads under an agreement.
 */
export const shares: Migration = {
  version: 8,
  name: 'shares',
  sql: `
CREATE TABLE share_profile (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  purpose TEXT,
  hash TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT
) STRICT;
CREATE TABLE share_table (
  profile_id TEXT NOT NULL REFERENCES share_profile (id) ON DELETE CASCADE,
  share TEXT NOT NULL,
  schema TEXT NOT NULL,
  name TEXT NOT NULL,
  agreement_id TEXT NOT NULL,
  PRIMARY KEY (profile_id, share, schema, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE share_transfer (agreement_id TEXT PRIMARY KEY, transfer_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
`,
};
