import { describe, expect, test } from 'vitest';
import {
  PLAN_HASH,
  PURPOSE,
  agreement,
  constraint,
  decideByOne,
  ours,
  permission,
  spentSoFar,
  trainRequest,
} from '../agreement.fixture.ts';
import { parsePolicy } from '../parse.ts';
import { PolicyError } from '../policy-error.ts';
import { TRAIN } from '../terms.ts';

const budget = ours('privacyBudget', 'lteq', { epsilon: '4', delta: '1e-5' });

describe('privacyBudget', () => {
  const decide = (loss: { epsilon: number; delta: number } | null, epsilon = 0) =>
    decideByOne(TRAIN, [budget], trainRequest({ privacyLoss: loss }), spentSoFar({ epsilon }));

  test('permits a round whose loss fits and charges it', () => {
    const decision = decide({ epsilon: 0.17, delta: 1e-5 }, 3.83);
    expect(decision.permit).toBe(true);
    expect(decision.charges).toEqual([
      { meter: 'rounds', amount: 1, limit: null },
      { meter: 'epsilon', amount: 0.17, limit: 4 },
    ]);
  });

  test('refuses a round whose loss does not fit, and says how much is left', () => {
    const decision = decide({ epsilon: 0.17, delta: 1e-5 }, 3.92);
    expect(decision).toMatchObject({ permit: false, exhausted: true });
    expect(decision.reasons).toEqual([
      'The privacy budget is spent: ε 3.92 of 4.00 is charged, this round needs 0.17.',
    ]);
  });

  test('says enough digits to show that it is too much', () => {
    expect(decide({ epsilon: 0.0012, delta: 1e-5 }, 3.999).reasons).toEqual([
      'The privacy budget is spent: ε 3.9990 of 4.0000 is charged, this round needs 0.0012.',
    ]);
  });

  test('may be spent to the end in floating-point steps, and not a step further', () => {
    let epsilon = 0;
    let rounds = 0;
    while (decide({ epsilon: 0.1, delta: 1e-5 }, epsilon).permit) {
      epsilon += 0.1;
      rounds += 1;
    }
    expect(rounds).toBe(40);
    expect(decide({ epsilon: 2e-9, delta: 1e-5 }, 4).permit).toBe(false);
  });

  test('refuses a round without noise, which no other budget would help', () => {
    const decision = decide(null);
    expect(decision).toMatchObject({ permit: false, exhausted: false });
    expect(decision.reasons[0]).toMatch(/privacy budget of ε 4.00 at δ 0.00001, and this round is trained without/);
  });

  test('counts a loss at a smaller δ, and none at a larger one', () => {
    expect(decide({ epsilon: 1, delta: 1e-6 }).permit).toBe(true);
    expect(decide({ epsilon: 1, delta: 0 }).permit).toBe(true);
    expect(decide({ epsilon: 1, delta: 1.1e-5 })).toMatchObject({ permit: false, exhausted: false });
  });

  test.each([
    { epsilon: -1, delta: 1e-5 },
    { epsilon: Number.NaN, delta: 1e-5 },
    { epsilon: Number.POSITIVE_INFINITY, delta: 1e-5 },
    { epsilon: 1, delta: -1 },
    { epsilon: 1, delta: 1 },
    { epsilon: 1, delta: Number.NaN },
  ])('permits nothing for the loss %j', (loss) => {
    expect(decide(loss).permit).toBe(false);
  });

  test('permits nothing when the ledger does not know what is spent', () => {
    expect(decide({ epsilon: 1, delta: 1e-5 }, Number.NaN).permit).toBe(false);
    expect(decide({ epsilon: 1, delta: 1e-5 }, -100).permit).toBe(false);
  });

  test('set twice must hold twice, and the charge counts against the smaller', () => {
    const smaller = ours('privacyBudget', 'lteq', { epsilon: 1, delta: 1e-6 });
    const decideBoth = (loss: { epsilon: number; delta: number }) =>
      decideByOne(TRAIN, [budget, smaller], trainRequest({ privacyLoss: loss }));
    expect(decideBoth({ epsilon: 1, delta: 1e-6 }).charges[1]).toMatchObject({ limit: 1 });
    expect(decideBoth({ epsilon: 1, delta: 1e-5 }).permit).toBe(false);
    expect(decideBoth({ epsilon: 1.5, delta: 1e-6 }).permit).toBe(false);
  });

  test.each([
    { epsilon: 0, delta: 1e-5 },
    { epsilon: -1, delta: 1e-5 },
    { epsilon: 4, delta: 1 },
    { epsilon: 4 },
    { epsilon: 4, delta: 1e-5, unit: 'user' },
    '4',
  ])('is no budget as %j', (value) => {
    const json = agreement({ permission: permission(TRAIN, ours('privacyBudget', 'lteq', value)) });
    expect(() => parsePolicy(json)).toThrow(PolicyError);
  });
});

test('without a privacy budget a round without noise is permitted and charges ε 0', () => {
  const { charges } = decideByOne(TRAIN, [], trainRequest({ privacyLoss: null }));
  expect(charges).toEqual([
    { meter: 'rounds', amount: 1, limit: null },
    { meter: 'epsilon', amount: 0, limit: null },
  ]);
});

test('rounds are counted by the ledger, not by the number that the request gives its round', () => {
  const rounds = ours('rounds', 'lteq', '20');
  const decide = (spent: number) =>
    decideByOne(TRAIN, [rounds], trainRequest({ round: 1 }), spentSoFar({ rounds: spent }));
  expect(decide(19).permit).toBe(true);
  expect(decide(20)).toMatchObject({
    permit: false,
    exhausted: true,
    reasons: ['The agreed rounds are spent: 20 of 20 are charged.'],
  });
});

test('a cohort smaller than agreed is refused', () => {
  const cohort = ours('minimumCohort', 'gteq', '3');
  expect(decideByOne(TRAIN, [cohort], trainRequest({ cohort: 3 })).permit).toBe(true);
  expect(decideByOne(TRAIN, [cohort], trainRequest({ cohort: 2 }))).toMatchObject({
    permit: false,
    exhausted: false,
    reasons: ['The round has 2 participants; the agreement asks for at least 3.'],
  });
});

test('metrics that were not granted are refused by name', () => {
  const decide = (value: unknown, metrics: string[]) =>
    decideByOne(TRAIN, [ours('metrics', 'isPartOf', value)], trainRequest({ metrics }));
  expect(decide(['auc', 'logLoss'], ['auc']).permit).toBe(true);
  expect(decide('auc', ['auc']).permit).toBe(true);
  expect(decide([], []).permit).toBe(true);
  expect(decide([], ['auc']).permit).toBe(false);
  expect(decide(['auc'], ['auc', 'rocCurve']).reasons).toEqual([
    'Metric rocCurve may not be released: the agreement allows auc.',
  ]);
});

test('another session plan than the agreed one is refused', () => {
  const plan = ours('planHash', 'eq', PLAN_HASH);
  expect(decideByOne(TRAIN, [plan], trainRequest()).permit).toBe(true);
  expect(decideByOne(TRAIN, [plan], trainRequest({ planHash: 'b2'.repeat(32) })).permit).toBe(false);
});

test('a training purpose is checked as any other', () => {
  const purpose = constraint('purpose', 'eq', PURPOSE);
  expect(decideByOne(TRAIN, [purpose], trainRequest()).permit).toBe(true);
  expect(decideByOne(TRAIN, [purpose], trainRequest({}, { purpose: 'urn:other' })).permit).toBe(false);
});

test.each([
  ['privacyBudget', budget],
  ['rounds', ours('rounds', 'lteq', '5')],
  ['minimumCohort', ours('minimumCohort', 'gteq', '1')],
  ['metrics', ours('metrics', 'isPartOf', ['auc'])],
  ['planHash', ours('planHash', 'eq', PLAN_HASH)],
])('%s in a permission to use permits nothing: a use has no such thing', (name, condition) => {
  const decision = decideByOne('use', [condition], { ...trainRequest(), action: 'use' });
  expect(decision.reasons).toEqual([`The operand foedus:${name} is not supported for the action use.`]);
});

test('a count of uses in a permission to train permits nothing: rounds are counted, not uses', () => {
  expect(decideByOne(TRAIN, [constraint('count', 'lteq', '5')], trainRequest()).permit).toBe(false);
});

test.each([
  ['privacyBudget', 'gteq', { epsilon: '4', delta: '1e-5' }],
  ['rounds', 'lt', '20'],
  ['minimumCohort', 'lteq', '3'],
  ['metrics', 'isNoneOf', ['auc']],
  ['planHash', 'neq', PLAN_HASH],
])('%s with the operator %s permits nothing', (name, operator, value) => {
  expect(decideByOne(TRAIN, [ours(name, operator, value)], trainRequest()).permit).toBe(false);
});

describe('an evaluation', () => {
  const loss = { epsilon: 0.02, delta: 1e-5 };
  const evaluation = (metrics: string[], changes: object = {}) =>
    trainRequest({ evaluation: true, cohort: 1, metrics, privacyLoss: loss, ...changes });
  const named = ours('metrics', 'isPartOf', ['auc', 'logLoss']);

  test('is charged its ε and no round, also when all rounds are spent and the cohort is asked for', () => {
    const rules = [budget, ours('rounds', 'lteq', '2'), ours('minimumCohort', 'gteq', '3'), named];
    const decision = decideByOne(TRAIN, rules, evaluation(['auc', 'logLoss']), spentSoFar({ rounds: 2 }));
    expect(decision.permit).toBe(true);
    expect(decision.charges).toEqual([{ meter: 'epsilon', amount: 0.02, limit: 4 }]);
  });

  test('that does not fit into the budget is refused as exhausted, in words about evaluations', () => {
    const decision = decideByOne(TRAIN, [budget, named], evaluation(['auc']), spentSoFar({ epsilon: 3.99 }));
    expect(decision).toMatchObject({ permit: false, exhausted: true });
    expect(decision.reasons[0]).toMatch(/this evaluation needs 0\.02/);
  });

  test.each([
    ['names none', [budget], /names no metrics/],
    ['names others', [budget, ours('metrics', 'isPartOf', ['auc'])], /logLoss.*may not be released/],
    ['allows no noiseless one', [budget, named], /without noise/],
  ])('is refused where the agreement %s', (_, rules, reason) => {
    const asked = evaluation(['auc', 'logLoss'], /noise/.test(reason.source) ? { privacyLoss: null } : {});
    const decision = decideByOne(TRAIN, rules, asked);
    expect(decision.permit).toBe(false);
    expect(decision.reasons.join(' ')).toMatch(reason);
  });

  test('is no reason to refuse a round to whoever names no metrics', () => {
    expect(decideByOne(TRAIN, [budget], trainRequest({ metrics: ['auc'] })).permit).toBe(true);
  });
});
