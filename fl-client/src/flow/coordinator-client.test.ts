import type { PeerCall, PeerClient } from '@foedus/connector/identity';
import { expect, test } from 'vitest';
import { createCoordinatorClient } from './coordinator-client.ts';

const never = new AbortController().signal;

/** A coordinator that answers with these, one after the other. */
function answering(...answers: readonly { readonly status: number; readonly retryAfter?: string }[]) {
  const calls: PeerCall[] = [];
  const pauses: number[] = [];
  const peers: Pick<PeerClient, 'call'> = {
    async call(_, call = {}) {
      const { status, retryAfter } = answers[calls.length]!;
      calls.push(call);
      const headers = new Headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter });
      return { status, headers, body: new Uint8Array(0) };
    },
  };
  const client = createCoordinatorClient({
    peers: peers as PeerClient,
    endpoint: 'https://coordinator.example',
    coordinator: 'did:web:coordinator.example',
    sessionId: 's',
    pause: async (ms, signal) => {
      signal.throwIfAborted();
      pauses.push(ms);
    },
  });
  return { client, calls, pauses };
}

test('a request that came too soon is sent again, unchanged, after the time that the coordinator asks for', async () => {
  const busy = ['7', '100000', '-3', 'soon', '0'].map((retryAfter) => ({ status: 429, retryAfter }));
  const { client, calls, pauses } = answering(...busy, { status: 429 }, { status: 204 });
  await client.phase({ round: 1, phase: 'training' }, never);
  expect(pauses).toEqual([7_000, 60_000, 1_000, 1_000, 1_000, 1_000]);
  expect(new Set(calls.map(({ body }) => body))).toEqual(new Set(['{"round":1,"phase":"training"}']));
});

test('whoever does not want to wait any more is not kept', async () => {
  const { client, calls } = answering({ status: 429, retryAfter: '5' }, { status: 204 });
  const signal = AbortSignal.abort(new Error('The session is over.'));
  await expect(client.phase({ round: 1, phase: 'training' }, signal)).rejects.toThrow('The session is over.');
  expect(calls).toHaveLength(1);
});
