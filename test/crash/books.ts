import { isDeepStrictEqual } from 'node:util';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import type { Negotiation, SignedAgreement, Transfer } from '@foedus/connector';
import { verifyAgreement } from '@foedus/connector/agreement';
import { readTrustAnchors } from '@foedus/connector/identity';
import type { ConnectorProcess } from '../src/connector-process.ts';

/** What one connector's store holds after everything. */
export interface Books {
  readonly who: string;
  readonly negotiations: readonly Negotiation[];
  readonly transfers: readonly Transfer[];
  readonly agreements: readonly SignedAgreement[];
  /** States that the log says a process has been in, in order, by process id. */
  readonly history: ReadonlyMap<string, readonly string[]>;
  /** Messages that were still to be delivered. */
  readonly undelivered: number;
}

/** Reads a connector's store from its file. No connector may run on it. */
export function readBooks({ directory, participantId }: ConnectorProcess): Books {
  const sql = new DatabaseSync(join(directory, 'data', 'connector.sqlite'), { readOnly: true });
  try {
    const bodies = <T>(table: string): T[] =>
      (sql.prepare(`SELECT body FROM ${table} ORDER BY sequence`).all() as { body: string }[]).map(
        ({ body }) => JSON.parse(body) as T,
      );
    const history = new Map<string, string[]>();
    for (const event of bodies<{ type: string; negotiation?: Negotiation; transfer?: Transfer }>('event')) {
      const process = event.negotiation ?? event.transfer;
      if (process) history.set(process.id, [...(history.get(process.id) ?? []), process.state]);
    }
    const { count } = sql.prepare('SELECT count(*) AS count FROM outbox').get() as { count: number };
    return {
      who: participantId,
      negotiations: bodies('negotiation'),
      transfers: bodies('transfer'),
      agreements: bodies('agreement'),
      history,
      undelivered: count,
    };
  } finally {
    sql.close();
  }
}

/** @returns in words, everything that two connectors' stores do not agree about, or that should not be */
export async function faultsOf(provider: Books, consumer: Books, directory: string): Promise<string[]> {
  const faults: string[] = [];
  for (const { who, undelivered } of [provider, consumer]) {
    if (undelivered > 0) faults.push(`${who} has ${undelivered} messages that it has not delivered`);
  }
  pairUp('negotiation', provider.negotiations, consumer.negotiations, ['FINALIZED', 'TERMINATED'], faults);
  pairUp('transfer', provider.transfers, consumer.transfers, ['COMPLETED', 'TERMINATED'], faults);
  for (const { who, history } of [provider, consumer]) {
    for (const [id, states] of history) {
      const twice = states.find((state, index) => state === states[index - 1]);
      if (twice !== undefined) faults.push(`${who} has entered ${twice} twice in a row in ${id}: ${states.join(' ')}`);
    }
  }

  const trust = readTrustAnchors(readFileSync(join(directory, 'ca.crt'), 'utf8'));
  const theirs = new Map(provider.agreements.map((agreement) => [agreement.id, agreement]));
  const finalized = consumer.negotiations.filter(({ state }) => state === 'FINALIZED');
  if (new Set(finalized.map(({ agreementId }) => agreementId)).size !== finalized.length) {
    faults.push('two negotiations have led to one agreement');
  }
  for (const { who, agreements } of [provider, consumer]) {
    if (agreements.length !== finalized.length) {
      faults.push(`${who} holds ${agreements.length} agreements from ${finalized.length} negotiations`);
    }
  }
  for (const agreement of consumer.agreements) {
    const { id, finalized: inForce, signatures } = agreement;
    const other = theirs.get(id);
    if (!other || !isDeepStrictEqual([other.agreement, other.signatures], [agreement.agreement, signatures])) {
      faults.push(`the agreement ${id} is not the same on both sides`);
    }
    if (!inForce || !other?.finalized) faults.push(`the agreement ${id} is not in force on both sides`);
    const report = await verifyAgreement({ trust }, agreement);
    if (!report.valid) faults.push(`the agreement ${id}: ${report.signatures.map(({ text }) => text).join(' ')}`);
  }
  return faults;
}

interface Process {
  readonly id: string;
  readonly state: string;
  readonly consumerPid?: string | undefined;
  readonly providerPid?: string | undefined;
}

/** Each process of the one side must be exactly one of the other, in the same final state. */
function pairUp(
  what: string,
  provided: readonly Process[],
  consumed: readonly Process[],
  final: readonly string[],
  faults: string[],
): void {
  const theirs = new Map(provided.map((process) => [process.consumerPid, process]));
  if (theirs.size !== provided.length) faults.push(`the provider has a ${what} twice`);
  if (provided.length !== consumed.length) {
    faults.push(`the provider has ${provided.length} ${what}s, the consumer ${consumed.length}`);
  }
  for (const process of consumed) {
    const { id, state, providerPid } = process;
    const other = theirs.get(id);
    if (!other) faults.push(`the provider does not know the ${what} ${id}, which is ${state}`);
    else if (other.id !== providerPid)
      faults.push(`the ${what} ${id} is with ${providerPid}, but ${other.id} is with it`);
    if (!final.includes(state)) faults.push(`the ${what} ${id} is still ${state} at the consumer`);
    if (other && other.state !== state) {
      faults.push(`the ${what} ${id} is ${state} at the consumer and ${other.state} at the provider`);
    }
  }
}
