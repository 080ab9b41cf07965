import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreement, decideBy, decideByOne, ours, permission, useRequest } from '../agreement.fixture.ts';
import { problemsOf } from '../compile.ts';
import type { AggregateFunction, Disclosure } from '../model.ts';
import { parsePolicy } from '../parse.ts';
import { TRAIN } from '../terms.ts';
import { strictest } from './disclosure.ts';

describe('limits on what leaves', () => {
  test('are handed on in the plan', () => {
    const decision = decideByOne(
      'use',
      [
        ours('minimumGroupSize', 'gteq', '5'),
        ours('aggregates', 'isPartOf', ['avg', 'count']),
        ours('rowLimit', 'lteq', '100'),
        ours('byteLimit', 'lteq', '1000'),
        ours('sampling', 'lteq', '0.1'),
      ],
      useRequest(),
    );
    expect(decision.plan).toEqual({
      columns: 'all',
      masks: {},
      rowFilter: null,
      minimumGroupSize: 5,
      aggregates: ['count', 'avg'],
      limit: 100,
      byteLimit: 1000,
      sampling: 0.1,
    });
  });

  test('are absent from the plan where no rule sets them', () => {
    expect(Object.keys(decideByOne('use', [], useRequest()).plan ?? {})).toEqual(['columns', 'masks', 'rowFilter']);
  });

  test('of a kind all count: the strictest is in the plan', () => {
    const twice = [
      ours('minimumGroupSize', 'gteq', '5'),
      ours('minimumGroupSize', 'gteq', '9'),
      ours('rowLimit', 'lteq', '100'),
      ours('rowLimit', 'lteq', '10'),
      ours('aggregates', 'isPartOf', ['count', 'sum']),
      ours('aggregates', 'isPartOf', ['sum', 'avg']),
    ];
    expect(decideByOne('use', twice, useRequest()).plan).toMatchObject({
      minimumGroupSize: 9,
      limit: 10,
      aggregates: ['sum'],
    });
  });

  test('that nothing can keep to permit nothing', () => {
    const apart = [ours('aggregates', 'isPartOf', 'count'), ours('aggregates', 'isPartOf', 'sum')];
    expect(decideByOne('use', apart, useRequest())).toMatchObject({
      permit: false,
      reasons: ['The lists of allowed aggregates have nothing in common.'],
    });
  });

  test.each([
    ['minimumGroupSize', 'gteq', '0'],
    ['rowLimit', 'lteq', '0'],
    ['rowLimit', 'lteq', '1.5'],
    ['byteLimit', 'lteq', '-1'],
    ['sampling', 'lteq', '0'],
    ['sampling', 'lteq', '1.1'],
    ['aggregates', 'isPartOf', ['count', 'everything']],
    ['aggregates', 'isPartOf', []],
  ])('%s %s %j is refused', (name, operator, value) => {
    const policy = agreement({ permission: [permission('use', ours(name, operator, value))] });
    expect(() => parsePolicy(policy)).toThrow(
      new RegExp(String.raw`^\$\.permission\[0\]\.constraint\[0\]\.rightOperand`),
    );
  });

  test('stand for a whole permission to use: anywhere else they permit nothing and forbid everything', () => {
    const limit = ours('rowLimit', 'lteq', '10');
    const policies = [
      { permission: [permission(TRAIN, limit)] },
      { permission: [permission('use', { or: [limit, ours('rowLimit', 'lteq', '5')] })] },
      { permission: [permission('use')], prohibition: [permission('use', limit)] },
    ];
    for (const rules of policies) {
      expect(problemsOf(parsePolicy(agreement(rules)))).not.toEqual([]);
      expect(decideBy(agreement(rules), useRequest()).permit).toBe(false);
    }
  });
});

test('what keeps to two limits keeps to each of them, in either order', () => {
  const disclosure = fc.record(
    {
      minimumGroupSize: fc.integer({ min: 1, max: 9 }),
      limit: fc.integer({ min: 1, max: 9 }),
      byteLimit: fc.integer({ min: 1, max: 9 }),
      sampling: fc.constantFrom(0.1, 0.5, 1),
      aggregates: fc.subarray<AggregateFunction>(['count', 'sum', 'avg'], { minLength: 1 }),
    },
    { requiredKeys: [] },
  );
  const keeps = (given: Disclosure, to: Disclosure): boolean =>
    (to.minimumGroupSize ?? 0) <= (given.minimumGroupSize ?? 0) &&
    (['limit', 'byteLimit', 'sampling'] as const).every((each) => (given[each] ?? 99) <= (to[each] ?? 99)) &&
    (!to.aggregates || given.aggregates?.every((each) => to.aggregates?.includes(each)) === true);
  fc.assert(
    fc.property(disclosure, disclosure, (a, b) => {
      const both = strictest(a, b);
      expect(strictest(b, a)).toEqual(both);
      if (both === undefined) return;
      expect(keeps(both, a) && keeps(both, b)).toBe(true);
      expect(strictest(both, a)).toEqual(both);
    }),
  );
});
