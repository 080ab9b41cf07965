import { sessionPlanSchema } from '@foedus/fl-core';
import { expect, test } from 'vitest';
import { checkSecureRounds } from './secure-rounds.ts';

const plan = sessionPlanSchema.parse({
  version: 1,
  sessionId: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
  title: 'Will a flight leave late?',
  coordinator: 'did:web:coordinator.example',
  purpose: 'https://w3id.org/dpv#ServiceOptimisation',
  label: { column: 'delay', atLeast: 15 },
  features: [{ kind: 'number', column: 'distance', center: 700, scale: 500 }],
  model: { kind: 'mlp', hidden: [2], activation: 'tanh', seed: '5e'.repeat(32) },
  rounds: 1,
  local: { steps: 1, samplingRate: 0.1, learningRate: 0.5 },
  privacy: null,
  secureAggregation: { mode: 'active-server', clip: 1 },
  strategy: { name: 'fedavg' },
  minimumCohort: 2,
  roundTimeoutSeconds: 60,
  earlyStop: null,
  evaluation: { holdOut: 0, salt: 's', metrics: [] },
});
const invited = (...ids: readonly string[]) =>
  ids.map((participantId) => ({ participantId, agreementHash: 'ab'.repeat(32), minimumCohort: null }));

test('a session is planned whose rounds can begin', () => {
  expect(() => checkSecureRounds(plan, invited('did:web:a.example', 'did:web:b.example'))).not.toThrow();
});

test('a session is not planned in which the coordinator is a member: it would know one update more of the sum', () => {
  expect(() => checkSecureRounds(plan, invited('did:web:b.example', plan.coordinator))).toThrow(
    expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(plan.coordinator) as string }),
  );
});

test('a session is not planned whose terms no member would read: its first round would end the program', () => {
  const long = `did:web:${'a'.repeat(500)}.example`;
  expect(() => checkSecureRounds(plan, invited('did:web:b.example', long))).toThrow(
    expect.objectContaining({ code: 'bad-request', message: expect.stringContaining('cohort') as string }),
  );
});
