import type { Database } from '../store/database.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import { negotiationMachine, transferMachine } from './state-machine.ts';

/**
 * Messages that came in and took effect, so that a repeated one gets the same answer and no second effect.
 *
 * That of a process that has ended is kept for a while: afterwards a repeated message is refused as any other message
 * to what has ended, since no state that is final is ever left, and a first message finds the process itself.
 */
export interface Inbox {
  answerTo(processId: string, hash: string): Record<string, unknown> | undefined;
  put(processId: string, hash: string, answer: Record<string, unknown>): void;
  /**
   * Forgets what was answered about processes that ended before `end`, as far as it was not forgotten before.
   *
   * @param signal ends it between two steps
   */
  forget(end: Date, signal: AbortSignal): Promise<void>;
}

/** Processes that are looked at in one transaction. */
const STEP = 200;

const TABLES = [
  ['negotiation', negotiationMachine.final],
  ['transfer', transferMachine.final],
] as const;

interface Seen {
  readonly at: string;
  readonly id: string;
}

export function createInbox({ sql }: Database, group: GroupCommit): Inbox {
  const find = sql.prepare('SELECT answer FROM inbox WHERE process_id = ? AND hash = ?');
  const insert = sql.prepare('INSERT OR REPLACE INTO inbox (process_id, hash, answer) VALUES (?, ?, ?)');
  // What is still to be said to the counterparty may cross what it says: such a process is left for the next start.
  const remove = sql.prepare(
    'DELETE FROM inbox WHERE process_id = ?1 AND NOT EXISTS (SELECT 1 FROM outbox WHERE process_id = ?1)',
  );
  const tables = TABLES.map(([table, final]) => ({
    ended: new Set<string>(final),
    // A process that changes comes later in this order, so each is passed once in its final state.
    next: sql.prepare(
      `SELECT id, state, body ->> 'updatedAt' AS at FROM ${table}
       WHERE body ->> 'updatedAt' >= :at AND body ->> 'updatedAt' < :end AND (body ->> 'updatedAt' > :at OR id > :id)
       ORDER BY body ->> 'updatedAt', id LIMIT ${STEP}`,
    ),
    seen: { at: '', id: '' } as Seen,
  }));

  return {
    answerTo: (processId, hash) => {
      const row = find.get(processId, hash) as { answer: string } | undefined;
      return row && (JSON.parse(row.answer) as Record<string, unknown>);
    },
    put: (processId, hash, answer) => void insert.run(processId, hash, JSON.stringify(answer)),
    forget: async (end, signal) => {
      for (const table of tables) {
        for (let more = true; more && !signal.aborted;) {
          more = await group.run(() => {
            const rows = table.next.all({ ...table.seen, end: end.toISOString() }) as unknown as (Seen & {
              readonly state: string;
            })[];
            for (const { id, state } of rows) if (table.ended.has(state)) remove.run(id);
            const last = rows.at(-1);
            if (last) table.seen = { at: last.at, id: last.id };
            return rows.length === STEP;
          });
        }
      }
    },
  };
}
