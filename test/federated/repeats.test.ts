/** What is said again changes nothing, and costs the coordinator no durable commit. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
