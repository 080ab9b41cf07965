import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@foedus/connector/store';
import { parametersHash, sessionPlanSchema } from '@foedus/fl-core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { migrations } from './migrations.ts';
import type { ModelPart } from '../strategy/strategy.ts';
import { PART_PARAMETERS, createModelRegistry, partsOf } from './model-registry.ts';
import type { ParticipantRecord, SessionRecord } from './records.ts';
import { type SessionStore, createSessionStore, waitingContribution } from './session-store.ts';

const now = () => new Date('2026-01-02T03:04:05Z');
const id = '4f0a2a2e-7c1b-4d8e-9a52-0b8f6f1d2c3e';
const plan = sessionPlanSchema.parse({
  version: 1,
  sessionId: id,
  title: 'Late?',
  coordinator: 'did:web:coordinator.example',
  purpose: 'https://w3id.org/dpv#ServiceOptimisation',
  label: { column: 'delay', atLeast: 15 },
  features: [{ kind: 'number', column: 'distance', center: 0, scale: 1 }],
  model: { kind: 'mlp', hidden: [], activation: 'relu', seed: '01'.repeat(32) },
  rounds: 1,
  local: { steps: 1, samplingRate: 0.1, learningRate: 1 },
  privacy: null,
  strategy: { name: 'fedavg' },
  minimumCohort: 1,
  roundTimeoutSeconds: 1,
  earlyStop: null,
  evaluation: { holdOut: 0, salt: 's', metrics: [] },
});
const session: SessionRecord = {
  id,
  plan,
  planHash: 'aa',
  initialHash: 'bb',
  parameters: 2,
  state: 'planned',
  reason: null,
  seq: 1,
  roundsTarget: 1,
  roundsDone: 0,
  extended: false,
  recruitingSince: null,
  createdAt: now().toISOString(),
  updatedAt: now().toISOString(),
};
const participant: ParticipantRecord = {
  participantId: 'did:web:bdl.example',
  agreementId: 'urn:agreement',
  agreementHash: null,
  minimumCohort: null,
  transferId: null,
  transferOpen: false,
  status: 'invited',
  note: null,
  lastSeenAt: null,
  privacy: null,
  enrolment: null,
};
const opened = () => {
  const db = openDatabase(':memory:', migrations);
  const store = createSessionStore(db, now);
  store.insert(session, [participant]);
  return { db, store, models: createModelRegistry(db) };
};

test('a session and its participants come back as they were stored', () => {
  const { store } = opened();
  expect(store.session(id)).toEqual(session);
  expect(store.participants(id)).toEqual([participant]);
  const privacy = { epsilonSpent: 1.5, epsilonLimit: null, delta: 1e-5 };
  store.updateParticipant(id, participant.participantId, { transferOpen: true, privacy });
  expect(store.participant(id, participant.participantId)).toEqual({ ...participant, transferOpen: true, privacy });
});

test('contributions belong to a round, and rounds keep what their phases took', () => {
  const { store } = opened();
  const round = {
    round: 1,
    phase: 'training',
    phaseSince: now().toISOString(),
    startedAt: now().toISOString(),
    endedAt: null,
    durations: { training: 0.5 },
    reason: null,
  } as const;
  store.putRound(id, round);
  store.insertContribution(id, waitingContribution(1, 'did:web:bdl.example'));
  store.updateContribution(id, 1, 'did:web:bdl.example', { status: 'received', bytes: 8, evaluated: true, auc: 0.5 });
  expect(store.lastRound(id)).toEqual(round);
  expect(store.contributions(id, 1)).toEqual([
    { ...waitingContribution(1, 'did:web:bdl.example'), status: 'received', bytes: 8, evaluated: true, auc: 0.5 },
  ]);
  expect(() => store.insertContribution(id, waitingContribution(2, 'did:web:bdl.example'))).toThrow(/FOREIGN KEY/);
});

test('a transaction that fails changes nothing', () => {
  const { store } = opened();
  expect(() =>
    store.transaction(() => {
      store.updateSession(id, { state: 'running' });
      throw new Error('power cut');
    }),
  ).toThrow('power cut');
  expect(store.session(id)?.state).toBe('planned');
});

test('what is kept in memory is what is stored, whatever was written, taken back or never came', () => {
  const other = { ...participant, participantId: 'did:web:another.example', agreementId: 'urn:another' };
  const names = [participant.participantId, other.participantId, 'did:web:stranger.example'];
  const name = fc.constantFrom(...names);
  const round = fc.integer({ min: 1, max: 3 });
  const put = fc.record({
    round,
    phase: fc.constantFrom('training', 'evaluating', 'done'),
    reason: fc.constantFrom(null, 'r'),
  });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('session'), seq: fc.nat(), reason: fc.constantFrom(null, 'why') }),
    fc.record({
      kind: fc.constant('participant'),
      name,
      status: fc.constantFrom('enrolled', 'away'),
      note: fc.constantFrom(null, 'n'),
    }),
    fc.record({ kind: fc.constant('round'), put }),
    fc.record({ kind: fc.constant('contribution'), round, name }),
    fc.record({ kind: fc.constant('received'), round, name, bytes: fc.constantFrom(null, 8) }),
    fc.record({ kind: fc.constant('dropped'), round, names: fc.subarray(names) }),
  );
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
  const perform = (store: SessionStore, one: Step): void => {
    if (one.kind === 'session') store.updateSession(id, { seq: one.seq, reason: one.reason });
    if (one.kind === 'participant') store.updateParticipant(id, one.name, { status: one.status, note: one.note });
    if (one.kind === 'round') {
      const times = { phaseSince: null, startedAt: now().toISOString(), endedAt: null };
      store.putRound(id, { ...one.put, ...times, durations: { training: 1 } });
    }
    if (one.kind === 'contribution') store.insertContribution(id, waitingContribution(one.round, one.name));
    if (one.kind === 'received')
      store.updateContribution(id, one.round, one.name, { status: 'received', bytes: one.bytes });
    if (one.kind === 'dropped') store.putDropouts(id, one.round, { step: 'input', participantIds: one.names });
  };
  const seen = (store: SessionStore): object => ({
    session: store.session(id),
    participants: store.participants(id),
    single: names.map((one) => store.participant(id, one)),
    rounds: [store.lastRound(id), ...store.rounds(id)],
    contributions: [1, 2, 3].map((one) => store.contributions(id, one)),
  });
  const work = fc.record({
    steps: fc.array(step, { maxLength: 4 }),
    kind: fc.constantFrom('alone', 'transaction', 'passing', 'rollback'),
  });
  fc.assert(
    fc.property(fc.array(work, { minLength: 1, maxLength: 12 }), (works) => {
      const db = openDatabase(':memory:', migrations);
      const store = createSessionStore(db, now);
      store.insert(session, [participant, other]);
      for (const { steps, kind } of works) {
        const all = (): void => {
          for (const one of steps) perform(store, one);
          seen(store);
          if (kind === 'rollback') throw new Error('power cut');
        };
        const run = kind === 'alone' ? all : () => store[kind === 'passing' ? 'passing' : 'transaction'](all);
        try {
          run();
        } catch (error) {
          // A contribution to a round that there is not, or twice: the store refuses it.
          if (!/power cut|constraint/.test((error as Error).message)) throw error;
        }
        expect(seen(store)).toEqual(seen(createSessionStore(db, now)));
      }
      db.close();
    }),
    { numRuns: 40 },
  );
});

test('the registry gives back the same bits, and keeps the newest and the best', () => {
  const { store, models } = opened();
  const arrays = fc
    .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 2 }))
    .chain(([length, optimizers]) => {
      const values = fc.float32Array({ minLength: length, maxLength: length, noNaN: true });
      return fc.tuple(values, fc.array(values, { minLength: optimizers, maxLength: optimizers }));
    });
  let round = 0;
  fc.assert(
    fc.property(arrays, ([parameters, optimizer]) => {
      round += 1;
      const entry = store.transaction(() => models.put(id, round, [{ parameters, optimizer }]));
      expect(entry).toEqual({ round, hash: parametersHash(parameters) });
      expect(models.entry(id, round)).toEqual(entry);
      for (const part of models.parts(id, round)) expect(part).toEqual({ parameters, optimizer });
      expect(models.parameters(id, round, 0)).toEqual(parameters);
    }),
    { numRuns: 20 },
  );
  models.keepOnly(id, round, 3);
  expect(models.newest(id)?.round).toBe(round);
  expect([1, 2, 3, round].map((one) => models.entry(id, one) !== undefined)).toEqual([false, false, true, true]);
  expect([1, 2, 3, round].map((one) => [...models.parts(id, one)].length)).toEqual([0, 0, 1, 1]);
});

test('a model of several parts is given back in their order, each in memory only until the next', () => {
  const { store, models } = opened();
  const parameters = Float32Array.from({ length: 2 * PART_PARAMETERS + 3 }, (_, i) => i);
  const entry = store.transaction(() => models.put(id, 0, partsOf(parameters)));
  expect(entry.hash).toBe(parametersHash(parameters));
  let last: Float32Array | undefined;
  const seen: number[] = [];
  for (const part of models.parts(id, 0)) {
    expect(last?.length ?? 0).toBe(0);
    last = part.parameters;
    seen.push(...last);
  }
  expect(Float32Array.from(seen)).toEqual(parameters);
  expect(models.parameters(id, 0, 2)).toEqual(parameters.subarray(2 * PART_PARAMETERS));
  expect(models.parameters(id, 0, 3)).toBeUndefined();
});

test('a model that fails half-way is not there', () => {
  const { store, models } = opened();
  function* broken(): Generator<ModelPart> {
    yield { parameters: new Float32Array(PART_PARAMETERS), optimizer: [] };
    throw new Error('no second part');
  }
  expect(() => store.transaction(() => models.put(id, 0, broken()))).toThrow('no second part');
  expect(models.newest(id)).toBeUndefined();
  expect(models.parameters(id, 0, 0)).toBeUndefined();
});

test('models of stores from before there were parts are as they were', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foedus-store-'));
  try {
    const path = join(folder, 'coordinator.sqlite');
    const length = PART_PARAMETERS + 5;
    const [parameters, delta, v] = [0.5, 1.5, 2.5].map((start) =>
      Float32Array.from({ length }, (_, i) => start + i),
    ) as [Float32Array, Float32Array, Float32Array];
    const bytes = (...arrays: Float32Array[]) => Buffer.concat(arrays.map((one) => Buffer.from(one.buffer)));
    const before = openDatabase(path, migrations.slice(0, 4));
    createSessionStore(before, now).insert(session, [participant]);
    const put = before.sql.prepare('INSERT INTO models VALUES (?, ?, ?, ?, ?)');
    put.run(id, 0, parametersHash(parameters), bytes(parameters), null);
    put.run(id, 1, parametersHash(v), bytes(v), bytes(delta, parameters));
    before.close();
    const after = openDatabase(path, migrations);
    const models = createModelRegistry(after);
    const wholeOf = (round: number): number[][] => {
      const all: number[][] = [];
      for (const { parameters: some, optimizer } of models.parts(id, round)) {
        for (const [slot, values] of [some, ...optimizer].entries()) (all[slot] ??= []).push(...values);
      }
      return all;
    };
    expect(wholeOf(0)).toEqual([[...parameters]]);
    expect(wholeOf(1)).toEqual([[...v], [...delta], [...parameters]]);
    expect(models.newest(id)).toEqual({ round: 1, hash: parametersHash(v) });
    after.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
