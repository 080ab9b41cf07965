import type { Database } from '../store/database.ts';
import type { Duty, ReceivedNotice } from './model.ts';

/** A duty, and when its state changes by itself. */
export interface StoredDuty {
  readonly duty: Duty;
  /** Milliseconds since 1970; absent: not by itself. */
  readonly next?: number | undefined;
}

/** Duties of all agreements, receipts and notices that came, in SQLite. All inside the caller's transaction. */
export interface DutyStore {
  get(id: string): Duty | undefined;
  ofAgreement(agreementId: string): Duty[];
  /** Does nothing where it is there already. @returns whether it is new */
  insert(stored: StoredDuty): boolean;
  save(stored: StoredDuty): void;
  /** Those whose state changes by itself up to `now`. */
  ripe(now: Date): Duty[];
  /** Ours that have to be done now. */
  open(action: string): Duty[];
  /** When the next one is ripe. */
  nextRipe(): Date | undefined;
  /** @returns false where a receipt of this id has come before */
  insertReceipt(receiptId: string, dutyId: string, body: unknown, at: string): boolean;
  /** @returns false where a notice of this id has come before */
  insertNotice(notice: ReceivedNotice): boolean;
  /** Agreements from before duties were kept track of that may have some; each is told once. */
  takeOldAgreements(): string[];
}

/** @returns the store over the tables of the migration `duties` */
export function createDutyStore({ sql }: Database): DutyStore {
  const byId = sql.prepare('SELECT body FROM duty WHERE id = ?');
  const byAgreement = sql.prepare('SELECT body FROM duty WHERE agreement_id = ? ORDER BY sequence');
  const insert = sql.prepare(
    'INSERT OR IGNORE INTO duty (id, agreement_id, state, ours, action, wake_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const save = sql.prepare('UPDATE duty SET state = ?, wake_at = ?, body = ? WHERE id = ?');
  const ripe = sql.prepare('SELECT body FROM duty WHERE wake_at <= ? ORDER BY wake_at, sequence LIMIT 1000');
  const next = sql.prepare('SELECT min(wake_at) AS at FROM duty WHERE wake_at IS NOT NULL');
  const open = sql.prepare(
    "SELECT body FROM duty WHERE state IN ('due', 'overdue') AND ours = 1 AND action = ? ORDER BY sequence",
  );
  const receipt = sql.prepare(
    'INSERT OR IGNORE INTO duty_receipt (id, duty_id, body, received_at) VALUES (?, ?, ?, ?)',
  );
  const notice = sql.prepare('INSERT OR IGNORE INTO use_notice (id, body) VALUES (?, ?)');
  const old = sql.prepare(
    `SELECT id FROM agreement WHERE body ->> 'finalized' AND (body LIKE '%duty%' OR body LIKE '%obligation%')
     AND NOT EXISTS (SELECT 1 FROM duty_progress)`,
  );
  const progress = sql.prepare('INSERT OR IGNORE INTO duty_progress (caught_up) VALUES (1)');
  const read = (row: unknown): Duty => JSON.parse((row as { body: string }).body) as Duty;
  const wake = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString());
  return {
    get: (id) => {
      const row = byId.get(id);
      return row && read(row);
    },
    ofAgreement: (agreementId) => byAgreement.all(agreementId).map(read),
    insert: ({ duty, next: at }) =>
      insert.run(duty.id, duty.agreementId, duty.state, duty.ours ? 1 : 0, duty.action, wake(at), JSON.stringify(duty))
        .changes === 1,
    save: ({ duty, next: at }) => void save.run(duty.state, wake(at), JSON.stringify(duty), duty.id),
    ripe: (now) => ripe.all(now.toISOString()).map(read),
    open: (action) => open.all(action).map(read),
    nextRipe: () => {
      const { at } = next.get() as { at: string | null };
      return at === null ? undefined : new Date(at);
    },
    insertReceipt: (id, dutyId, body, at) => receipt.run(id, dutyId, JSON.stringify(body), at).changes === 1,
    insertNotice: (received) => notice.run(received.id, JSON.stringify(received)).changes === 1,
    takeOldAgreements: () => {
      const ids = (old.all() as { id: string }[]).map(({ id }) => id);
      progress.run();
      return ids;
    },
  };
}
