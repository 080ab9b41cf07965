import { describe, expect, test } from 'vitest';
import { describeRowFilter, readRowFilter } from './row-filter.ts';

test('a value may be a claim of the caller', () => {
  const filter = { column: 'owner', operator: 'eq', value: { claim: 'participantId' } };
  expect(readRowFilter(filter)).toEqual(filter);
  expect(describeRowFilter(readRowFilter(filter))).toBe("owner = the caller's participantId");
  expect(() => readRowFilter({ ...filter, value: { claim: '' } })).toThrow();
  expect(() => readRowFilter({ ...filter, value: { claim: 'a', or: 1 } })).toThrow();
});

describe('a row filter', () => {
  const filter = {
    and: [
      { column: 'distance', operator: 'gteq', value: 100 },
      {
        or: [
          { column: 'origin', operator: 'eq', value: 'BDL' },
          { column: 'late', operator: 'neq', value: true },
        ],
      },
      { column: 'origin', operator: 'isAnyOf', value: ['BDL', 'PVD'] },
    ],
  };

  test('reads as it is written', () => {
    expect(readRowFilter(filter)).toEqual(filter);
    expect(describeRowFilter(readRowFilter(filter))).toBe(
      'distance ≥ 100 and (origin = "BDL" or late ≠ true) and origin is one of ["BDL","PVD"]',
    );
  });

  test.each([
    ['an unknown operator', { column: 'a', operator: 'like', value: 'x' }],
    ['an unknown property', { column: 'a', operator: 'eq', value: 'x', negate: true }],
    ['a missing value', { column: 'a', operator: 'eq' }],
    ['a value that is null', { column: 'a', operator: 'eq', value: null }],
    ['a value that is an object', { column: 'a', operator: 'eq', value: {} }],
    ['a list for a comparison with one value', { column: 'a', operator: 'eq', value: ['x'] }],
    ['one value for a list', { column: 'a', operator: 'isAnyOf', value: 'x' }],
    ['an empty list', { column: 'a', operator: 'isAnyOf', value: [] }],
    ['true in a list', { column: 'a', operator: 'isAnyOf', value: [true] }],
    ['an empty `and`, which would let every row through', { and: [] }],
    ['an empty `or`', { or: [] }],
    ['an `and` beside a comparison', { and: [{ column: 'a', operator: 'eq', value: 1 }], column: 'b' }],
    ['`and` and `or` in one object', { and: [filter], or: [filter] }],
    ['a number that has lost digits', { column: 'a', operator: 'eq', value: 2 ** 53 + 2 }],
    ['an empty column name', { column: '', operator: 'eq', value: 1 }],
    ['a column name with a control character', { column: 'a\u0000', operator: 'eq', value: 1 }],
    ['a text', 'distance > 100'],
    ['a list', [{ column: 'a', operator: 'eq', value: 1 }]],
  ])('is refused with %s', (_, value) => {
    expect(() => readRowFilter(value)).toThrow(/./);
  });

  test('says where it is wrong', () => {
    const wrong = { and: [{ or: [{ column: 'a', operator: 'eq', value: null }] }] };
    expect(() => readRowFilter(wrong)).toThrow(expect.objectContaining({ at: '.and[0].or[0].value' }));
  });

  test('is at most 8 deep and has at most 200 comparisons', () => {
    const leaf = { column: 'a', operator: 'eq', value: 1 };
    const nested = (depth: number): unknown => (depth === 1 ? leaf : { and: [nested(depth - 1)] });
    expect(() => readRowFilter(nested(8))).not.toThrow();
    expect(() => readRowFilter(nested(9))).toThrow(/at most 8 deep/);
    expect(() => readRowFilter({ or: Array.from({ length: 201 }, () => leaf) })).toThrow(/at most 200/);
  });
});
