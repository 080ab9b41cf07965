import type { Migration } from '@foedus/connector/store';

/** Once released, a migration never changes: a correction is a new one. Times are ISO 8601 in UTC. */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'sessions, participants, rounds, contributions, models, logins',
    sql: `
      CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        plan TEXT NOT NULL,
        plan_hash TEXT NOT NULL,
        initial_hash TEXT NOT NULL,
        parameters INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        seq INTEGER NOT NULL,
        rounds_target INTEGER NOT NULL,
        rounds_done INTEGER NOT NULL,
        extended INTEGER NOT NULL DEFAULT 0,
        recruiting_since TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
      ) STRICT;

      CREATE TABLE participants (
        session_id TEXT NOT NULL REFERENCES sessions (id),
        participant_id TEXT NOT NULL,
        agreement_id TEXT NOT NULL,
        transfer_id TEXT,
        transfer_open INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL,
        note TEXT,
        last_seen_at TEXT,
        privacy TEXT,
        enrolment TEXT,
        PRIMARY KEY (session_id, participant_id)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE rounds (
        session_id TEXT NOT NULL REFERENCES sessions (id),
        round INTEGER NOT NULL,
        phase TEXT NOT NULL,
        phase_since TEXT,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        training_seconds REAL,
        aggregating_seconds REAL,
        evaluating_seconds REAL,
        reason TEXT,
        PRIMARY KEY (session_id, round)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE contributions (
        session_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        participant_id TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        training_seconds REAL,
        bytes INTEGER,
        evaluated INTEGER NOT NULL DEFAULT 0,
        auc REAL,
        log_loss REAL,
        PRIMARY KEY (session_id, round, participant_id),
        FOREIGN KEY (session_id, round) REFERENCES rounds (session_id, round)
      ) STRICT, WITHOUT ROWID;

      -- Parameters after a round (0: initial), and what the strategy needs to go on from there. Values: float32.
      CREATE TABLE models (
        session_id TEXT NOT NULL REFERENCES sessions (id),
        round INTEGER NOT NULL,
        hash TEXT NOT NULL,
        parameters BLOB NOT NULL,
        optimizer BLOB,
        PRIMARY KEY (session_id, round)
      ) STRICT;

      -- Transfers of sessions that have come to rest, until the own connector has ended them.
      CREATE TABLE ending_transfers (
        transfer_id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id),
        -- State and reason of the session, for the counterparty.
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;

      -- The dashboard's cookies, by SHA-256 of their value.
      CREATE TABLE logins (hash TEXT PRIMARY KEY, expires_at TEXT NOT NULL) STRICT, WITHOUT ROWID;
    `,
  },
  {
    version: 2,
    name: 'what agreements say about secure aggregation',
    sql: `
      -- SHA-256 of the signed agreement, hex, and the smallest cohort that it allows. Null: planned before there were these.
      ALTER TABLE participants ADD COLUMN agreement_hash TEXT;
      ALTER TABLE participants ADD COLUMN minimum_cohort INTEGER;
    `,
  },
  {
    version: 3,
    name: "heads of partners' ledgers",
    sql: `
      -- The newest head that came with a release under an agreement, signed by its partner, JSON.
      CREATE TABLE ledger_heads (
        agreement_id TEXT PRIMARY KEY,
        participant_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        head TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    version: 4,
    name: 'where members drop out of secure rounds',
    sql: `
      -- The first step of a secure round that the member had no answer to in time.
      ALTER TABLE contributions ADD COLUMN dropped_at TEXT;
    `,
  },
  {
    version: 5,
    name: 'models in parts',
    sql: `
      -- Parts of 16384 parameters (slot 0), and what the strategy remembers of the same parameters (slots 1, 2, …).
      CREATE TABLE model_parts (
        session_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        part INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (session_id, round, part, slot),
        -- The model's row comes last: its hash is of all parts.
        FOREIGN KEY (session_id, round) REFERENCES models (session_id, round)
          ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
      ) STRICT;

      WITH RECURSIVE
        numbers (part) AS (
          SELECT 0
          UNION ALL
          SELECT part + 1 FROM numbers
          WHERE (part + 1) * 65536 < (SELECT max(length(parameters)) FROM models)
        )
      INSERT INTO model_parts (session_id, round, part, slot, bytes)
      SELECT session_id, round, part, 0, substr(parameters, part * 65536 + 1, 65536)
      FROM models JOIN numbers ON part * 65536 < length(parameters);

      -- The optimizer's two arrays lay behind each other.
      INSERT INTO model_parts (session_id, round, part, slot, bytes)
      SELECT session_id, round, part, 1, substr(optimizer, part * 65536 + 1, length(bytes))
      FROM models JOIN model_parts USING (session_id, round) WHERE slot = 0 AND optimizer IS NOT NULL
      UNION ALL
      SELECT session_id, round, part, 2, substr(optimizer, length(parameters) + part * 65536 + 1, length(bytes))
      FROM models JOIN model_parts USING (session_id, round) WHERE slot = 0 AND optimizer IS NOT NULL;

      ALTER TABLE models DROP COLUMN parameters;
      ALTER TABLE models DROP COLUMN optimizer;
    `,
  },
];
