import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreement, constraint, decideBy, ours, permission, trainRequest } from './agreement.fixture.ts';
import { FOEDUS, type UsageRequest } from './model.ts';
import { parsePolicy } from './parse.ts';
import { TRAIN } from './terms.ts';
import { trainingLimits } from './training-limits.ts';

const DPV = 'https://w3id.org/dpv#';
const hash = 'ab'.repeat(32);
const limitsOf = (rules: Record<string, unknown>) => trainingLimits(parsePolicy(agreement(rules)));
const ofTraining = (...constraints: unknown[]) => limitsOf({ permission: [permission(TRAIN, ...constraints)] });
const SAYS_NOTHING = {
  permitted: true,
  budget: null,
  roundBudget: null,
  rounds: null,
  minimumCohort: null,
  metrics: null,
  purposes: null,
  modelHash: null,
  planHash: null,
  secureAggregation: false,
  privacyUnit: null,
  problems: [],
};

describe('what a policy asks of training', () => {
  test('is read from the constraints of its permission to train', () => {
    const limits = limitsOf({
      permission: [
        permission('use', constraint('count', 'lteq', '3')),
        permission(
          TRAIN,
          ours('privacyBudget', 'lteq', { epsilon: '4', delta: '0.00001' }),
          ours('roundPrivacyBudget', 'lteq', { epsilon: 1, delta: 1e-5 }),
          ours('rounds', 'lteq', { '@value': '20', '@type': 'xsd:integer' }),
          ours('minimumCohort', 'gteq', '3'),
          ours('metrics', 'isPartOf', ['auc']),
          ours('modelHash', 'eq', hash),
          ours('planHash', 'eq', hash),
          ours('secureAggregation', 'eq', 'required'),
          ours('privacyUnit', 'gteq', 'organisation'),
          constraint('odrl:purpose', 'isAnyOf', [{ '@id': `${DPV}Marketing` }]),
        ),
      ],
    });
    expect(limits).toEqual({
      permitted: true,
      budget: { epsilon: 4, delta: 1e-5 },
      roundBudget: { epsilon: 1, delta: 1e-5 },
      rounds: 20,
      minimumCohort: 3,
      metrics: ['auc'],
      purposes: [`${DPV}Marketing`],
      modelHash: hash,
      planHash: hash,
      secureAggregation: true,
      privacyUnit: 'organisation',
      problems: [],
    });
  });

  test('of several limits is the narrowest, also where they stand in an and', () => {
    const of = (name: string, operator: string, ...values: unknown[]) =>
      values.map((value) => ours(name, operator, value));
    const limits = ofTraining(
      ...of('privacyBudget', 'lteq', { epsilon: 4, delta: 1e-6 }, { epsilon: 3, delta: 1e-5 }),
      { and: of('rounds', 'lteq', '30', '20') },
      ...of('metrics', 'isPartOf', ['auc', 'logLoss'], ['logLoss']),
      ...of('privacyUnit', 'gteq', 'organisation', 'record'),
      constraint('purpose', 'isA', `${DPV}Marketing`),
      constraint('purpose', 'isAnyOf', [`${DPV}DirectMarketing`, 'urn:other']),
    );
    expect(limits).toMatchObject({
      budget: { epsilon: 3, delta: 1e-6 },
      rounds: 20,
      metrics: ['logLoss'],
      privacyUnit: 'organisation',
      purposes: [`${DPV}DirectMarketing`],
      problems: [],
    });
  });

  test('is no purpose that is excluded', () => {
    expect(ofTraining(constraint('purpose', 'isNoneOf', ['urn:sale'])).purposes).toBeNull();
    expect(ofTraining(constraint('purpose', 'neq', 'urn:sale')).purposes).toBeNull();
  });

  test('binds nobody where it is one of several ways: an alternative, or one of two permissions', () => {
    const purposes = ['urn:a', 'urn:b'].map((purpose) => constraint('purpose', 'eq', purpose));
    for (const logical of ['or', 'xone']) expect(ofTraining({ [logical]: purposes })).toEqual(SAYS_NOTHING);
    const two = ['1', '100'].map((rounds) => permission(TRAIN, ours('rounds', 'lteq', rounds)));
    expect(limitsOf({ permission: two })).toEqual(SAYS_NOTHING);
  });

  test('of alternatives that no node can check is a problem', () => {
    const either = { or: [ours('rounds', 'lteq', '1'), ours('rounds', 'lteq', '100')] };
    const { rounds, problems } = ofTraining(either);
    expect(rounds).toBeNull();
    expect(problems[0]).toMatch(/cannot be an alternative/);
  });

  test('is nothing where no permission is for training', () => {
    const none = { ...SAYS_NOTHING, permitted: false };
    expect(limitsOf({ permission: [permission('use', constraint('count', 'lteq', '3'))] })).toEqual(none);
    expect(limitsOf({ permission: [] })).toEqual(none);
    expect(limitsOf({ permission: [], prohibition: [permission(TRAIN)] })).toEqual(none);
  });

  test('holds beside a condition that nobody understands, which is told', () => {
    const limits = ofTraining(ours('rounds', 'lteq', '5'), constraint('urn:weather', 'eq', 'fine'));
    expect(limits.rounds).toBe(5);
    expect(limits.problems).toEqual(['The operand urn:weather is not known to this node.']);
  });
});

/** Conditions nested at random, with the cohorts that are in them. */
const cohorts: fc.Arbitrary<{ json: unknown; all: number[] }> = fc
  .integer({ min: 1, max: 50 })
  .map((n) => ({ json: ours('minimumCohort', 'gteq', String(n)), all: [n] }));
const { nested } = fc.letrec<{ nested: { json: unknown; all: number[] } }>((tie) => ({
  nested: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    cohorts,
    fc.constant({ json: constraint('purpose', 'eq', 'urn:p'), all: [] as number[] }),
    fc
      .tuple(
        fc.constantFrom('and', 'or', 'xone', 'andSequence'),
        fc.array(tie('nested'), { minLength: 1, maxLength: 3 }),
      )
      .map(([logical, parts]) => ({
        json: { [logical]: parts.map(({ json }) => json) },
        all: parts.flatMap(({ all }) => all),
      })),
  ),
}));

test('the minimum cohort is the largest that stands anywhere in the policy', () => {
  const some = fc.array(nested, { maxLength: 3 });
  fc.assert(
    fc.property(some, some, some, some, (granting, granting2, forbidding, owing) => {
      const json = (parts: readonly { json: unknown }[]) => parts.map((part) => part.json);
      const { minimumCohort } = limitsOf({
        permission: [
          permission(TRAIN, ...json(granting)),
          { ...permission('use', ...json(granting2)), duty: [{ action: 'inform', constraint: json(owing) }] },
        ],
        prohibition: [permission('use', ...json(forbidding))],
      });
      const all = [granting, granting2, forbidding, owing].flat().flatMap((part) => part.all);
      expect(minimumCohort).toBe(all.length === 0 ? null : Math.max(...all));
    }),
  );
});

describe('whatever a policy says', () => {
  const budgets = fc.record({
    epsilon: fc.constantFrom('0.5', '1', '4'),
    delta: fc.constantFrom('0.00001', '0.000001'),
  });
  const training = fc.oneof(
    budgets.map((budget) => ours('privacyBudget', 'lteq', budget)),
    budgets.map((budget) => ours('roundPrivacyBudget', 'lteq', budget)),
    fc.integer({ min: 0, max: 5 }).map((n) => ours('rounds', 'lteq', String(n))),
    fc.integer({ min: 1, max: 4 }).map((n) => ours('minimumCohort', 'gteq', String(n))),
    fc.subarray(['auc', 'logLoss']).map((names) => ours('metrics', 'isPartOf', names)),
    fc.constantFrom('record', 'organisation').map((unit) => ours('privacyUnit', 'gteq', unit)),
    fc.constant(ours('secureAggregation', 'eq', 'required')),
    fc.constantFrom(hash, 'cd'.repeat(32)).map((one) => ours('modelHash', 'eq', one)),
    fc
      .tuple(fc.constantFrom('eq', 'neq', 'isA'), fc.constantFrom('urn:a', `${DPV}Marketing`, `${DPV}DirectMarketing`))
      .map(([operator, purpose]) => constraint('purpose', operator, purpose)),
  );
  const request: fc.Arbitrary<UsageRequest> = fc
    .record({
      cohort: fc.integer({ min: 1, max: 4 }),
      loss: fc.option(fc.record({ epsilon: fc.constantFrom(0.4, 2), delta: fc.constantFrom(1e-5, 1e-6) })),
      metrics: fc.subarray(['auc', 'logLoss']),
      unit: fc.constantFrom(null, 'record' as const, 'organisation' as const),
      secure: fc.boolean(),
      model: fc.constantFrom(hash, 'cd'.repeat(32)),
      evaluation: fc.boolean(),
    })
    .map(({ cohort, loss, metrics, unit, secure, model, evaluation }) =>
      trainRequest(
        {
          cohort,
          privacyLoss: loss,
          metrics,
          privacyUnit: unit,
          secureAggregation: secure,
          modelHash: model,
          evaluation,
        },
        { purpose: `${DPV}Marketing` },
      ),
    );

  test('what the node permits is within the limits: they never ask for more than the decision does', () => {
    let permitted = 0;
    fc.assert(
      fc.property(fc.array(training, { maxLength: 3 }), request, (constraints, asked) => {
        const policy = agreement({ permission: [permission(TRAIN, ...constraints)] });
        if (!decideBy(policy, asked).permit) return;
        permitted += 1;
        const limits = trainingLimits(parsePolicy(policy));
        const { cohort, privacyLoss, metrics, privacyUnit, secureAggregation, modelHash, evaluation } = asked.training!;
        expect(limits).toMatchObject({ permitted: true, problems: [] });
        for (const budget of [limits.budget, limits.roundBudget]) {
          if (budget === null) continue;
          expect(privacyLoss!.epsilon).toBeLessThanOrEqual(budget.epsilon);
          expect(privacyLoss!.delta).toBeLessThanOrEqual(budget.delta);
        }
        if (!evaluation!) {
          expect(cohort).toBeGreaterThanOrEqual(limits.minimumCohort ?? 0);
          expect(limits.rounds ?? 1).toBeGreaterThan(0);
        }
        if (limits.secureAggregation) expect(secureAggregation).toBe(true);
        if (limits.modelHash !== null) expect(modelHash).toBe(limits.modelHash);
        if (limits.privacyUnit === 'organisation') expect(privacyUnit).toBe('organisation');
        if (limits.privacyUnit === 'record') expect(privacyUnit).not.toBeNull();
        if (evaluation!) expect(limits.metrics).toEqual(expect.arrayContaining([...metrics]));
        if (limits.purposes !== null) expect(limits.purposes).toContain(`${DPV}Marketing`);
      }),
      { numRuns: 500 },
    );
    expect(permitted).toBeGreaterThan(20);
  });

  test('one constraint more never widens a limit', () => {
    const wider = (a: number | null, b: number | null, sign: 1 | -1): boolean =>
      a !== null && (b === null || sign * b > sign * a);
    fc.assert(
      fc.property(fc.array(training, { maxLength: 3 }), training, (constraints, more) => {
        const [before, after] = [ofTraining(...constraints), ofTraining(...constraints, more)];
        expect(wider(before.budget?.epsilon ?? null, after.budget?.epsilon ?? null, 1)).toBe(false);
        expect(wider(before.budget?.delta ?? null, after.budget?.delta ?? null, 1)).toBe(false);
        expect(wider(before.rounds, after.rounds, 1)).toBe(false);
        expect(wider(before.minimumCohort, after.minimumCohort, -1)).toBe(false);
        expect(before.secureAggregation && !after.secureAggregation).toBe(false);
        expect(before.privacyUnit === 'organisation' && after.privacyUnit !== 'organisation').toBe(false);
        if (before.metrics !== null) expect(before.metrics).toEqual(expect.arrayContaining([...after.metrics!]));
      }),
    );
  });

  test('it reads what parsePolicy gives, and a policy of any other making', () => {
    fc.assert(
      fc.property(fc.constantFrom('gteq', 'eq', 'lteq'), fc.jsonValue(), (operator, right) => {
        const parsed = parsePolicy(agreement({ permission: [permission(TRAIN)] }));
        const made = { leftOperand: `${FOEDUS}minimumCohort`, operator, rightOperand: right, unread: [] };
        const unit = { leftOperand: `${FOEDUS}privacyUnit`, operator, rightOperand: right, unread: [] };
        const [rule] = parsed.permissions;
        const limits = trainingLimits({ ...parsed, permissions: [{ ...rule!, constraints: [made, unit] }] });
        expect(limits.minimumCohort ?? 0).toBeGreaterThanOrEqual(0);
        expect([null, 'record', 'organisation']).toContain(limits.privacyUnit);
      }),
    );
  });
});
