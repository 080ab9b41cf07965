import { describe, expect, test } from 'vitest';
import { agreement, decideByOne, ours, permission, spentSoFar, trainRequest } from '../agreement.fixture.ts';
import { parsePolicy } from '../parse.ts';
import { TRAIN } from '../terms.ts';

const hash = 'b2'.repeat(32);
type Training = Parameters<typeof trainRequest>[0];
const train = (constraint: unknown, training: Training = {}, spent = {}) =>
  decideByOne(TRAIN, [constraint], trainRequest(training), spentSoFar(spent));

describe('the privacy budget of a round', () => {
  const budget = ours('roundPrivacyBudget', 'lteq', { epsilon: '0.5', delta: '0.00001' });

  test('limits each round, whatever was spent before', () => {
    const round = (epsilon: number, delta = 1e-5) =>
      train(budget, { privacyLoss: { epsilon, delta } }, { epsilon: 100 });
    expect(round(0.5).permit).toBe(true);
    expect(round(0.51)).toMatchObject({ permit: false, exhausted: false });
    expect(round(0.1, 2e-5).permit).toBe(false);
    expect(round(0.51).reasons).toEqual([
      'This round loses ε 0.51 at δ 0.00001; the agreement limits each round to ε 0.50 at δ 0.00001.',
    ]);
  });

  test('refuses a round without noise', () => {
    expect(train(budget, { privacyLoss: null }).permit).toBe(false);
  });

  test('counts beside that of all rounds together', () => {
    const both = [budget, ours('privacyBudget', 'lteq', { epsilon: '4', delta: '0.00001' })];
    const round = (epsilon: number, spent: number) =>
      decideByOne(TRAIN, both, trainRequest({ privacyLoss: { epsilon, delta: 1e-5 } }), spentSoFar({ epsilon: spent }));
    expect(round(0.5, 3.5).permit).toBe(true);
    expect(round(0.5, 3.6)).toMatchObject({ permit: false, exhausted: true });
    expect(round(0.6, 0).permit).toBe(false);
  });
});

test('the hash of a model permits this model, and none where the request does not say which', () => {
  const only = ours('modelHash', 'eq', hash);
  expect(train(only, { modelHash: hash }).permit).toBe(true);
  expect(train(only, { modelHash: 'c3'.repeat(32) }).permit).toBe(false);
  expect(train(only).reasons).toEqual(['The request does not say which model is trained.']);
});

test('required secure aggregation permits rounds that say they have it', () => {
  const required = ours('secureAggregation', 'eq', 'required');
  expect(train(required, { secureAggregation: true }).permit).toBe(true);
  expect(train(required, { secureAggregation: false }).permit).toBe(false);
  expect(train(required).permit).toBe(false);
});

describe('the unit of privacy that an agreement asks for', () => {
  const atLeast = (unit: string) => ours('privacyUnit', 'gteq', unit);

  test.each([
    ['record', 'record', true],
    ['record', 'organisation', true],
    ['organisation', 'organisation', true],
    ['organisation', 'record', false],
  ] as const)('%s: noise that hides the unit %s is permitted: %s', (wanted, stated, permit) => {
    expect(train(atLeast(wanted), { privacyUnit: stated }).permit).toBe(permit);
    const naming = [atLeast(wanted), ours('metrics', 'isPartOf', ['auc'])];
    const evaluation = trainRequest({ privacyUnit: stated, evaluation: true, metrics: ['auc'] });
    expect(decideByOne(TRAIN, naming, evaluation, spentSoFar({})).permit).toBe(permit);
  });

  test('says what is missing', () => {
    expect(train(atLeast('organisation'), { privacyUnit: 'record' }).reasons).toEqual([
      'The noise of this round hides single rows; the agreement asks for it to hide whole organisations.',
    ]);
    expect(train(atLeast('record')).reasons).toEqual(['The request does not say what the noise hides.']);
  });

  test('refuses whatever has no noise, also where the request says otherwise', () => {
    for (const privacyUnit of ['record', 'organisation', null] as const) {
      expect(train(atLeast('record'), { privacyLoss: null, privacyUnit })).toMatchObject({
        permit: false,
        exhausted: false,
        reasons: ['The agreement asks for noise that hides single rows, and this round has none.'],
      });
    }
    expect(train(atLeast('record'), { privacyUnit: null }).permit).toBe(false);
  });

  test('of two, the stronger counts', () => {
    const both = [atLeast('record'), atLeast('organisation')];
    const round = (privacyUnit: 'record' | 'organisation') =>
      decideByOne(TRAIN, both, trainRequest({ privacyUnit }), spentSoFar({})).permit;
    expect([round('record'), round('organisation')]).toEqual([false, true]);
  });
});

test.each([
  ['privacyUnit', 'gteq', 'row'],
  ['privacyUnit', 'gteq', ['record', 'organisation']],
  ['modelHash', 'eq', 'B2'.repeat(32)],
  ['modelHash', 'eq', 'short'],
  ['secureAggregation', 'eq', 'preferred'],
  ['secureAggregation', 'eq', 'false'],
  ['roundPrivacyBudget', 'lteq', { epsilon: '0', delta: '0.1' }],
  ['roundPrivacyBudget', 'lteq', '0.5'],
])('%s %s %j is refused', (name, operator, value) => {
  const policy = agreement({ permission: [permission(TRAIN, ours(name, operator, value))] });
  expect(() => parsePolicy(policy)).toThrow(/rightOperand/);
});
