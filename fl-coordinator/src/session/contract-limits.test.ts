import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_LIMITS } from '@foedus/fl-core';
import { contractLimitsOf } from './contract-limits.ts';

const ours = (name: string): string => `https://w3id.org/foedus/policy#${name}`;
const constraint = (leftOperand: string, rightOperand: unknown) => ({ leftOperand, operator: 'lteq', rightOperand });
const train = (...constraints: unknown[]) => ({ action: ours('train'), constraint: constraints });
const agreement = (...permission: unknown[]) => ({ '@type': 'Agreement', permission });

describe('what an agreement says about training', () => {
  test('is read from the constraints of its permission to train, the smallest of several limits', () => {
    const limits = contractLimitsOf(
      agreement(
        { action: 'use', constraint: [constraint(ours('rounds'), 1)] },
        train(
          constraint(ours('privacyBudget'), { epsilon: 4, delta: 1e-5 }),
          constraint(ours('privacyBudget'), { epsilon: '3', delta: 1e-5 }),
          constraint(ours('roundPrivacyBudget'), { epsilon: 1, delta: 1e-5 }),
          constraint(ours('rounds'), { '@value': '20', '@type': 'xsd:integer' }),
          constraint(ours('rounds'), 30),
          constraint(ours('minimumCohort'), 3),
          constraint(ours('metrics'), ['auc']),
          constraint(ours('modelHash'), 'ab'.repeat(32)),
          constraint(ours('secureAggregation'), 'required'),
          constraint('odrl:purpose', [{ '@id': 'https://w3id.org/dpv#Marketing' }]),
        ),
      ),
    );
    expect(limits).toEqual({
      budget: { epsilon: 3, delta: 1e-5 },
      roundBudget: { epsilon: 1, delta: 1e-5 },
      rounds: 20,
      minimumCohort: 3,
      metrics: ['auc'],
      purposes: ['https://w3id.org/dpv#Marketing'],
      modelHash: 'ab'.repeat(32),
      secureAggregation: true,
    });
  });

  test('binds nobody where it is one of several ways: an alternative, or one of two permissions', () => {
    const either = { or: [constraint(ours('rounds'), 1), constraint(ours('rounds'), 100)] };
    expect(contractLimitsOf(agreement(train(either)))).toEqual(NO_LIMITS);
    const two = [train(constraint(ours('rounds'), 1)), train(constraint(ours('rounds'), 100))];
    expect(contractLimitsOf(agreement(...two))).toEqual(NO_LIMITS);
  });

  test('never fails, whatever somebody signed', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (value, right) => {
        contractLimitsOf(value);
        contractLimitsOf(agreement(train(constraint(ours('privacyBudget'), right), right)));
        contractLimitsOf({ permission: value });
      }),
    );
  });
});
