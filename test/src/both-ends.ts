import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { DataSpace, Participant } from './connectors.ts';
import type { DspSchemas } from './dsp-schemas.ts';

/** The two sides of one negotiation or transfer, each with a connector of its own. */
export interface BothEnds {
  readonly consumer: Participant;
  readonly provider: Participant;
  /** `negotiations` or `transfers`. */
  readonly path: string;
  readonly pids: { readonly consumerPid: string; readonly providerPid: string };
}

export type Side = 'consumer' | 'provider';
export const otherSide = (side: Side): Side => (side === 'consumer' ? 'provider' : 'consumer');

/** What a connector answered to a raw message or question. */
export interface RawReply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Speaks to the other side's connector in the name of `by`, behind the back of its connector. */
export async function speakAs(ends: BothEnds, by: Side, verb: string | undefined, body?: object): Promise<RawReply> {
  const other = otherSide(by);
  const pid = ends.pids[`${other}Pid`];
  const url = `${ends[other].connector.protocolUrl}/2025-1/${ends.path}/${pid}${verb === undefined ? '' : `/${verb}`}`;
  const response = await ends[by].peer.fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** The state of each side, as the other side learns it by asking. */
export async function statesOf(ends: BothEnds): Promise<{ consumer: string; provider: string }> {
  const [provider, consumer] = await Promise.all([
    speakAs(ends, 'consumer', undefined),
    speakAs(ends, 'provider', undefined),
  ]);
  return { consumer: String(consumer.body['state']), provider: String(provider.body['state']) };
}

/** Waits until neither side has anything left to say to the other. */
export function createSilence(space: DataSpace, names: readonly string[]): () => Promise<void> {
  const waiting = names.map((name) => {
    const database = new DatabaseSync(join(space.folder, name, 'data', 'connector.sqlite'), { readOnly: true });
    return database.prepare('SELECT count(*) AS messages FROM outbox');
  });
  return async () => {
    await vi.waitFor(
      () => {
        for (const statement of waiting) expect(statement.get()).toEqual({ messages: 0 });
      },
      { interval: 5, timeout: 10_000 },
    );
  };
}

/** Repeats the last message that the other side has taken, and expects the same answer. */
export async function repeatLast(space: DataSpace, ends: BothEnds): Promise<void> {
  const { consumerPid } = ends.pids;
  const last = space.exchanges.findLast(({ body, status }) => body?.['consumerPid'] === consumerPid && status < 300);
  if (!last?.body) return;
  const by: Side = last.from === ends.consumer.participantId ? 'consumer' : 'provider';
  const response = await ends[by].peer.fetch(last.url, { method: 'POST', body: JSON.stringify(last.body) });
  expect(response.status).toBe(last.status);
  expect(await response.json()).toEqual(last.answer);
}

/** A message that must be refused: the typed error, valid by its schema. */
export function expectRefusal({ status, body }: RawReply, type: string, schemas: DspSchemas | undefined): void {
  expect({ status, type: body['@type'] }).toEqual({ status: 400, type });
  expect(schemas?.faultsOf(body) ?? []).toEqual([]);
}
