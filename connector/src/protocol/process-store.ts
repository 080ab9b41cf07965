import type { Database } from '../store/database.ts';
import type { Role } from './state-machine.ts';

/** What negotiations and transfers have in common: one side's view of a conversation with one counterparty. */
export interface Process {
  /** This side's process id: `consumerPid` for the consumer, `providerPid` for the provider. */
  readonly id: string;
  readonly role: Role;
  readonly state: string;
  readonly consumerPid?: string | undefined;
  readonly providerPid?: string | undefined;
  readonly counterPartyId: string;
  /** Where messages to the counterparty go: the base that the protocol's paths are below. */
  readonly counterPartyAddress: string;
}

export interface ProcessStore<P extends Process> {
  get(id: string): P | undefined;
  /** The process that the counterparty knows under `peerPid`. */
  byPeer(role: Role, counterPartyId: string, peerPid: string): P | undefined;
  /** Newest first. */
  list(): P[];
  inStates(states: readonly string[]): P[];
  insert(process: P): void;
  save(process: P): void;
}

/** @param table name of a table with the columns of `negotiation` in migration 1 */
export function createProcessStore<P extends Process>(
  { sql }: Database,
  table: 'negotiation' | 'transfer',
): ProcessStore<P> {
  const byId = sql.prepare(`SELECT body FROM ${table} WHERE id = ?`);
  const byPeer = sql.prepare(`SELECT body FROM ${table} WHERE role = ? AND counterparty_id = ? AND peer_pid = ?`);
  const all = sql.prepare(`SELECT body FROM ${table} ORDER BY sequence DESC`);
  const byState = sql.prepare(`SELECT body FROM ${table} WHERE state = ? ORDER BY sequence`);
  const insert = sql.prepare(
    `INSERT INTO ${table} (id, role, state, counterparty_id, peer_pid, body) VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const update = sql.prepare(`UPDATE ${table} SET state = ?, peer_pid = ?, body = ? WHERE id = ?`);
  const read = (row: unknown): P => JSON.parse((row as { body: string }).body) as P;
  return {
    get: (id) => {
      const row = byId.get(id);
      return row && read(row);
    },
    byPeer: (role, counterPartyId, peerPid) => {
      const row = byPeer.get(role, counterPartyId, peerPid);
      return row && read(row);
    },
    list: () => all.all().map(read),
    inStates: (states) => states.flatMap((state) => byState.all(state).map(read)),
    insert: (process) => {
      const { id, role, state, counterPartyId } = process;
      insert.run(id, role, state, counterPartyId, peerPidOf(process) ?? null, JSON.stringify(process));
    },
    save: (process) => {
      update.run(process.state, peerPidOf(process) ?? null, JSON.stringify(process), process.id);
    },
  };
}

/** The counterparty's process id, as far as it is known. */
export function peerPidOf(process: Process): string | undefined {
  return process.role === 'consumer' ? process.providerPid : process.consumerPid;
}
