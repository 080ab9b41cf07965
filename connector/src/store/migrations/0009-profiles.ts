import type { Migration } from '../database.ts';

/** What data sets hold, and the schemas that they were published with. */
export const profiles: Migration = {
  version: 9,
  name: 'profiles',
  sql: `
CREATE TABLE asset_profile (
  asset_id TEXT PRIMARY KEY REFERENCES asset (id) ON DELETE CASCADE,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
  body TEXT,
  updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX asset_profile_to_do ON asset_profile (updated_at) WHERE state IN ('waiting', 'running');

-- drift: how the data set was last seen to differ, so that it is told once.
CREATE TABLE asset_schema (
  asset_id TEXT PRIMARY KEY REFERENCES asset (id) ON DELETE CASCADE,
  columns TEXT NOT NULL,
  pinned_at TEXT NOT NULL,
  drift TEXT
) STRICT;
`,
};
