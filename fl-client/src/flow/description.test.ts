import type { Transfer } from '@foedus/connector/operator-client';
import {
  type SessionDescription,
  type SessionPlan,
  initialParameters,
  parametersHash,
  planHash,
  sessionPlanSchema,
} from '@foedus/fl-core';
import { expect, test } from 'vitest';
import { flightsDraft } from '../../../fl-core/src/session/plan.test-data.ts';
import { checkDescription, trainingAddress } from './description.ts';

const sessionId = '4f0a2a2e-7c1b-4d8e-9a52-0b8f6f1d2c3e';
const plan: SessionPlan = sessionPlanSchema.parse({
  ...flightsDraft,
  sessionId,
  privacy: null,
  secureAggregation: null,
  minimumCohort: 1,
});
const transfer: Transfer = {
  id: 'urn:uuid:1',
  role: 'provider',
  state: 'STARTED',
  consumerPid: 'urn:uuid:2',
  providerPid: 'urn:uuid:1',
  counterPartyId: 'did:web:coordinator.example',
  counterPartyAddress: 'https://localhost:1',
  agreementId: 'urn:agreement',
  datasetId: 'urn:data',
  format: 'FederatedTraining-PUSH',
  dataAddress: {
    endpointType: 'https://w3id.org/foedus/ns#FederatedTraining',
    endpoint: 'https://localhost:7203',
    properties: { sessionId },
  },
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
};
const description = (
  changed: Partial<SessionPlan> = {},
  over: Partial<SessionDescription> = {},
): SessionDescription => {
  const whole = { ...plan, ...changed };
  return {
    plan: whole,
    planHash: planHash(whole),
    modelHash: parametersHash(initialParameters(whole)),
    agreementId: transfer.agreementId,
    ...over,
  };
};

test('a description that fits the contract is taken', () => {
  expect(() => checkDescription(description(), transfer, sessionId, 100)).not.toThrow();
});

test.each([
  ['of another session', description({ sessionId: '4f0a2a2e-7c1b-4d8e-9a52-0b8f6f1d2c3f' })],
  ['of another coordinator than the contract’s', description({ coordinator: 'did:web:another.example' })],
  ['under another agreement', description({}, { agreementId: 'urn:another' })],
  ['with another hash than its own', description({}, { planHash: '00'.repeat(32) })],
  ['with initial parameters that do not follow from the seed', description({}, { modelHash: '00'.repeat(32) })],
  ['with a larger model than this node trains', description({ model: { ...plan.model, hidden: [100] } })],
])('a description %s is rejected', (_, wrong) => {
  expect(() => checkDescription(wrong, transfer, sessionId, 100)).toThrow(
    expect.objectContaining({ code: 'plan-rejected' }),
  );
});

test('the address of a training is https, without credentials or query, with a session', () => {
  expect(trainingAddress(transfer)).toEqual({ endpoint: 'https://localhost:7203', sessionId });
  const { dataAddress } = transfer;
  for (const wrong of [
    undefined,
    { ...dataAddress!, endpoint: 'http://localhost:7203' },
    { ...dataAddress!, endpoint: 'https://user:secret@localhost:7203' },
    { ...dataAddress!, endpoint: 'https://localhost:7203/?to=elsewhere' },
    { ...dataAddress!, endpointType: 'https://w3id.org/idsa/v4.1/HTTP' },
    { ...dataAddress!, properties: {} },
    { ...dataAddress!, properties: { sessionId: '../../etc' } },
  ]) {
    const { dataAddress: _, ...rest } = transfer;
    const changed = wrong === undefined ? rest : { ...rest, dataAddress: wrong };
    expect(() => trainingAddress(changed)).toThrow(expect.objectContaining({ code: 'plan-rejected' }));
  }
});
