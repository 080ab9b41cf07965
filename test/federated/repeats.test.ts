/** What is said again, and too often, costs the coordinator little: no durable commit, and no answer but when to come back. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { PeerAnswer } from '@foedus/connector/identity';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createFederation, type Federation, type RunningCoordinator } from './federation.ts';
import { enrolAll, type ScriptedClient } from './scripted-client.ts';

const never = new AbortController().signal;
let federation: Federation;
let coordinator: RunningCoordinator;
let file: DatabaseSync;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul']);
  coordinator = await federation.coordinator();
  file = new DatabaseSync(join(federation.space.folder, 'coordinator', 'rounds', 'coordinator.sqlite'));
});
afterEach(() => void vi.useRealTimers());
afterAll(async () => {
  file?.close();
  await coordinator?.[Symbol.asyncDispose]();
  await federation?.[Symbol.asyncDispose]();
});

/** Grows with every commit of another connection. */
const commits = (): number => (file.prepare('PRAGMA data_version').get() as { data_version: number }).data_version;

test('an enrolment, a refusal or an evaluation that is on record is answered, and nothing is written', async () => {
  const { id } = await coordinator.plan({ rounds: 1, minimumCohort: 2 }, federation.partners);
  await coordinator.session('POST', `/api/sessions/${id}/start`, {});
  const { clients } = await enrolAll(federation.partners, id);
  const [first, second, third] = clients as [ScriptedClient, ScriptedClient, ScriptedClient];
  const repeatedly = async (name: string, say: () => Promise<void>): Promise<void> => {
    const before = commits();
    await say();
    const said = commits();
    if (name !== 'enrolled') expect(said, `${name} is written`).not.toBe(before);
    for (let i = 0; i < 5; i++) await say();
    expect(commits(), `${name} again`).toBe(said);
  };
  await repeatedly('enrolled', () => first.enrol());
  await repeatedly('refused', () => third.coordinator.refuse(1, { code: 'test', reason: 'No time.' }, never));
  await first.upload(1, 0.1);
  await second.upload(1, 0.1);
  await first.task('evaluate');
  const nothing = { metrics: {}, reason: 'No rows are held out.' };
  await repeatedly('evaluated', () => first.coordinator.evaluate(1, nothing, null, never));
  // Something else is no repetition.
  const before = commits();
  await first.coordinator.evaluate(1, { metrics: {}, reason: 'None at all.' }, null, never);
  expect(commits()).not.toBe(before);
  await second.coordinator.evaluate(1, nothing, null, never);
  const done = await coordinator.until(id, ({ state }) => state === 'completed');
  const noteOf = (client: ScriptedClient) =>
    done.participants.find(({ participantId }) => participantId === client.partner.participantId)?.note;
  expect([noteOf(first), noteOf(second)]).toEqual(['No metrics: None at all.', 'No metrics: No rows are held out.']);
  for (const client of clients) await client[Symbol.asyncDispose]();
});

test('whoever asks without a pause is told when to come back, and others are answered', async () => {
  const { id } = await coordinator.plan({ rounds: 1, minimumCohort: 2 }, federation.partners);
  await coordinator.session('POST', `/api/sessions/${id}/start`, {});
  const { clients } = await enrolAll(federation.partners, id);
  const [busy, calm] = clients as [ScriptedClient, ScriptedClient];
  const ask = (): Promise<PeerAnswer> => busy.peer.call(busy.root);
  let refused: PeerAnswer | undefined;
  // A clock that stands still gives no new requests.
  vi.useFakeTimers({ toFake: ['Date'] });
  for (let i = 0; i < 200 && refused === undefined; i++) {
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    refused = answers.find(({ status }) => status !== 200);
  }
  expect([refused?.status, refused?.headers.get('retry-after')]).toEqual([429, '1']);
  expect(JSON.parse(Buffer.from(refused!.body!).toString())).toMatchObject({
    code: 'too-many-requests',
    message: expect.stringMatching(/more requests than .* Send this one again after 1 s\./) as string,
  });
  expect((await calm.coordinator.describe(never)).plan.sessionId).toBe(id);
  vi.setSystemTime(Date.now() + 1_000);
  expect((await ask()).status).toBe(200);
  for (const client of clients) await client[Symbol.asyncDispose]();
}, 60_000);
