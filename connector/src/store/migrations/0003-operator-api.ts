import type { Migration } from '../database.ts';

/**
 * What the operator's API needs: access tokens (only their hashes), and orders that lists are paged in.
 * A revoked token stays, as evidence of who could do what until when.
 */
export const operatorApi: Migration = {
  version: 3,
  name: 'operator api',
  sql: `
CREATE TABLE access_token (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('read', 'operate', 'administer')),
  hash TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  last_used_at TEXT,
  revoked_at TEXT
) STRICT;

CREATE INDEX negotiation_by_update ON negotiation (body ->> 'updatedAt', id);
CREATE INDEX transfer_by_update ON transfer (body ->> 'updatedAt', id);
`,
};
