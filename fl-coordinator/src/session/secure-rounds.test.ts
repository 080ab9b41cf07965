import { sessionPlanSchema } from '@foedus/fl-core';
import { expect, test } from 'vitest';
import { flightsDraft } from '../../../fl-core/src/session/plan.test-data.ts';
import { checkSecureRounds } from './secure-rounds.ts';

const plan = sessionPlanSchema.parse({
  ...flightsDraft,
  privacy: null,
  secureAggregation: { mode: 'active-server', clip: 1 },
  minimumCohort: 2,
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
