import { HEAD_HEADER, writeHeadHeader } from '@foedus/connector/operator-client';
import { encodeUpdate, initialParameters, parametersHash, readUpdate, type SessionPlan } from '@foedus/fl-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createFederation,
  parameters,
  peerOf,
  plan as testPlan,
  type Federation,
  type RunningCoordinator,
} from './federation.ts';
import { enrolAll, scriptedClient, type ScriptedClient } from './scripted-client.ts';

let federation: Federation;
let coordinator: RunningCoordinator;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul']);
  coordinator = await federation.coordinator({ stagingBuffers: 1, uploadIdleSeconds: 20 });
});
afterAll(async () => {
  await coordinator?.[Symbol.asyncDispose]();
  await federation?.[Symbol.asyncDispose]();
});

const never = new AbortController().signal;
const start = async (draft: Parameters<RunningCoordinator['plan']>[0] = {}): Promise<string> => {
  const { id } = await coordinator.plan(draft, federation.partners);
  await coordinator.session('POST', `/api/sessions/${id}/start`, {});
  return id;
};
const endOf = async (clients: readonly ScriptedClient[]): Promise<void> => {
  for (const client of clients) await client[Symbol.asyncDispose]();
};
/** 70 of 100 pairs are in the right order, ties half. */
const histogram = { negatives: [0, 7, 3, 0], positives: [0, 3, 7, 0] };
const evaluateAll = async (clients: readonly ScriptedClient[]): Promise<void> => {
  for (const client of clients) {
    const { round } = await client.task('evaluate');
    await client.coordinator.evaluate(round, { metrics: {}, histogram }, await client.charge(round), never);
  }
};
const modelOf = async (id: string, plan: SessionPlan): Promise<Float32Array> => {
  const response = await coordinator.call('GET', `/api/sessions/${id}/model`);
  const expected = { sessionId: plan.sessionId, kind: 'model' } as const;
  return (await readUpdate(response.body!, { maxCount: parameters, expected })).parameters;
};

describe('who sees a session', () => {
  test('a participant of the data space that does not belong to it gets 404, on every path', async () => {
    const id = await start();
    const identity = await federation.space.enrol('stranger');
    await using peer = peerOf({ identity });
    const root = `${coordinator.urls.roundsUrl}/fl/v1/sessions/${id}`;
    for (const path of ['', '/task', '/models/0']) expect((await peer.fetch(root + path)).status).toBe(404);
    for (const path of ['/enrolment', '/rounds/1/refusal', '/phase', '/departure']) {
      expect((await peer.fetch(root + path, { method: 'POST', body: '{}' })).status).toBe(404);
    }
    const put = await peer.fetch(`${root}/rounds/1/update`, { method: 'PUT', body: 'x' });
    expect(put.status).toBe(404);
    await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
  });

  test('a session that is only planned is nobody’s business', async () => {
    const { id } = await coordinator.plan({}, federation.partners);
    const response = await federation.partners[0]!.peer.fetch(`${coordinator.urls.roundsUrl}/fl/v1/sessions/${id}`);
    expect(response.status).toBe(404);
  });
});

describe('a model that is too large to be held for everybody', () => {
  test('comes bit by bit to all who ask at the same time, and moves by their mean', async () => {
    const model = { ...testPlan.model, hidden: [60] };
    const features = [{ kind: 'hashed-category' as const, column: 'distance', buckets: 4_096 }];
    const id = await start({
      model,
      features,
      rounds: 1,
      evaluation: { holdOut: 0, salt: 's', metrics: [] },
    });
    const { clients, task } = await enrolAll(federation.partners, id);
    const { plan, planHash, modelHash } = clients[0]!.description;
    const initial = initialParameters(plan);
    const wanted = { round: 0, planHash, modelHash, parameters: initial.length };
    const models = await Promise.all(clients.map((client) => client.coordinator.model(wanted, never)));
    for (const one of models) expect(Buffer.from(one.buffer).equals(Buffer.from(initial.buffer))).toBe(true);
    await Promise.all(
      clients.map(async (client, i) => {
        const header = { sessionId: id, planHash, round: task.round, kind: 'update' } as const;
        await client.coordinator.upload(
          task.round,
          encodeUpdate(
            header,
            initial.map((_, at) => (i * at) % 7),
          ),
          await client.charge(task.round),
          never,
        );
      }),
    );
    await coordinator.until(id, ({ state }) => state === 'completed');
    const response = await coordinator.call('GET', `/api/sessions/${id}/model`);
    const { parameters: after } = await readUpdate(response.body!, { maxCount: initial.length });
    expect(after).toEqual(initial.map((value, at) => value + ((at % 7) + ((2 * at) % 7)) / 3));
    await endOf(clients);
  });
});

describe('enrolment', () => {
  test('is refused when it is not about this plan, model, agreement, transfer, coordinator or caller', async () => {
    const id = await start();
    await using client = await scriptedClient(federation.partners[0]!, id);
    const other = 'ab'.repeat(32);
    for (const change of [
      { planHash: other },
      { modelHash: other },
      { agreementId: 'urn:another' },
      { transferId: 'urn:another' },
      { coordinator: 'did:web:another.example' },
      { participantId: 'did:web:pvd.example' },
      { issuedAt: '2001-01-01T00:00:00Z' },
    ]) {
      await expect(client.enrol(change), JSON.stringify(change)).rejects.toMatchObject({ code: 'not-permitted' });
    }
    await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
  });

  test('is refused when another participant signed it', async () => {
    const id = await start();
    const [first, second] = federation.partners;
    await using client = await scriptedClient(first!, id);
    await expect(client.enrol({}, second!.identity)).rejects.toMatchObject({ code: 'bad-signature' });
    await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
  });

  test('comes before tasks, models and updates', async () => {
    const id = await start();
    await using client = await scriptedClient(federation.partners[0]!, id);
    await expect(client.coordinator.nextTask(0, never)).rejects.toMatchObject({ code: 'not-enrolled' });
    await expect(client.upload(1, 0)).rejects.toMatchObject({ code: 'not-enrolled' });
    await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
  });
});

describe('a session of two rounds', () => {
  test('averages the updates, evaluates, and completes the transfers', async () => {
    const id = await start();
    const { clients, task } = await enrolAll(federation.partners, id);
    const { plan, modelHash } = clients[0]!.description;
    expect(task).toMatchObject({ round: 1, cohort: 3, modelHash });
    const initial = initialParameters(plan);
    expect(parametersHash(initial)).toBe(modelHash);
    // More uploads at once than staging buffers, one of them twice.
    await Promise.all([0.1, 0.2, 0.6].map((value, i) => clients[i]!.upload(1, value)));
    await evaluateAll(clients);
    const second = await Promise.all(clients.map((client) => client.task('train')));
    expect(second[0]).toMatchObject({ round: 2, cohort: 3 });
    const model = await clients[0]!.coordinator.model(
      { round: 1, planHash: clients[0]!.description.planHash, modelHash: second[0]!.modelHash, parameters },
      never,
    );
    for (const [i, value] of model.entries()) expect(value).toBeCloseTo(initial[i]! + 0.3, 5);
    // The same participant again in the same round: accepted, counted once.
    await clients[0]!.upload(2, -0.3);
    await clients[0]!.upload(2, -0.3);
    for (const client of clients.slice(1)) await client.upload(2, -0.3);
    await evaluateAll(clients);
    const done = await coordinator.until(id, ({ state }) => state === 'completed');
    expect(done).toMatchObject({ roundsDone: 2, reason: 'All 2 rounds are done.' });
    expect(done.rounds.map(({ mean }) => mean.auc)).toEqual([expect.closeTo(0.7), expect.closeTo(0.7)]);
    const last = await modelOf(id, plan);
    for (const [i, value] of last.entries()) expect(value).toBeCloseTo(initial[i]!, 5);
    expect(parametersHash(last)).toBe(done.modelHash);
    await clients[0]!.task('done');
    for (const partner of federation.partners) {
      const transfers = await partner.operator.transfers();
      const own = transfers.find(({ dataAddress }) => dataAddress?.properties['sessionId'] === id)!;
      await partner.operator.transferUntil(own.id, ['COMPLETED']);
    }
    await endOf(clients);
  });
});

describe('an update', () => {
  test('is refused when it is for another round, of another size, or not what its hash says; and none of it counts', async () => {
    const id = await start({ rounds: 1, evaluation: { holdOut: 0, salt: 's', metrics: [] } });
    const { clients } = await enrolAll(federation.partners, id);
    const [client] = clients as [ScriptedClient];
    const headers = { [HEAD_HEADER]: writeHeadHeader(await client.charge(1)) };
    const put = async (body: Uint8Array<ArrayBuffer>, round = 1): Promise<number> =>
      (await client.peer.fetch(`${client.root}/rounds/${round}/update`, { method: 'PUT', body, headers })).status;
    expect(await put(client.update(2, 0.1), 1)).toBe(400);
    expect(await put(client.update(2, 0.1), 2)).toBe(409);
    expect(await put(client.update(1, 0.1).slice(0, -4))).toBe(400);
    const changed = client.update(1, 0.1);
    changed[changed.length - 1]! ^= 1;
    expect(await put(changed)).toBe(400);
    expect(await put(new Uint8Array(parameters * 4 + 20_000))).toBe(413);
    expect(await put(new TextEncoder().encode('no update'))).toBe(400);
    for (const one of clients) await one.upload(1, 0.5);
    const done = await coordinator.until(id, ({ state }) => state === 'completed');
    const initial = initialParameters(client.description.plan);
    const model = await modelOf(id, done.plan);
    for (const [i, value] of model.entries()) expect(value).toBeCloseTo(initial[i]! + 0.5, 5);
    await endOf(clients);
  });

  test('that stalls is given up when its sender uploads again, and holds nobody else up', async () => {
    const id = await start({ rounds: 1, evaluation: { holdOut: 0, salt: 's', metrics: [] } });
    const { clients } = await enrolAll(federation.partners, id);
    const [client] = clients as [ScriptedClient];
    const bytes = client.update(1, 0.2);
    const { promise: stuck, resolve: isStuck } = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes.subarray(0, bytes.length - 8)),
      pull: () => isStuck(),
    });
    const headers = { [HEAD_HEADER]: writeHeadHeader(await client.charge(1)) };
    const stalled = client.peer.fetch(`${client.root}/rounds/1/update`, { method: 'PUT', body, headers }).then(
      ({ status }) => status,
      () => 0,
    );
    await stuck;
    // The only staging buffer may be taken by the stalled upload: the others wait, until it is superseded.
    const others = clients.slice(1).map((one) => one.upload(1, 0.2));
    await client.upload(1, 0.2);
    await Promise.all(others);
    expect(await stalled).not.toBe(204);
    await coordinator.until(id, ({ state }) => state === 'completed');
    await endOf(clients);
  });
});

describe('a participant that will not or cannot go on', () => {
  test('below the minimum cohort a refusal ends the session, in words, and its transfers', async () => {
    const id = await start();
    const { clients } = await enrolAll(federation.partners, id);
    await clients[0]!.upload(1, 0.1);
    await clients[1]!.coordinator.refuse(
      1,
      { code: 'budget-exhausted', reason: 'The privacy budget is spent.' },
      never,
    );
    const failed = await coordinator.until(id, ({ state }) => state === 'failed');
    expect(failed.reason).toBe(
      'Round 1: did:web:pvd.example refused: The privacy budget is spent; 2 of at least 3 participants are left.',
    );
    expect(failed.rounds[0]).toMatchObject({ phase: 'abandoned' });
    expect(failed.participants.find(({ participantId }) => participantId === 'did:web:pvd.example')).toMatchObject({
      status: 'refused',
      note: 'The privacy budget is spent.',
    });
    await expect(clients[0]!.upload(1, 0.1)).rejects.toMatchObject({ code: 'round-over' });
    const partner = federation.partners[0]!;
    const transfers = await partner.operator.transfers();
    const own = transfers.find(({ dataAddress }) => dataAddress?.properties['sessionId'] === id)!;
    expect(await partner.operator.transferUntil(own.id, ['TERMINATED'])).toMatchObject({ reason: failed.reason });
    await endOf(clients);
  });

  test('whose provider suspends the transfer leaves the round at once, and joins again when it is resumed', async () => {
    const id = await start({ minimumCohort: 2, rounds: 2, evaluation: { holdOut: 0, salt: 's', metrics: [] } });
    const { clients } = await enrolAll(federation.partners, id);
    const [first, second, third] = clients as [ScriptedClient, ScriptedClient, ScriptedClient];
    const { operator } = third.partner;
    const transfer = (await operator.transfers()).find(
      ({ dataAddress }) => dataAddress?.properties['sessionId'] === id,
    )!;
    await operator.suspendTransfer(transfer.id, { reason: 'Audit.' });
    const view = await coordinator.until(id, ({ participants }) =>
      participants.some(({ status }) => status === 'departed'),
    );
    expect(view.participants.find(({ status }) => status === 'departed')?.note).toBe(
      'The transfer is suspended: Audit.',
    );
    await first.upload(1, 0.1);
    await second.upload(1, 0.3);
    expect(await second.task('train')).toMatchObject({ round: 2, cohort: 2 });
    await expect(third.upload(2, 1)).rejects.toMatchObject({ code: 'not-enrolled' });
    await operator.startTransfer(transfer.id);
    const { transferId } = view.participants.find(({ status }) => status === 'departed')!;
    await federation.owner.operator.transferUntil(transferId!, ['STARTED']);
    await third.enrol();
    expect(await third.task('train')).toMatchObject({ round: 2 });
    for (const client of clients) await client.upload(2, 0);
    const done = await coordinator.until(id, ({ state }) => state === 'completed');
    expect(done.rounds.map(({ contributions }) => contributions[third.partner.participantId]?.status)).toEqual([
      'missed',
      'received',
    ]);
    await endOf(clients);
  });

  test('that says that it leaves is departed; a session that cannot reach its cohort fails', async () => {
    const id = await start();
    await using client = await scriptedClient(federation.partners[0]!, id);
    await client.coordinator.depart({ code: 'plan-rejected', reason: 'The model is too large.' }, never);
    const failed = await coordinator.until(id, ({ state }) => state === 'failed');
    expect(failed.reason).toBe(
      '2 of at least 3 participants can take part. did:web:bdl.example: The model is too large.',
    );
  });
});

describe('the operator', () => {
  test('pauses a round and resumes it: what was sent meanwhile counts', async () => {
    const id = await start({ rounds: 1, evaluation: { holdOut: 0, salt: 's', metrics: [] } });
    const { clients } = await enrolAll(federation.partners, id);
    const paused = await coordinator.session('POST', `/api/sessions/${id}/pause`, {});
    expect(paused).toMatchObject({ state: 'paused', reason: 'Paused by the operator.' });
    await clients[0]!.task('pause');
    for (const client of clients) await client.upload(1, 0.1);
    expect(await coordinator.session('GET', `/api/sessions/${id}`)).toMatchObject({ state: 'paused', roundsDone: 0 });
    await coordinator.session('POST', `/api/sessions/${id}/resume`, {});
    await coordinator.until(id, ({ state, roundsDone }) => state === 'completed' && roundsDone === 1);
    await endOf(clients);
  });

  test('stops a session: clients are told why', async () => {
    const id = await start();
    const { clients } = await enrolAll(federation.partners, id);
    await coordinator.session('POST', `/api/sessions/${id}/stop`, { reason: 'wrong data' });
    const task = await clients[0]!.task('done');
    expect(task.reason).toBe('Stopped by the operator: wrong data');
    await expect(coordinator.session('POST', `/api/sessions/${id}/resume`, {})).rejects.toThrow(/conflict/);
    await endOf(clients);
  });

  test('asks a completed session for more rounds: new transfers under the same agreements', async () => {
    const id = await start({ rounds: 1, evaluation: { holdOut: 0, salt: 's', metrics: [] } });
    const { clients } = await enrolAll(federation.partners, id);
    for (const client of clients) await client.upload(1, 0.1);
    const first = await coordinator.until(id, ({ state }) => state === 'completed');
    for (const { operator } of federation.partners) {
      const own = (await operator.transfers()).find(({ dataAddress }) => dataAddress?.properties['sessionId'] === id)!;
      await operator.transferUntil(own.id, ['COMPLETED']);
    }
    await coordinator.session('POST', `/api/sessions/${id}/rounds`, { additional: 1 });
    const again = await enrolAll(federation.partners, id);
    expect(again.task).toMatchObject({ round: 2, modelHash: first.modelHash });
    for (const client of again.clients) await client.upload(2, 0.1);
    const done = await coordinator.until(id, ({ roundsDone, state }) => roundsDone === 2 && state === 'completed');
    expect(done.roundsTarget).toBe(2);
    expect(done.participants[0]!.transferId).not.toBe(first.participants[0]!.transferId);
    await endOf([...clients, ...again.clients]);
  });
});

describe('a coordinator that is started again', () => {
  test('begins an unfinished round anew under the same number, and sums the same updates to the same model', async () => {
    const id = await start({ rounds: 1 });
    const { clients, task } = await enrolAll(federation.partners, id);
    await clients[0]!.upload(1, 0.1);
    await clients[1]!.upload(1, 0.2);
    coordinator = await coordinator.restart();
    const again = await Promise.all(clients.map((client) => client.task('train')));
    expect(again[0]).toMatchObject({ round: 1, modelHash: task.modelHash });
    expect(again[0]!.seq).toBeGreaterThan(task.seq);
    const view = await coordinator.session('GET', `/api/sessions/${id}`);
    expect(Object.values(view.rounds[0]!.contributions).map(({ status }) => status)).toEqual([
      'waiting',
      'waiting',
      'waiting',
    ]);
    for (const [i, value] of [0.1, 0.2, 0.3].entries()) await clients[i]!.upload(1, value);
    // In evaluation a restart only asks again: the new parameters are stored.
    await clients[0]!.task('evaluate');
    coordinator = await coordinator.restart();
    await clients[0]!
      .task('evaluate')
      .then(({ round }) => clients[0]!.coordinator.evaluate(round, { metrics: {} }, null, never));
    await evaluateAll(clients.slice(1));
    const done = await coordinator.until(id, ({ state }) => state === 'completed');
    const initial = initialParameters(done.plan);
    const model = await modelOf(id, done.plan);
    for (const [i, value] of model.entries()) expect(value).toBeCloseTo(initial[i]! + 0.2, 5);
    expect(done.rounds).toHaveLength(1);
    await endOf(clients);
  });
});
