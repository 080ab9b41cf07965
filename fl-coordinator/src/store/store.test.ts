import { openDatabase } from '@foedus/connector/store';
import { parametersHash, sessionPlanSchema } from '@foedus/fl-core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { migrations } from './migrations.ts';
import { createModelRegistry } from './model-registry.ts';
import type { ParticipantRecord, SessionRecord } from './records.ts';
import { createSessionStore, waitingContribution } from './session-store.ts';

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

test('the registry gives back the same bits, and keeps the newest and the best', () => {
  const { models } = opened();
  const values = fc.float32Array({ minLength: 1, maxLength: 20, noNaN: true });
  let round = 0;
  fc.assert(
    fc.property(values, fc.option(values), (parameters, optimizer) => {
      round += 1;
      const entry = models.put(id, round, { parameters, optimizer });
      expect(entry).toEqual({ round, hash: parametersHash(parameters) });
      expect(models.read(id, round)).toEqual({ parameters, optimizer });
    }),
    { numRuns: 20 },
  );
  models.keepOnly(id, round, 3);
  expect(models.newest(id)?.round).toBe(round);
  expect([1, 2, 3, round].map((one) => models.read(id, one) !== undefined)).toEqual([false, false, true, true]);
});
