/** Properties that hold for every policy, with policies and requests made at random. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONSUMER, PLAN_HASH, PURPOSE, agreement, constraint, decideBy, ours } from './agreement.fixture.ts';
import type { UsageRequest, UsageState } from './model.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';
import { normalRules, sameRules } from './same-rules.ts';
import { TRAIN, normaliseKey, normaliseTerm } from './terms.ts';

const columnNames = ['date', 'delay', 'distance', 'destination', 'constructor'];
const purposes = [PURPOSE, 'urn:marketing', 'urn:sale'];
const moments = ['2025-01-01T00:00:00Z', '2026-06-01T00:00:00Z', '2027-01-01T00:00:00+01:00'];
const some = <T>(values: readonly T[]) => fc.subarray([...values], { minLength: 1 });

const useConstraint = fc.oneof(
  fc
    .tuple(fc.constantFrom('eq', 'neq', 'isA'), fc.constantFrom(...purposes))
    .map(([o, v]) => constraint('purpose', o, v)),
  fc.tuple(fc.constantFrom('isAnyOf', 'isNoneOf'), some(purposes)).map(([o, v]) => constraint('purpose', o, v)),
  fc
    .tuple(fc.constantFrom('lt', 'lteq', 'gt', 'gteq', 'eq', 'neq'), fc.constantFrom(...moments))
    .map(([o, v]) => constraint('dateTime', o, v)),
  fc.integer({ min: 0, max: 5 }).map((n) => constraint('count', 'lteq', String(n))),
  fc.constantFrom('rows', 'bytes').map((meter) => ours(meter, 'lteq', '3')),
  some(columnNames).map((names) => ours('columns', 'isPartOf', names)),
  some(columnNames).map((names) =>
    ours('masks', 'eq', Object.fromEntries(names.map((name) => [name, { method: 'hash' }]))),
  ),
  fc.constantFrom(...columnNames).map((column) => ours('rowFilter', 'eq', { column, operator: 'gt', value: 3 })),
);

const trainConstraint = fc.oneof(
  fc.tuple(fc.constantFrom('eq', 'neq'), fc.constantFrom(...purposes)).map(([o, v]) => constraint('purpose', o, v)),
  fc
    .record({ epsilon: fc.constantFrom('1', '4', 0.5), delta: fc.constantFrom('1e-5', 1e-6) })
    .map((budget) => ours('privacyBudget', 'lteq', budget)),
  fc.integer({ min: 0, max: 5 }).map((n) => ours('rounds', 'lteq', String(n))),
  fc.integer({ min: 1, max: 4 }).map((n) => ours('minimumCohort', 'gteq', String(n))),
  some(['auc', 'logLoss']).map((names) => ours('metrics', 'isPartOf', names)),
  some(columnNames).map((names) => ours('columns', 'isPartOf', names)),
  fc.constantFrom('record', 'organisation').map((unit) => ours('privacyUnit', 'gteq', unit)),
);

/** Things that this package does not know, each of which may change what a rule means. */
const unknownConstraint = fc.oneof(
  fc.constantFrom('weather', 'columns', 'urn:x', 'foedus:weather').map((operand) => constraint(operand, 'eq', 'x')),
  fc.constantFrom('purpose', 'dateTime', 'count').map((operand) => constraint(operand, 'within', '5')),
  fc
    .constantFrom('and', 'or', 'xone', 'andSequence')
    .map((junction) => ({ [junction]: [constraint('urn:x', 'eq', '9')] })),
  fc.constant({ ...constraint('purpose', 'isAnyOf', purposes), unit: 'urn:x' }),
  fc.constant(constraint('dateTime', 'gt', '2000-01-01T25:00:00Z')),
  fc.constant({ ...constraint('dateTime', 'gt', '2000-01-01'), dataType: 'xsd:gYear' }),
  fc.constant({ '@id': 'urn:elsewhere' }),
);

const rule = fc.oneof(
  fc.record({ action: fc.constant('use'), constraint: fc.array(useConstraint, { maxLength: 3 }) }),
  fc.record({ action: fc.constant(TRAIN), constraint: fc.array(trainConstraint, { maxLength: 3 }) }),
);
const rules = fc.array(rule, { maxLength: 3 });

const request: fc.Arbitrary<UsageRequest> = fc
  .record({
    action: fc.constantFrom('use', TRAIN),
    purpose: fc.constantFrom(...purposes),
    columns: fc.option(some(columnNames), { nil: undefined }),
    at: fc.constantFrom('2025-06-01T00:00:00Z', '2026-06-01T00:00:00Z').map((moment) => new Date(moment)),
    cohort: fc.integer({ min: 1, max: 4 }),
    loss: fc.option(fc.record({ epsilon: fc.constantFrom(0, 0.4, 2), delta: fc.constantFrom(1e-5, 1e-6) })),
    metrics: fc.subarray(['auc', 'logLoss']),
    privacyUnit: fc.constantFrom(null, 'record' as const, 'organisation' as const),
  })
  .map(({ action, purpose, columns, at, cohort, loss, metrics, privacyUnit }) => ({
    action,
    purpose,
    at,
    assignee: CONSUMER,
    ...(columns === undefined ? {} : { columns }),
    training: { round: 1, planHash: PLAN_HASH, cohort, privacyLoss: loss, metrics, privacyUnit },
  }));

const state: fc.Arbitrary<UsageState> = fc.record({
  spent: fc.record({
    uses: fc.integer({ min: 0, max: 4 }),
    rounds: fc.integer({ min: 0, max: 4 }),
    epsilon: fc.constantFrom(0, 0.5, 2),
    rows: fc.constantFrom(0, 2, 3),
    bytes: fc.constantFrom(0, 2, 3),
  }),
});

type RuleJson = { action: string; constraint: unknown[] };
const asAgreement = (permission: RuleJson[], prohibition: unknown[] = []) => agreement({ permission, prohibition });

describe('for every policy, request and state', () => {
  test('permissions are sometimes given: the properties below are not about refusals only', () => {
    let permitted = 0;
    fc.assert(
      fc.property(rules, request, state, (permissions, asked, now) => {
        if (decideBy(asAgreement(permissions), asked, now).permit) permitted += 1;
      }),
      { seed: 7, numRuns: 200 },
    );
    expect(permitted).toBeGreaterThan(20);
  });

  test('nothing is permitted without a permission', () => {
    fc.assert(
      fc.property(rules, request, state, (prohibitions, asked, now) => {
        expect(decideBy(asAgreement([], prohibitions), asked, now).permit).toBe(false);
      }),
    );
  });

  test('one more prohibition never permits more', () => {
    fc.assert(
      fc.property(rules, rules, rule, request, state, (permissions, prohibitions, more, asked, now) => {
        const before = decideBy(asAgreement(permissions, prohibitions), asked, now);
        const after = decideBy(asAgreement(permissions, [...prohibitions, more]), asked, now);
        if (after.permit) expect(before.permit).toBe(true);
        if (after.exhausted) expect(before.exhausted).toBe(true);
      }),
    );
  });

  test('one more constraint on every permission never permits more', () => {
    fc.assert(
      fc.property(rules, useConstraint, request, state, (permissions, more, asked, now) => {
        const narrowed = permissions.map((each) => ({ ...each, constraint: [...each.constraint, more] }));
        if (decideBy(asAgreement(narrowed), asked, now).permit) {
          expect(decideBy(asAgreement(permissions), asked, now).permit).toBe(true);
        }
      }),
    );
  });

  test('an unknown constraint on every permission permits nothing and exhausts nothing', () => {
    fc.assert(
      fc.property(rules, unknownConstraint, request, state, (permissions, unknown, asked, now) => {
        const narrowed = permissions.map((each) => ({ ...each, constraint: [unknown, ...each.constraint] }));
        expect(decideBy(asAgreement(narrowed), asked, now)).toMatchObject({ permit: false, exhausted: false });
      }),
    );
  });

  test('a prohibition with an unknown constraint forbids', () => {
    fc.assert(
      fc.property(rules, rule, unknownConstraint, request, state, (permissions, forbidden, unknown, asked, now) => {
        const closed = { ...forbidden, constraint: [...forbidden.constraint, unknown] };
        expect(decideBy(asAgreement(permissions, [closed]), asked, now).permit).toBe(false);
      }),
    );
  });

  test('columns of a plan are granted by one permission, with each mask that it sets on them', () => {
    fc.assert(
      fc.property(rules, request, state, (permissions, asked, now) => {
        const { permit, plan } = decideBy(asAgreement(permissions), asked, now);
        if (!permit || plan === null) return;
        const grants = permissions.some((each) => {
          if (each.action !== asked.action) return false;
          const constraints = each.constraint as { leftOperand: string; rightOperand: unknown }[];
          return constraints.every(({ leftOperand, rightOperand }) => {
            if (leftOperand.endsWith('#columns')) {
              return plan.columns !== 'all' && plan.columns.every((name) => (rightOperand as string[]).includes(name));
            }
            if (!leftOperand.endsWith('#masks')) return true;
            const masked = Object.keys(rightOperand as object);
            return masked.every(
              (name) => Object.hasOwn(plan.masks, name) || (plan.columns !== 'all' && !plan.columns.includes(name)),
            );
          });
        });
        expect(grants).toBe(true);
        if (asked.columns !== undefined && plan.columns !== 'all')
          expect(new Set(plan.columns)).toEqual(new Set(asked.columns));
      }),
    );
  });

  test('a permitted charge stays within its limit', () => {
    fc.assert(
      fc.property(rules, request, state, (permissions, asked, now) => {
        for (const { meter, amount, limit } of decideBy(asAgreement(permissions), asked, now).charges) {
          expect(amount).toBeGreaterThanOrEqual(0);
          if (limit !== null) expect((now.spent[meter] ?? 0) + amount).toBeLessThanOrEqual(limit + 1e-9);
        }
      }),
    );
  });

  test('an offer of the same rules permits nothing', () => {
    fc.assert(
      fc.property(rules, request, state, (permissions, asked, now) => {
        expect(decideBy({ ...asAgreement(permissions), '@type': 'Offer' }, asked, now).permit).toBe(false);
      }),
    );
  });
});

describe('for every policy', () => {
  const anyRule = fc.oneof(
    rule,
    fc.record({ action: fc.constantFrom('use', 'read'), constraint: fc.array(unknownConstraint, { maxLength: 2 }) }),
    fc.record({ action: fc.constant('use'), constraint: fc.constant([]), duty: fc.constant([{ action: 'delete' }]) }),
  );
  const policy = fc.record({
    permission: fc.array(anyRule, { maxLength: 3 }),
    prohibition: fc.array(anyRule, { maxLength: 2 }),
  });

  test('the normal form reads as the same rules, and its normal form is itself', () => {
    fc.assert(
      fc.property(policy, (json) => {
        const normal = normalRules(parsePolicy(json));
        expect(sameRules(normal, json)).toBe(true);
        expect(normalRules(parsePolicy(normal))).toEqual(normal);
      }),
    );
  });

  test('it has the same rules as itself in any order, and the comparison is symmetric', () => {
    fc.assert(
      fc.property(policy, policy, (a, b) => {
        const turned = {
          prohibition: [...a.prohibition].toReversed(),
          permission: a.permission
            .map((each) => ({ ...each, constraint: [...each.constraint].toReversed() }))
            .toReversed(),
        };
        expect(sameRules(agreement(a), agreement(turned))).toBe(true);
        expect(sameRules(a, b)).toBe(sameRules(b, a));
      }),
    );
  });

  test('it is compared alike whatever was compared before, and whatever it is called', () => {
    const named = (json: object, id: string, timestamp: string) => ({ '@id': id, timestamp, ...json });
    const uuid = (digit: number) => `urn:uuid:00000000-0000-4000-8000-00000000000${digit}`;
    fc.assert(
      fc.property(policy, (json) => {
        const first = named(json, uuid(1), '2026-01-01T00:00:00Z');
        const readable = sameRules(first, first);
        expect(sameRules(named(json, uuid(2), '2027-01-01T00:00:00.5Z'), first)).toBe(readable);
        expect(sameRules(first, named(json, 'urn:other', '2028-01-01T00:00:00+01:00'))).toBe(readable);
        expect(sameRules({ ...first, permission: 7 }, first)).toBe(false);
        expect(sameRules({ ...first, permission: 7 }, { ...first, permission: 7 })).toBe(false);
      }),
    );
  });

  test('it differs when any text in its rules is changed', () => {
    fc.assert(
      fc.property(policy, fc.nat(), (json, pick) => {
        const original = JSON.stringify(json);
        // Every string value and number within the rules, keys left alone.
        const places = [...original.matchAll(/(?<=[:[,])"((?:[^"\\])+)"(?=[,\]}])/g)];
        const place = places[pick % Math.max(places.length, 1)];
        if (place === undefined) return;
        const changed = `${original.slice(0, place.index)}"${place[1]}9"${original.slice(place.index + place[0].length)}`;
        const other: unknown = JSON.parse(changed);
        // An @id of a rule or constraint names it and says nothing, unless it stands for the constraint.
        expect(sameRules(json, other)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test('any JSON either reads or is refused with a path', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.record({ permission: fc.jsonValue(), '@type': fc.jsonValue() }, { requiredKeys: [] }),
        ),
        (json) => {
          try {
            parsePolicy(json);
          } catch (error) {
            if (!(error instanceof PolicyError)) throw error;
            expect(error.path.startsWith('$')).toBe(true);
          }
        },
      ),
    );
  });

  test('normalising a term twice changes nothing', () => {
    const term = fc.oneof(
      fc.string(),
      fc
        .tuple(
          fc.constantFrom('odrl:', 'foedus:', 'http://www.w3.org/ns/odrl/2/', ''),
          fc.constantFrom('use', 'uid', 'type', 'x', 'odrl:use'),
        )
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(term, (name) => {
        expect(normaliseTerm(normaliseTerm(name))).toBe(normaliseTerm(name));
        expect(normaliseKey(normaliseKey(name))).toBe(normaliseKey(name));
      }),
    );
  });
});
