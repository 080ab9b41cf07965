import { context, propagation } from '@opentelemetry/api';
import type { Database } from '../store/database.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import type { Transaction } from '../store/transact.ts';
import type { NegotiationMessageName, TransferMessageName } from './state-machine.ts';

export type ProcessKind = 'negotiation' | 'transfer';
export type MessageName = NegotiationMessageName | TransferMessageName;

/** A message on its way out. */
export interface OutboxEntry {
  readonly sequence: number;
  readonly processId: string;
  readonly kind: ProcessKind;
  readonly name: MessageName;
  /** The first message of a conversation: the receiver has no process id yet. */
  readonly initial: boolean;
  /** Complete but for the process ids of a message that is not the first: they may be known only at delivery. */
  readonly message: Record<string, unknown>;
  /** W3C trace context of what caused the message. */
  readonly trace: Record<string, string>;
}

/** Messages that are to be delivered, written in the transaction of the state change that they announce. */
export interface Outbox {
  add(transaction: Transaction, entry: Omit<OutboxEntry, 'sequence' | 'trace'>): void;
  /** The oldest message of a process: no other of the same process may be sent before it. Not within a transaction. */
  head(processId: string): OutboxEntry | undefined;
  /** What the oldest message of a process is, also within the transaction that has added it. */
  nextName(processId: string): MessageName | undefined;
  /** Whether `entry` is (still) the oldest message of its process. */
  isNext(entry: OutboxEntry): boolean;
  /**
   * Forgets a message that has arrived, at once in memory and a little later on the disk: a crash in between only makes
   * it be sent once more, and the receiver knows it by its hash.
   *
   * @param also what is written with it
   */
  removeSoon(entry: OutboxEntry, also?: () => void): void;
  /** Waits until what was to be written soon is. */
  settled(): Promise<void>;
  /** Waits until the oldest message of a process has gone, at most `ms` milliseconds. */
  gone(processId: string, ms: number): Promise<void>;
  /** Drops whatever a process still wanted to say. */
  clear(processId: string): void;
  /** Ids of all processes with messages, the longest waiting first. */
  waiting(): string[];
}

/** @param wake called with the process id once a message is durable */
export function createOutbox(
  { sql }: Database,
  group: GroupCommit,
  clock: () => Date,
  wake: (processId: string) => void,
): Outbox {
  const insert = sql.prepare(
    'INSERT INTO outbox (process_id, kind, name, initial, message, trace, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const first = sql.prepare('SELECT * FROM outbox WHERE process_id = ? AND sequence > ? ORDER BY sequence LIMIT 1');
  const next = sql.prepare(
    'SELECT sequence, name FROM outbox WHERE process_id = ? AND sequence > ? ORDER BY sequence LIMIT 1',
  );
  const remove = sql.prepare('DELETE FROM outbox WHERE sequence = ?');
  const clear = sql.prepare('DELETE FROM outbox WHERE process_id = ?');
  const waiting = sql.prepare('SELECT process_id FROM outbox GROUP BY process_id ORDER BY min(sequence)');
  /** Oldest messages that were read and are so still: whatever takes one away takes it from here as well. */
  const heads = new Map<string, number>();
  /** The last message of a process that has arrived but is still on the disk. */
  const arrived = new Map<string, number>();
  /** Who waits for the oldest message of a process to go. */
  const watchers = new Map<string, Set<() => void>>();
  const tellGone = (processId: string): void => {
    for (const tell of watchers.get(processId) ?? []) tell();
  };
  return {
    add: (transaction, { processId, kind, name, initial, message }) => {
      const trace: Record<string, string> = {};
      propagation.inject(context.active(), trace);
      insert.run(
        processId,
        kind,
        name,
        initial ? 1 : 0,
        JSON.stringify(message),
        JSON.stringify(trace),
        clock().toISOString(),
      );
      transaction.after(() => wake(processId));
    },
    head: (processId) => {
      const row = first.get(processId, arrived.get(processId) ?? 0) as Record<string, unknown> | undefined;
      if (!row) return undefined;
      const sequence = row['sequence'] as number;
      heads.set(processId, sequence);
      return {
        sequence,
        processId,
        kind: row['kind'] as ProcessKind,
        name: row['name'] as MessageName,
        initial: row['initial'] === 1,
        message: JSON.parse(row['message'] as string) as Record<string, unknown>,
        trace: JSON.parse(row['trace'] as string) as Record<string, string>,
      };
    },
    nextName: (processId) => {
      const row = next.get(processId, arrived.get(processId) ?? 0) as { name: MessageName } | undefined;
      return row?.name;
    },
    isNext: ({ processId, sequence }) => {
      if (heads.get(processId) === sequence) return true;
      const row = next.get(processId, arrived.get(processId) ?? 0) as { sequence: number } | undefined;
      return row?.sequence === sequence;
    },
    removeSoon: ({ processId, sequence }, also) => {
      arrived.set(processId, sequence);
      heads.delete(processId);
      tellGone(processId);
      group.soon((transaction) => {
        remove.run(sequence);
        also?.();
        transaction.after(() => arrived.get(processId) === sequence && arrived.delete(processId));
      });
    },
    settled: () => group.run(() => undefined),
    gone: async (processId, ms) => {
      const others = watchers.get(processId) ?? new Set();
      watchers.set(processId, others);
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      others.add(resolve);
      await promise;
      clearTimeout(timer);
      others.delete(resolve);
      if (others.size === 0) watchers.delete(processId);
    },
    clear: (processId) => {
      heads.delete(processId);
      clear.run(processId);
      tellGone(processId);
    },
    waiting: () => (waiting.all() as { process_id: string }[]).map((row) => row.process_id),
  };
}
