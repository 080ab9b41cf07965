import type { DataFlowView, Transfer } from '../management/model.ts';
import type { Changes } from '../protocol/changes.ts';
import type { ProcessStore } from '../protocol/process-store.ts';
import type { Database } from '../store/database.ts';
import type { Transact, Transaction } from '../store/transact.ts';
import type { DataFlow } from './data-flow.ts';

/** Who moves the data of which format. */
export interface DataFlows {
  /** A flow in this process. */
  add(flow: DataFlow): void;
  /** A flow outside this process; remembered over restarts. It watches its transfers by `transfersOf`. */
  register(format: string): void;
  find(format: string): DataFlow | undefined;
  /** Every format that has a flow, or transfers that wait for one. */
  list(): DataFlowView[];
  /** To be called for every change of a transfer that this node provides. */
  touch(transaction: Transaction, format: string): void;
  /** All transfers of a format that this node provides and that are not final, with a version that only grows. */
  transfersOf(format: string): { version: number; transfers: Transfer[] };
}

/** Topic of `Changes` for the transfers of one format. */
export const flowTopic = (format: string): string => `flow:${format}`;

/** @param registered called after a flow outside this process has registered: its transfers may start now */
export function createDataFlows(options: {
  database: Database;
  store: ProcessStore<Transfer>;
  transact: Transact;
  changes: Changes;
  registered: (format: string) => void;
}): DataFlows {
  const { database, store, transact, changes, registered } = options;
  const { sql } = database;
  const inside = new Map<string, DataFlow>();
  const register = sql.prepare(
    `INSERT INTO data_flow (format, version, registered) VALUES (?, 0, 1) ON CONFLICT (format) DO UPDATE SET registered = 1`,
  );
  const isRegistered = sql.prepare('SELECT 1 FROM data_flow WHERE format = ? AND registered = 1');
  const grow = sql.prepare(
    `INSERT INTO data_flow (format, version, registered) VALUES (?, 1, 0) ON CONFLICT (format) DO UPDATE SET version = version + 1`,
  );
  const version = sql.prepare('SELECT version FROM data_flow WHERE format = ?');
  const counts = sql.prepare(
    `SELECT format, count(*) AS open, count(*) FILTER (WHERE state = 'REQUESTED') AS waiting FROM transfer
     WHERE role = 'provider' AND state IN ('REQUESTED', 'STARTED', 'SUSPENDED') GROUP BY format`,
  );
  const outside = sql.prepare('SELECT format FROM data_flow WHERE registered = 1');
  return {
    list: () => {
      const open = new Map(
        (counts.all() as { format: string; open: number; waiting: number }[]).map((row) => [row.format, row]),
      );
      const elsewhere = new Set((outside.all() as { format: string }[]).map(({ format }) => format));
      return [...new Set([...inside.keys(), ...elsewhere, ...open.keys()])].sort().map((format) => ({
        format,
        runs: inside.has(format) ? 'inside' : elsewhere.has(format) ? 'outside' : 'nowhere',
        open: open.get(format)?.open ?? 0,
        waiting: open.get(format)?.waiting ?? 0,
      }));
    },
    add: (flow) => {
      for (const format of flow.formats) inside.set(format, flow);
    },
    register: (format) => {
      transact((transaction) => {
        register.run(format);
        transaction.after(() => registered(format));
      });
    },
    find: (format) =>
      inside.get(format) ??
      // It takes the protocol's decisions from its long poll, so there is nothing to call.
      (isRegistered.get(format)
        ? { formats: [format], start: async () => undefined, stop: () => undefined }
        : undefined),
    touch: (transaction, format) => {
      grow.run(format);
      transaction.after(() => changes.notify(flowTopic(format)));
    },
    transfersOf: (format) => ({
      version: (version.get(format) as { version: number } | undefined)?.version ?? 0,
      transfers: store
        .inStates(['REQUESTED', 'STARTED', 'SUSPENDED'])
        .filter((transfer) => transfer.role === 'provider' && transfer.format === format),
    }),
  };
}
