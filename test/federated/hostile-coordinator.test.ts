/** A training client's calls to a coordinator that answers them as no coordinator does. */
import { callerOf, createPeerClient, servePeers } from '@foedus/connector/identity';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCoordinatorClient } from '../../fl-client/src/flow/coordinator-client.ts';
import { createDataSpace, type DataSpace } from '../src/connectors.ts';

let space: DataSpace;
beforeAll(async () => {
  space = await createDataSpace();
});
afterAll(() => space?.[Symbol.asyncDispose]());

test('long polls that are not held open are not asked again at once, over and over', async () => {
  const identity = await space.enrol('coordinator');
  let polls = 0;
  const app = new Hono();
  const nothing = (path: string): void => {
    app.get(path, (c) => {
      callerOf(c);
      polls += 1;
      return c.body(null, 204);
    });
  };
  nothing('/fl/v1/sessions/:id/task');
  nothing('/fl/v1/sessions/:id/rounds/:round/secure/:step');
  app.post('/fl/v1/sessions/:id/phase', (c) => c.body(null, 204));
  await using server = await servePeers({ identity, host: '127.0.0.1', port: 0, app });
  await using peers = createPeerClient(await space.enrol('bdl'));
  const client = createCoordinatorClient({
    peers,
    endpoint: server.url,
    coordinator: identity.participantId,
    sessionId: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
  });
  const stop = new AbortController();
  const asking = async (poll: () => Promise<unknown>): Promise<void> => {
    while (!stop.signal.aborted) await poll().catch(() => undefined);
  };
  const asked = Promise.all([
    asking(() => client.nextTask(0, stop.signal)),
    asking(() => client.stepOutcome(1, 'keys', 1_000, stop.signal)),
  ]);
  const others = 300;
  for (let i = 0; i < others; i++) await client.phase({ round: 1, phase: 'waiting' }, stop.signal);
  stop.abort();
  await asked;
  // As often as other calls without a pause; with pauses that grow, a few times in as many minutes as this may take.
  expect(polls).toBeGreaterThanOrEqual(2);
  expect(polls).toBeLessThan(others / 6);
});
