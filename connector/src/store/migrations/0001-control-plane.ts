import type { Migration } from '../database.ts';

/**
 * What the control plane remembers. A record is one JSON document in `body`; the columns beside it are what it is
 * looked up by.
 */
export const controlPlane: Migration = {
  version: 1,
  name: 'control plane',
  sql: `
CREATE TABLE asset (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE policy (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE contract_definition (
  id TEXT PRIMARY KEY, policy_id TEXT NOT NULL REFERENCES policy (id), body TEXT NOT NULL
) STRICT;
CREATE TABLE contract_definition_asset (
  definition_id TEXT NOT NULL REFERENCES contract_definition (id) ON DELETE CASCADE,
  asset_id TEXT NOT NULL REFERENCES asset (id),
  PRIMARY KEY (definition_id, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX contract_definition_asset_by_asset ON contract_definition_asset (asset_id);

-- id is our own process id, peer_pid the counterparty's.
CREATE TABLE negotiation (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  state TEXT NOT NULL,
  counterparty_id TEXT NOT NULL,
  peer_pid TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX negotiation_by_peer ON negotiation (role, counterparty_id, peer_pid);
CREATE INDEX negotiation_by_state ON negotiation (state);

CREATE TABLE agreement (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE transfer (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  state TEXT NOT NULL,
  counterparty_id TEXT NOT NULL,
  peer_pid TEXT,
  body TEXT NOT NULL,
  format TEXT NOT NULL GENERATED ALWAYS AS (body ->> 'format') STORED,
  dataset_id TEXT NOT NULL GENERATED ALWAYS AS (body ->> 'datasetId') STORED
) STRICT;
CREATE INDEX transfer_by_peer ON transfer (role, counterparty_id, peer_pid);
CREATE INDEX transfer_by_state ON transfer (state, format);

-- A data flow outside this process, and a number that grows with every change of a transfer of its format.
CREATE TABLE data_flow (format TEXT PRIMARY KEY, version INTEGER NOT NULL, registered INTEGER NOT NULL) STRICT;

-- Messages on their way out, in order for each process.
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  process_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  initial INTEGER NOT NULL,
  message TEXT NOT NULL,
  trace TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_process ON outbox (process_id, sequence);

-- Messages that came in and took effect, with the answer they were given.
CREATE TABLE inbox (
  process_id TEXT NOT NULL, hash TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (process_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
`,
};
