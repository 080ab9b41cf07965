import type { Migration } from '../database.ts';

/**
 * Duties with their state and the moment at which it changes by itself; receipts and notices that came; what this node
 * has to tell somebody; files that it may delete. And a scope for enforcement points: a check cannot be altered in
 * SQLite, so the table of tokens is made anew.
 */
export const duties: Migration = {
  version: 7,
  name: 'duties',
  sql: `
CREATE TABLE duty (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  agreement_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'due', 'done', 'overdue')),
  ours INTEGER NOT NULL,
  action TEXT NOT NULL,
  -- RFC 3339 in UTC with milliseconds, so that texts are in the order of time.
  wake_at TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX duty_by_agreement ON duty (agreement_id);
CREATE INDEX duty_by_wake ON duty (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX duty_open ON duty (action, state) WHERE state IN ('due', 'overdue') AND ours = 1;

CREATE TABLE duty_receipt (
  id TEXT PRIMARY KEY,
  duty_id TEXT NOT NULL REFERENCES duty (id),
  body TEXT NOT NULL,
  received_at TEXT NOT NULL
) STRICT;

CREATE TABLE use_notice (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL
) STRICT;

-- What is owed to one recipient goes out in the order of sequence.
CREATE TABLE duty_delivery (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  lane TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('held', 'queued', 'done', 'failed')),
  entry_id TEXT,
  payload TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX duty_delivery_queued ON duty_delivery (lane, sequence) WHERE state = 'queued';
CREATE INDEX duty_delivery_held ON duty_delivery (entry_id) WHERE state = 'held';

CREATE TABLE received_file (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  agreement_id TEXT NOT NULL,
  path TEXT NOT NULL,
  -- Which file it was: another one that lies there now is not to be deleted.
  device TEXT NOT NULL,
  inode TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX received_file_by_agreement ON received_file (agreement_id);

-- A row: agreements from before this migration have been looked through.
CREATE TABLE duty_progress (caught_up INTEGER PRIMARY KEY) STRICT;

CREATE TABLE access_token_7 (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('read', 'use', 'operate', 'administer')),
  hash TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  last_used_at TEXT,
  revoked_at TEXT
) STRICT;
INSERT INTO access_token_7 SELECT * FROM access_token;
DROP TABLE access_token;
ALTER TABLE access_token_7 RENAME TO access_token;
`,
};
