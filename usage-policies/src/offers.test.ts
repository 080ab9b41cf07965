import { describe, expect, test } from 'vitest';
import { CONSUMER, PLAN_HASH, PURPOSE, agreement, decideBy, trainRequest, useRequest } from './agreement.fixture.ts';
import { problemsOf } from './compile.ts';
import { rowsOffer, trainingOffer, type OfferJson } from './offers.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';

/** The agreement that a provider makes of an offer. */
function agreed(offer: OfferJson): OfferJson {
  return { ...agreement({}), ...offer, '@type': 'Agreement' };
}

function rightOperands(offer: OfferJson): unknown[] {
  const rules = [...(offer['permission'] as object[]), ...((offer['prohibition'] ?? []) as object[])];
  return rules.flatMap((rule) =>
    ((rule as { constraint?: { rightOperand: unknown }[] }).constraint ?? []).map((each) => each.rightOperand),
  );
}

describe('an offer of rows', () => {
  const offer = rowsOffer({
    id: 'urn:offer',
    purposes: [PURPOSE],
    from: new Date('2026-01-01T00:00:00Z'),
    until: '2027-01-01T00:00:00Z',
    columns: ['date', 'delay', 'destination'],
    rowFilter: { column: 'distance', operator: 'gt', value: 100 },
    masks: { destination: { method: 'hash' } },
    uses: 2,
    forbiddenPurposes: ['urn:marketing', 'urn:sale'],
  });

  test('becomes an agreement that permits exactly that', () => {
    expect(problemsOf(parsePolicy(offer))).toEqual([]);
    const decide = (changes: Parameters<typeof useRequest>[0]) => decideBy(agreed(offer), useRequest(changes));
    expect(decide({}).plan).toMatchObject({
      columns: ['date', 'delay', 'destination'],
      masks: { destination: { method: 'hash' } },
      rowFilter: { column: 'distance', operator: 'gt', value: 100 },
    });
    expect(decide({}).charges).toEqual([{ meter: 'uses', amount: 1, limit: 2 }]);
    expect(decide({ at: new Date('2025-12-31T23:59:59Z') }).permit).toBe(false);
    expect(decide({ at: new Date('2027-01-01T00:00:00Z') }).permit).toBe(false);
    expect(decide({ columns: ['tail_number'] }).permit).toBe(false);
    expect(decide({ purpose: 'urn:sale' }).rules.at(-1)).toMatchObject({ kind: 'prohibition', active: true });
  });

  test('without options permits every use to its assignee', () => {
    expect(decideBy(agreed(rowsOffer({})), useRequest({ assignee: CONSUMER })).permit).toBe(true);
  });

  test.each([
    ['no purpose', { purposes: [] }],
    ['no column', { columns: [] }],
    ['a date without a zone', { until: '2027-01-01T00:00:00' }],
    ['an invalid date', { until: new Date(Number.NaN) }],
    ['half a use', { uses: 1.5 }],
    ['a mask on a column that is not offered', { columns: ['a'], masks: { b: { method: 'hash' as const } } }],
  ])('with %s is refused', (_, options) => {
    expect(() => rowsOffer(options)).toThrow(PolicyError);
  });
});

describe('an offer to train', () => {
  const offer = trainingOffer({
    purposes: [PURPOSE],
    columns: ['date', 'delay'],
    rounds: 20,
    minimumCohort: 3,
    privacyBudget: { epsilon: 4, delta: 1e-7 },
    metrics: ['auc'],
    planHash: PLAN_HASH,
  });
  const decide = (training: Parameters<typeof trainRequest>[0], columns = ['date']) =>
    decideBy(agreed(offer), trainRequest({ privacyLoss: { epsilon: 1, delta: 1e-7 }, ...training }, { columns }));

  test('becomes an agreement that permits exactly that', () => {
    expect(decide({ metrics: ['auc'] }).charges).toEqual([
      { meter: 'rounds', amount: 1, limit: 20 },
      { meter: 'epsilon', amount: 1, limit: 4 },
    ]);
    expect(decide({}, ['tail_number']).permit).toBe(false);
    expect(decide({ cohort: 2 }).permit).toBe(false);
    expect(decide({ metrics: ['logLoss'] }).permit).toBe(false);
    expect(decide({ planHash: 'b2'.repeat(32) }).permit).toBe(false);
    expect(decide({ privacyLoss: { epsilon: 5, delta: 1e-7 } }).permit).toBe(false);
    expect(decideBy(agreed(offer), useRequest()).permit).toBe(false);
  });

  test('without metrics lets none be released', () => {
    const silent = agreed(trainingOffer({ rounds: 1, minimumCohort: 1 }));
    expect(decideBy(silent, trainRequest({ metrics: ['auc'] })).permit).toBe(false);
    expect(decideBy(silent, trainRequest()).permit).toBe(true);
  });

  test('writes no bare number or truth value as a right operand', () => {
    for (const operand of rightOperands(offer)) expect(['string', 'object']).toContain(typeof operand);
  });
});
