/**
 * Sessions, participants, rounds and contributions in SQLite. Every function is synchronous: join them in a transaction.
 * What every call of every client reads is kept as it was read or written last: this process alone writes the store.
 */
import type { Database } from '@foedus/connector/store';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { MetricMeans } from '../session/early-stop.ts';
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

/** Of so many sessions the records are kept, those that were asked for last. */
const MOST_KEPT = 100;

/** Records of one session as they are in the store; what is missing is read when it is asked for. */
interface Kept {
  session?: SessionRecord | undefined;
  participants?: Map<string, ParticipantRecord> | undefined;
  lastRound?: RoundRecord | undefined;
  /** Of one round, by participant. */
  contributions?: { readonly round: number; readonly of: Map<string, ContributionRecord> } | undefined;
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
  const selectRounds = sql.prepare('SELECT * FROM rounds WHERE session_id = ? ORDER BY round');
  const selectLastRound = sql.prepare('SELECT * FROM rounds WHERE session_id = ? ORDER BY round DESC LIMIT 1');
  const selectContributions = sql.prepare(
    'SELECT * FROM contributions WHERE session_id = ? AND round = ? ORDER BY participant_id',
  );
  const selectAllContributions = sql.prepare(
    'SELECT * FROM contributions WHERE session_id = ? ORDER BY round, participant_id',
  );
  const selectMetrics = sql.prepare(
    `SELECT round, AVG(auc) AS auc, AVG(log_loss) AS logLoss FROM contributions
       WHERE session_id = ? AND round IN
         (SELECT round FROM rounds WHERE rounds.session_id = contributions.session_id AND phase IN ('evaluating', 'done'))
       GROUP BY round ORDER BY round`,
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

  const kept = new Map<string, Kept>();
  const of = (sessionId: string): Kept => {
    const known = kept.get(sessionId) ?? {};
    kept.delete(sessionId);
    kept.set(sessionId, known);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
    return known;
  };
  /** What a failed transaction has changed here, the store has taken back. */
  const orForget = <T>(kind: 'transaction' | 'passing', work: () => T): T => {
    try {
      return db[kind](work);
    } catch (error) {
      kept.clear();
      throw error;
    }
  };
  const passing = <T>(work: () => T): T => orForget('passing', work);
  const participantsOf = (sessionId: string): Map<string, ParticipantRecord> => {
    const known = kept.get(sessionId)?.participants;
    if (known !== undefined) return known;
    const read = selectParticipants.all(sessionId).map((row) => toRecord<ParticipantRecord>(participantColumns, row));
    const participants = new Map(read.map((one) => [one.participantId, one]));
    // Nothing is kept for the names that strangers ask for.
    if (participants.size > 0) of(sessionId).participants = participants;
    return participants;
  };
  const contributionsOf = (sessionId: string, round: number): Map<string, ContributionRecord> => {
    const known = kept.get(sessionId)?.contributions;
    if (known?.round === round) return known.of;
    const rows = selectContributions.all(sessionId, round);
    const read = rows.map((row) => toRecord<ContributionRecord>(contributionColumns, row));
    const contributions = new Map(read.map((one) => [one.participantId, one]));
    if (contributions.size > 0) of(sessionId).contributions = { round, of: contributions };
    return contributions;
  };
  const updateContribution = (
    sessionId: string,
    round: number,
    participantId: string,
    changes: Changes<Omit<ContributionRecord, 'round' | 'participantId'>>,
  ): void => {
    const where = 'session_id = ? AND round = ? AND participant_id = ?';
    update('contributions', contributionColumns, where, [sessionId, round, participantId], changes);
    const known = kept.get(sessionId)?.contributions;
    if (known?.round === round) change(known.of, participantId, changes);
  };

  return {
    transaction: <T>(work: () => T): T => orForget('transaction', work),
    /** For what follows from a sum in memory: when that is lost, its round begins again or is over. */
    passing,

    insert(session: SessionRecord, participants: readonly ParticipantRecord[]): void {
      kept.delete(session.id);
      insertSession.run(...values(sessionColumns, session));
      for (const participant of participants) {
        insertParticipant.run(session.id, ...values(participantColumns, participant));
      }
    },
    session(id: string): SessionRecord | undefined {
      const known = kept.get(id)?.session;
      if (known !== undefined) return known;
      const row = (plans.has(id) ? selectKnown : selectSession).get(id);
      if (row === undefined) return undefined;
      return (of(id).session = toSession(row));
    },
    /** Newest first. */
    sessions(): SessionRecord[] {
      return selectSessions.all().map((row) => toSession(row));
    },
    updateSession(id: string, changes: Changes<Omit<SessionRecord, 'id' | 'updatedAt'>>): void {
      const all = { ...changes, updatedAt: now().toISOString() };
      update('sessions', sessionColumns, 'id = ?', [id], all);
      const known = kept.get(id);
      if (known?.session !== undefined) known.session = changed(known.session, all);
    },

    participants(sessionId: string): ParticipantRecord[] {
      return [...participantsOf(sessionId).values()];
    },
    participant: (sessionId: string, participantId: string): ParticipantRecord | undefined =>
      participantsOf(sessionId).get(participantId),
    updateParticipant(
      sessionId: string,
      participantId: string,
      changes: Changes<Omit<ParticipantRecord, 'participantId'>>,
    ): void {
      const where = 'session_id = ? AND participant_id = ?';
      update('participants', participantColumns, where, [sessionId, participantId], changes);
      change(kept.get(sessionId)?.participants, participantId, changes);
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
      const known = kept.get(sessionId)?.lastRound;
      if (known !== undefined) return known;
      const row = selectLastRound.get(sessionId);
      if (row === undefined) return undefined;
      return (of(sessionId).lastRound = toRound(row));
    },
    putRound(sessionId: string, round: RoundRecord): void {
      const { training = null, aggregating = null, evaluating = null } = round.durations;
      const times = [round.phaseSince, round.startedAt, round.endedAt] as const;
      upsertRound.run(sessionId, round.round, round.phase, ...times, training, aggregating, evaluating, round.reason);
      const known = kept.get(sessionId);
      if (known !== undefined) known.lastRound = undefined;
    },

    /** Of one round, or of all rounds of the session. */
    contributions(sessionId: string, round?: number): ContributionRecord[] {
      if (round !== undefined) return [...contributionsOf(sessionId, round).values()];
      return selectAllContributions.all(sessionId).map((row) => toRecord(contributionColumns, row));
    },
    /** Unweighted means over those that reported, of the rounds with output, oldest first. */
    metricsByRound: (sessionId: string): { readonly round: number; readonly means: MetricMeans }[] =>
      (selectMetrics.all(sessionId) as unknown as ({ readonly round: number } & MetricMeans)[]).map(
        ({ round, auc, logLoss }) => ({ round, means: { auc, logLoss } }),
      ),
    insertContribution(sessionId: string, contribution: ContributionRecord): void {
      insertContribution.run(sessionId, ...values(contributionColumns, contribution));
      const known = kept.get(sessionId);
      if (known !== undefined) known.contributions = undefined;
    },
    updateContribution,
    /** Members without an answer to a step of a secure round. */
    putDropouts(sessionId: string, round: number, { step, participantIds }: Dropouts): void {
      if (participantIds.length === 0) return;
      passing(() => {
        for (const participantId of participantIds) {
          updateContribution(sessionId, round, participantId, { droppedAt: step });
        }
      });
    },
  };
}

export type SessionStore = ReturnType<typeof createSessionStore>;

/** As the columns are after an update: what is undefined was not changed. */
function changed<T extends object>(record: T, changes: Changes<T>): T {
  const defined = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...record, ...Object.fromEntries(defined) };
}

function change<T extends object>(records: Map<string, T> | undefined, key: string, changes: Changes<T>): void {
  const record = records?.get(key);
  if (record !== undefined) records?.set(key, changed(record, changes));
}

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
