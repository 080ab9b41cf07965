import type { Decision } from '@foedus/usage-policies';
import type { Database } from '../../store/database.ts';

/** A push as it is found again after a crash. */
export interface StoredPush {
  /** The use that it was charged as. */
  readonly entryId: string;
  readonly decision: Decision;
  /** What the receiver needs to go on: an address, the id of an upload. JSON. */
  readonly receiver: unknown;
  readonly finished: boolean;
}

/** A part that was charged: only the very same bytes are sent for it again. */
export interface StoredPart {
  readonly bytes: number;
  /** SHA-256, hex. */
  readonly hash: string;
  /** What the receiver calls it, once it has it. */
  readonly tag: string | null;
}

export interface PushStore {
  get(transferId: string): StoredPush | undefined;
  begin(transferId: string, use: Pick<StoredPush, 'entryId' | 'decision'>): void;
  setReceiver(transferId: string, receiver: unknown): void;
  finish(transferId: string): void;
  part(transferId: string, number: number): StoredPart | undefined;
  /** All of them, in order. */
  parts(transferId: string): StoredPart[];
  addPart(transferId: string, number: number, part: Omit<StoredPart, 'tag'>): void;
  setTag(transferId: string, number: number, tag: string): void;
  /** Forgets a push that is over, with the addresses that its receiver gave it. */
  forget(transferId: string): void;
  /** Pushes that are still known although their transfers have ended. */
  leftBehind(): string[];
}

interface PushRow {
  readonly entry_id: string;
  readonly decision: string;
  readonly receiver: string | null;
  readonly finished: number;
}

/** Over the tables of migration 10. */
export function createPushStore({ sql }: Database): PushStore {
  const find = sql.prepare('SELECT * FROM push WHERE transfer_id = ?');
  const insert = sql.prepare(
    'INSERT INTO push (transfer_id, entry_id, decision, receiver, finished) VALUES (?, ?, ?, NULL, 0)',
  );
  const receiver = sql.prepare('UPDATE push SET receiver = ? WHERE transfer_id = ?');
  const finish = sql.prepare('UPDATE push SET finished = 1 WHERE transfer_id = ?');
  const part = sql.prepare('SELECT bytes, hash, tag FROM push_part WHERE transfer_id = ? AND number = ?');
  const parts = sql.prepare('SELECT bytes, hash, tag FROM push_part WHERE transfer_id = ? ORDER BY number');
  const insertPart = sql.prepare(
    'INSERT INTO push_part (transfer_id, number, bytes, hash, tag) VALUES (?, ?, ?, ?, NULL)',
  );
  const tag = sql.prepare('UPDATE push_part SET tag = ? WHERE transfer_id = ? AND number = ?');
  const forgetParts = sql.prepare('DELETE FROM push_part WHERE transfer_id = ?');
  const forget = sql.prepare('DELETE FROM push WHERE transfer_id = ?');
  const ended = sql.prepare(
    `SELECT transfer_id FROM push JOIN transfer ON transfer.id = push.transfer_id
     WHERE transfer.state IN ('COMPLETED', 'TERMINATED')`,
  );
  return {
    get(transferId) {
      const row = find.get(transferId) as PushRow | undefined;
      if (row === undefined) return undefined;
      return {
        entryId: row.entry_id,
        decision: JSON.parse(row.decision) as Decision,
        receiver: row.receiver === null ? undefined : JSON.parse(row.receiver),
        finished: row.finished === 1,
      };
    },
    begin: (transferId, { entryId, decision }) => void insert.run(transferId, entryId, JSON.stringify(decision)),
    setReceiver: (transferId, state) => void receiver.run(JSON.stringify(state), transferId),
    finish: (transferId) => void finish.run(transferId),
    part: (transferId, number) => part.get(transferId, number) as StoredPart | undefined,
    parts: (transferId) => parts.all(transferId) as unknown as StoredPart[],
    addPart: (transferId, number, { bytes, hash }) => void insertPart.run(transferId, number, bytes, hash),
    setTag: (transferId, number, value) => void tag.run(value, transferId, number),
    forget: (transferId) => {
      forgetParts.run(transferId);
      forget.run(transferId);
    },
    leftBehind: () => (ended.all() as { transfer_id: string }[]).map((row) => row.transfer_id),
  };
}
