/** Sessions, participants, rounds and contributions in SQLite. Every function is synchronous: join them in a transaction. */
import type { Database } from '@foedus/connector/store';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type {
  ContributionRecord,
  Dropouts,
  EndingTransfer,
  ParticipantRecord,
  RoundRecord,
  SessionRecord,
} from './records.ts';

type Row = Record<string, SQLInputValue>;
type Changes<T> = { readonly [K in keyof T]?: T[K] };

const sessionColumns: Readonly<Record<keyof SessionRecord, string>> = {
  id: 'id',
  plan: 'plan',
  planHash: 'plan_hash',
  initialHash: 'initial_hash',
  parameters: 'parameters',
  state: 'state',
  reason: 'reason',
  seq: 'seq',
  roundsTarget: 'rounds_target',
  roundsDone: 'rounds_done',
  extended: 'extended',
  recruitingSince: 'recruiting_since',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
};
const participantColumns: Readonly<Record<keyof ParticipantRecord, string>> = {
  participantId: 'participant_id',
  agreementId: 'agreement_id',
  agreementHash: 'agreement_hash',
  minimumCohort: 'minimum_cohort',
  transferId: 'transfer_id',
  transferOpen: 'transfer_open',
  status: 'status',
  note: 'note',
  lastSeenAt: 'last_seen_at',
  privacy: 'privacy',
  enrolment: 'enrolment',
};
const contributionColumns: Readonly<Record<keyof ContributionRecord, string>> = {
  round: 'round',
  participantId: 'participant_id',
  status: 'status',
  reason: 'reason',
  trainingSeconds: 'training_seconds',
  bytes: 'bytes',
  evaluated: 'evaluated',
  auc: 'auc',
  logLoss: 'log_loss',
  droppedAt: 'dropped_at',
};

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
const parsed = (value: SQLInputValue | undefined): unknown => (typeof value === 'string' ? JSON.parse(value) : null);

/** Booleans and documents as SQLite has them. */
function encoded(key: string, value: unknown): SQLInputValue {
  if (key === 'plan' || key === 'privacy') return json(value);
  if (typeof value === 'boolean') return Number(value);
  return value as SQLInputValue;
}

/** The record that the columns are of: their keys are its keys. */
function toRecord<T extends object>(columns: Readonly<Record<keyof T, string>>, row: Row): T {
  const entries = Object.entries<string>(columns).map(([key, column]): [string, unknown] => {
    const value = row[column];
    if (key === 'plan' || key === 'privacy') return [key, parsed(value)];
    if (key === 'transferOpen' || key === 'evaluated' || key === 'extended') return [key, value === 1];
    return [key, value];
  });
  return Object.fromEntries(entries) as T;
}

function toRound(row: Row): RoundRecord {
  const durations: { -readonly [K in keyof RoundRecord['durations']]: number } = {};
  for (const phase of ['training', 'aggregating', 'evaluating'] as const) {
    const seconds = row[`${phase}_seconds`];
    if (typeof seconds === 'number') durations[phase] = seconds;
  }
  return {
    round: row['round'] as number,
    phase: row['phase'] as RoundRecord['phase'],
    phaseSince: row['phase_since'] as string | null,
    startedAt: row['started_at'] as string,
    endedAt: row['ended_at'] as string | null,
    durations,
    reason: row['reason'] as string | null,
  };
}

/** @param now the clock, for `updatedAt` */
export function createSessionStore(db: Database, now: () => Date) {
  const { sql } = db;
  const insertInto = (table: string, columns: Readonly<Record<string, string>>, extra: readonly string[] = []) => {
    const names = [...extra, ...Object.values(columns)];
    return sql.prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`);
  };
  const values = (columns: Readonly<Record<string, string>>, record: object): SQLInputValue[] =>
    Object.keys(columns).map((key) => encoded(key, record[key as keyof typeof record]));
  /** By their text: as many as there are sets of columns that change together. */
  const updates = new Map<string, StatementSync>();
  /** Plans never change, and a session is read at every call of every client. */
  const plans = new Map<string, SessionRecord['plan']>();
  const toSession = (row: Row): SessionRecord => {
    const id = row['id'] as string;
    const plan = plans.get(id);
    const record = toRecord<SessionRecord>(sessionColumns, plan === undefined ? row : { ...row, plan: null });
    if (plan !== undefined) return { ...record, plan };
    plans.set(id, record.plan);
    return record;
  };
  /** Column names come from the tables above, never from outside. */
  const update = (
    table: string,
    columns: Readonly<Record<string, string>>,
    where: string,
    keys: readonly SQLInputValue[],
    changes: object,
  ): void => {
    const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
    if (entries.length === 0) return;
    const set = entries.map(([key]) => `${columns[key]} = ?`).join(', ');
    const text = `UPDATE ${table} SET ${set} WHERE ${where}`;
    let statement = updates.get(text);
    if (statement === undefined) updates.set(text, (statement = sql.prepare(text)));
    statement.run(...entries.map(([key, value]) => encoded(key, value)), ...keys);
  };

  const insertSession = insertInto('sessions', sessionColumns);
  const insertParticipant = insertInto('participants', participantColumns, ['session_id']);
  const insertContribution = insertInto('contributions', contributionColumns, ['session_id']);
  const selectSession = sql.prepare('SELECT * FROM sessions WHERE id = ?');
  const allButPlan = Object.values(sessionColumns).filter((column) => column !== 'plan');
  const selectKnown = sql.prepare(`SELECT ${allButPlan.join(', ')} FROM sessions WHERE id = ?`);
  const selectSessions = sql.prepare('SELECT * FROM sessions ORDER BY created_at DESC, id');
  const selectParticipants = sql.prepare('SELECT * FROM participants WHERE session_id = ? ORDER BY participant_id');
  const selectParticipant = sql.prepare('SELECT * FROM participants WHERE session_id = ? AND participant_id = ?');
  const selectRounds = sql.prepare('SELECT * FROM rounds WHERE session_id = ? ORDER BY round');
  const selectLastRound = sql.prepare('SELECT * FROM rounds WHERE session_id = ? ORDER BY round DESC LIMIT 1');
  const selectContributions = sql.prepare(
    'SELECT * FROM contributions WHERE session_id = ? AND round = ? ORDER BY participant_id',
  );
  const setDroppedAt = sql.prepare(
    'UPDATE contributions SET dropped_at = ? WHERE session_id = ? AND round = ? AND participant_id = ?',
  );
  const selectAllContributions = sql.prepare(
    'SELECT * FROM contributions WHERE session_id = ? ORDER BY round, participant_id',
  );
  const upsertRound = sql.prepare(
    `INSERT INTO rounds (session_id, round, phase, phase_since, started_at, ended_at,
       training_seconds, aggregating_seconds, evaluating_seconds, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (session_id, round) DO UPDATE SET phase = excluded.phase, phase_since = excluded.phase_since,
       ended_at = excluded.ended_at, training_seconds = excluded.training_seconds,
       aggregating_seconds = excluded.aggregating_seconds, evaluating_seconds = excluded.evaluating_seconds,
       reason = excluded.reason`,
  );

  const selectEnding = sql.prepare(
    'SELECT transfer_id AS transferId, outcome, reason FROM ending_transfers WHERE session_id = ?',
  );
  const insertEnding = sql.prepare(
    'INSERT OR IGNORE INTO ending_transfers (transfer_id, session_id, outcome, reason) VALUES (?, ?, ?, ?)',
  );
  const deleteEnding = sql.prepare('DELETE FROM ending_transfers WHERE transfer_id = ?');

  return {
    transaction: <T>(work: () => T): T => db.transaction(work),
    /** For what follows from a sum in memory: when that is lost, its round begins again or is over. */
    passing: <T>(work: () => T): T => db.passing(work),

    insert(session: SessionRecord, participants: readonly ParticipantRecord[]): void {
      insertSession.run(...values(sessionColumns, session));
      for (const participant of participants) {
        insertParticipant.run(session.id, ...values(participantColumns, participant));
      }
    },
    session(id: string): SessionRecord | undefined {
      const row = (plans.has(id) ? selectKnown : selectSession).get(id);
      return row === undefined ? undefined : toSession(row);
    },
    /** Newest first. */
    sessions(): SessionRecord[] {
      return selectSessions.all().map((row) => toSession(row));
    },
    updateSession(id: string, changes: Changes<Omit<SessionRecord, 'id' | 'updatedAt'>>): void {
      update('sessions', sessionColumns, 'id = ?', [id], { ...changes, updatedAt: now().toISOString() });
    },

    participants(sessionId: string): ParticipantRecord[] {
      return selectParticipants.all(sessionId).map((row) => toRecord(participantColumns, row));
    },
    participant(sessionId: string, participantId: string): ParticipantRecord | undefined {
      const row = selectParticipant.get(sessionId, participantId);
      return row === undefined ? undefined : toRecord(participantColumns, row);
    },
    updateParticipant(
      sessionId: string,
      participantId: string,
      changes: Changes<Omit<ParticipantRecord, 'participantId'>>,
    ): void {
      const where = 'session_id = ? AND participant_id = ?';
      update('participants', participantColumns, where, [sessionId, participantId], changes);
    },

    endingTransfers(sessionId: string): EndingTransfer[] {
      return selectEnding.all(sessionId) as unknown as EndingTransfer[];
    },
    insertEndingTransfer(sessionId: string, { transferId, outcome, reason }: EndingTransfer): void {
      insertEnding.run(transferId, sessionId, outcome, reason);
    },
    deleteEndingTransfer(transferId: string): void {
      deleteEnding.run(transferId);
    },

    rounds(sessionId: string): RoundRecord[] {
      return selectRounds.all(sessionId).map((row) => toRound(row));
    },
    lastRound(sessionId: string): RoundRecord | undefined {
      const row = selectLastRound.get(sessionId);
      return row === undefined ? undefined : toRound(row);
    },
    putRound(sessionId: string, round: RoundRecord): void {
      const { training = null, aggregating = null, evaluating = null } = round.durations;
      const times = [round.phaseSince, round.startedAt, round.endedAt] as const;
      upsertRound.run(sessionId, round.round, round.phase, ...times, training, aggregating, evaluating, round.reason);
    },

    /** Of one round, or of all rounds of the session. */
    contributions(sessionId: string, round?: number): ContributionRecord[] {
      const rows =
        round === undefined ? selectAllContributions.all(sessionId) : selectContributions.all(sessionId, round);
      return rows.map((row) => toRecord(contributionColumns, row));
    },
    insertContribution(sessionId: string, contribution: ContributionRecord): void {
      insertContribution.run(sessionId, ...values(contributionColumns, contribution));
    },
    updateContribution(
      sessionId: string,
      round: number,
      participantId: string,
      changes: Changes<Omit<ContributionRecord, 'round' | 'participantId'>>,
    ): void {
      const where = 'session_id = ? AND round = ? AND participant_id = ?';
      update('contributions', contributionColumns, where, [sessionId, round, participantId], changes);
    },
    /** Members without an answer to a step of a secure round. */
    putDropouts(sessionId: string, round: number, { step, participantIds }: Dropouts): void {
      if (participantIds.length === 0) return;
      db.passing(() => {
        for (const participantId of participantIds) setDroppedAt.run(step, sessionId, round, participantId);
      });
    },
  };
}

export type SessionStore = ReturnType<typeof createSessionStore>;

/** A participant's row at the beginning of a round. */
export function waitingContribution(round: number, participantId: string): ContributionRecord {
  return {
    round,
    participantId,
    status: 'waiting',
    reason: null,
    trainingSeconds: null,
    bytes: null,
    evaluated: false,
    auc: null,
    logLoss: null,
    droppedAt: null,
  };
}
