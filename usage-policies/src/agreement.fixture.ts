/** Agreements and requests for the tests of this package. */
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import { FOEDUS, type Decision, type UsageRequest, type UsageState } from './model.ts';
import { parsePolicy } from './parse.ts';
import { TRAIN, USE } from './terms.ts';

export const PURPOSE = 'https://w3id.org/dpv#ResearchAndDevelopment';
export const CONSUMER = 'did:web:consumer.example';
export const PLAN_HASH = 'a1'.repeat(32);

export const nothingSpent: UsageState = { spent: { uses: 0, rounds: 0, epsilon: 0 } };

export function spentSoFar(spent: Partial<UsageState['spent']>): UsageState {
  return { spent: { ...nothingSpent.spent, ...spent } };
}

export function constraint(leftOperand: string, operator: string, rightOperand: unknown) {
  return { leftOperand, operator, rightOperand };
}

/** A constraint on one of our own operands. */
export function ours(name: string, operator: string, rightOperand: unknown) {
  return constraint(FOEDUS + name, operator, rightOperand);
}

export function permission(action: string, ...constraints: unknown[]) {
  return { action, constraint: constraints };
}

/** An Agreement between provider.example and consumer.example. */
export function agreement(rules: Record<string, unknown>): Record<string, unknown> {
  return {
    '@context': ['https://w3id.org/dspace/2025/1/context.jsonld'],
    '@id': 'urn:uuid:8b1fd2c0-0000-4000-8000-000000000001',
    '@type': 'Agreement',
    assigner: 'did:web:provider.example',
    assignee: CONSUMER,
    target: 'urn:flights',
    timestamp: '2026-01-01T00:00:00Z',
    ...rules,
  };
}

export function useRequest(changes: Partial<UsageRequest> = {}): UsageRequest {
  return { action: USE, assignee: CONSUMER, at: new Date('2026-06-01T00:00:00Z'), purpose: PURPOSE, ...changes };
}

export function trainRequest(
  training: Partial<NonNullable<UsageRequest['training']>> = {},
  changes: Partial<UsageRequest> = {},
): UsageRequest {
  return useRequest({
    action: TRAIN,
    training: {
      round: 1,
      planHash: PLAN_HASH,
      cohort: 3,
      privacyLoss: { epsilon: 0.17, delta: 1e-5 },
      metrics: [],
      ...training,
    },
    ...changes,
  });
}

export function decideBy(policy: unknown, request: UsageRequest, state: UsageState = nothingSpent): Decision {
  return decide(compile(parsePolicy(policy)), request, state);
}

/** The decision by an agreement with one permission. */
export function decideByOne(
  action: string,
  constraints: readonly unknown[],
  request: UsageRequest,
  state?: UsageState,
): Decision {
  return decideBy(agreement({ permission: [permission(action, ...constraints)] }), request, state);
}
