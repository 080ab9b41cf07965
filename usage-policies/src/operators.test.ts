/**
 * Every operator of ODRL and every kind of rule, by what becomes of a decision: whoever ignores one of them, or takes
 * it for another, fails here.
 */
import { describe, expect, test } from 'vitest';
import { agreement, constraint, decideBy, nothingSpent, useRequest } from './agreement.fixture.ts';
import type { UsageRequest, UsageState, Values } from './model.ts';

const use = (values: Values): UsageRequest => useRequest({ values });
const state: UsageState = {
  ...nothingSpent,
  memberships: { 'urn:vienna': ['urn:austria'], 'urn:austria': ['urn:europe'] },
  descriptions: { 'urn:vienna': { '@type': 'urn:City' }, 'urn:austria': { '@type': ['urn:Country', 'urn:Republic'] } },
};

/** Whether a permission grants, and whether a prohibition forbids, by a constraint. */
function outcome(operand: string, operator: string, wanted: unknown, values: Values, beside = {}): string {
  const condition = { ...constraint(operand, operator, wanted), ...beside };
  const permitted = decideBy(agreement({ permission: [{ action: 'use', constraint: condition }] }), use(values), state);
  const forbidden = decideBy(
    agreement({ permission: [{ action: 'use' }], prohibition: [{ action: 'use', constraint: condition }] }),
    use(values),
    state,
  );
  if (permitted.permit && !forbidden.permit) return 'holds';
  return !permitted.permit && forbidden.permit ? 'fails' : 'unknown';
}

describe('an operator over numbers', () => {
  test.each([
    ['eq', 'fails', 'holds', 'fails'],
    ['neq', 'holds', 'fails', 'holds'],
    ['lt', 'holds', 'fails', 'fails'],
    ['lteq', 'holds', 'holds', 'fails'],
    ['term-lteq', 'holds', 'holds', 'fails'],
    ['gt', 'fails', 'fails', 'holds'],
    ['gteq', 'fails', 'holds', 'holds'],
    ['isAnyOf', 'fails', 'holds', 'fails'],
    ['isNoneOf', 'holds', 'fails', 'holds'],
  ])('%s: less %s, equal %s, more %s', (operator, less, equal, more) => {
    const outcomes = [29, 30, 31].map((percentage) => outcome('percentage', operator, '30', { percentage }));
    expect(outcomes).toEqual([less, equal, more]);
    expect(outcome('percentage', operator, '30', {})).toBe('unknown');
    expect(outcome('percentage', operator, '30', { percentage: 'many' })).toBe('unknown');
  });

  test('compares decimals as numbers, whatever their spelling', () => {
    expect(outcome('payAmount', 'eq', { '@value': '5.00', '@type': 'xsd:decimal' }, { payAmount: 5 })).toBe('holds');
    expect(outcome('payAmount', 'eq', '5.00', { payAmount: '5.0' })).toBe('holds');
    expect(outcome('payAmount', 'lt', '10', { payAmount: '9' })).toBe('holds');
    expect(outcome('payAmount', 'eq', '12345678901234567890', { payAmount: '12345678901234567890' })).toBe('unknown');
  });

  test('asks for the unit of the constraint', () => {
    const euro = { unit: 'http://dbpedia.org/resource/Euro' };
    const paid = (unit: string) => ({ payAmount: { value: 5, unit } });
    expect(outcome('payAmount', 'eq', '5', paid('http://dbpedia.org/resource/Euro'), euro)).toBe('holds');
    expect(outcome('payAmount', 'eq', '5', paid('https://dbpedia.org/resource/Euro'), euro)).toBe('holds');
    expect(outcome('payAmount', 'eq', '5', paid('http://dbpedia.org/resource/Yen'), euro)).toBe('unknown');
    expect(outcome('payAmount', 'eq', '5', { payAmount: 5 }, euro)).toBe('unknown');
    expect(outcome('payAmount', 'eq', '5', paid('http://dbpedia.org/resource/Euro'))).toBe('unknown');
  });
});

describe('an operator over names', () => {
  const [A, B, C] = ['urn:a', 'urn:b', 'urn:c'];
  test.each<[string, unknown, string, string, string, string]>([
    // operator, right operand, then: a; b; a and b; c
    ['eq', A, 'holds', 'fails', 'fails', 'fails'],
    ['neq', A, 'fails', 'holds', 'holds', 'holds'],
    ['isAnyOf', [A, B], 'holds', 'holds', 'holds', 'fails'],
    ['isNoneOf', [A, B], 'fails', 'fails', 'fails', 'holds'],
    ['isAllOf', [A, B], 'fails', 'fails', 'holds', 'fails'],
    ['isPartOf', [A, B], 'holds', 'holds', 'holds', 'fails'],
    ['hasPart', A, 'holds', 'fails', 'holds', 'fails'],
    ['isA', A, 'holds', 'unknown', 'unknown', 'unknown'],
  ])('%s %j: a %s, b %s, both %s, another %s', (operator, wanted, ...expected) => {
    const given = [A, B, [A, B], C] as const;
    expect(given.map((recipient) => outcome('recipient', operator, wanted, { recipient }))).toEqual(expected);
    expect(outcome('recipient', operator, wanted, {})).toBe('unknown');
    expect(outcome('recipient', operator, wanted, { recipient: [] })).toBe('unknown');
    expect(outcome('recipient', operator, wanted, { recipient: 5 })).toBe('unknown');
  });

  test('isPartOf and hasPart follow what is part of what', () => {
    expect(outcome('spatial', 'isPartOf', 'urn:europe', { spatial: 'urn:vienna' })).toBe('holds');
    expect(outcome('spatial', 'isPartOf', 'urn:vienna', { spatial: 'urn:europe' })).toBe('fails');
    expect(outcome('spatial', 'hasPart', 'urn:vienna', { spatial: 'urn:europe' })).toBe('holds');
    expect(outcome('spatial', 'hasPart', 'urn:europe', { spatial: 'urn:vienna' })).toBe('fails');
  });

  test('isA asks for the type', () => {
    expect(outcome('spatial', 'isA', 'urn:City', { spatial: 'urn:vienna' })).toBe('holds');
    expect(outcome('spatial', 'isA', 'urn:Country', { spatial: 'urn:vienna' })).toBe('fails');
    expect(outcome('spatial', 'isA', 'urn:Republic', { spatial: 'urn:austria' })).toBe('holds');
    expect(outcome('spatial', 'isA', 'urn:City', { spatial: 'urn:graz' })).toBe('unknown');
  });

  test('a value may be given under any name of its operand', () => {
    for (const name of ['spatial', 'odrl:spatial', 'http://www.w3.org/ns/odrl/2/spatial']) {
      expect(outcome('odrl:spatial', 'eq', { '@id': 'urn:vienna' }, { [name]: 'urn:vienna' })).toBe('holds');
    }
  });
});

describe('a purpose', () => {
  const DPV = 'https://w3id.org/dpv#';
  test.each([
    ['isA', `${DPV}Marketing`, `${DPV}DirectMarketing`, 'holds'],
    ['isA', `${DPV}Marketing`, `${DPV}Marketing`, 'holds'],
    ['isA', `${DPV}DirectMarketing`, `${DPV}Marketing`, 'fails'],
    ['isA', 'dpv:Marketing', `${DPV}DirectMarketing`, 'holds'],
    ['isA', `${DPV}Purpose`, `${DPV}AcademicResearch`, 'holds'],
    ['isA', `${DPV}Marketing`, 'urn:my-own', 'unknown'],
    ['isA', 'urn:my-own', `${DPV}Marketing`, 'unknown'],
    ['isA', 'urn:my-own', 'urn:my-own', 'holds'],
    ['eq', `${DPV}Marketing`, `${DPV}DirectMarketing`, 'fails'],
    ['isAnyOf', [`${DPV}Marketing`], `${DPV}DirectMarketing`, 'fails'],
  ])('%s %j of %s %s', (operator, wanted, purpose, expected) => {
    const by = (rules: Record<string, unknown>) => decideBy(agreement(rules), useRequest({ purpose })).permit;
    const rule = { action: 'use', constraint: constraint('purpose', operator, wanted) };
    const grants = by({ permission: [rule] });
    const forbids = !by({ permission: [{ action: 'use' }], prohibition: [rule] });
    expect([grants, forbids]).toEqual([expected === 'holds', expected !== 'fails']);
  });
});

describe('a logical constraint', () => {
  const T = constraint('percentage', 'lteq', '50');
  const F = constraint('percentage', 'gt', '50');
  const U = constraint('spatial', 'eq', 'urn:vienna');
  const weigh = (logical: string, ...operands: unknown[]) => {
    const condition = { [logical]: operands };
    const rules = (kind: 'permission' | 'prohibition') => [
      { action: 'use', constraint: kind === 'permission' ? [] : condition },
    ];
    const asked = use({ percentage: 10 });
    const grants = decideBy(agreement({ permission: [{ action: 'use', constraint: condition }] }), asked).permit;
    const forbids = !decideBy(agreement({ permission: rules('permission'), prohibition: rules('prohibition') }), asked)
      .permit;
    return grants ? 'holds' : forbids ? 'unknown' : 'fails';
  };

  test.each([
    ['and', [T, F, U], ['holds', 'fails', 'unknown', 'fails', 'fails', 'unknown', 'fails']],
    ['andSequence', [T, F, U], ['holds', 'fails', 'unknown', 'fails', 'fails', 'unknown', 'fails']],
    ['or', [T, F, U], ['holds', 'fails', 'unknown', 'holds', 'unknown', 'holds', 'holds']],
    ['xone', [T, F, U], ['holds', 'fails', 'unknown', 'holds', 'unknown', 'unknown', 'unknown']],
  ])('%s of a true, a false and an unknown one', (logical, [t, f, u], expected) => {
    const combinations = [[t], [f], [u], [t, f], [f, u], [t, u], [t, f, u]];
    expect(combinations.map((operands) => weigh(logical, ...operands))).toEqual(expected);
  });

  test('xone fails as soon as two hold, whatever is unknown', () => {
    const again = constraint('percentage', 'lteq', '60');
    expect(weigh('xone', T, again)).toBe('fails');
    expect(weigh('xone', T, again, U)).toBe('fails');
    expect(weigh('or', T, again)).toBe('holds');
  });

  test('may stand in another', () => {
    expect(weigh('or', { and: [T, F] }, { and: [T, T] })).toBe('holds');
    expect(weigh('and', { or: [T, F] }, { xone: [F, { or: [F] }] })).toBe('fails');
    expect(weigh('and', { '@list': [T] }, T)).not.toBe('holds');
    expect(weigh('xone', { or: [T, F] }, F)).toBe('holds');
  });

  test('may be a list in order, as JSON-LD writes one', () => {
    const decide = (operands: unknown) =>
      decideBy(
        agreement({ permission: [{ action: 'use', constraint: { andSequence: operands } }] }),
        use({ percentage: 10 }),
      ).permit;
    expect(decide({ '@list': [T, T] })).toBe(true);
    expect(decide({ '@list': [T, F] })).toBe(false);
    // Its expanded form puts every value into an array.
    expect(decide([{ '@list': [T, T] }])).toBe(true);
    expect(decide([{ '@list': [T, F] }])).toBe(false);
    expect(decide([{ '@list': [T, T] }, T])).toBe(false);
  });

  test('of what holds for a whole rule only is no alternative', () => {
    const columns = constraint('foedus:columns', 'isPartOf', ['a']);
    const decide = (logical: string) =>
      decideBy(
        agreement({ permission: [{ action: 'use', constraint: { [logical]: [columns, T] } }] }),
        use({ percentage: 10 }),
      );
    expect(decide('and')).toMatchObject({ permit: true, plan: { columns: ['a'] } });
    expect(decide('or').permit).toBe(false);
    expect(decide('xone').permit).toBe(false);
  });

  test('limits what is charged as far as it is one of all conditions', () => {
    const count = constraint('count', 'lteq', '3');
    const charges = (condition: unknown) =>
      decideBy(agreement({ permission: [{ action: 'use', constraint: condition }] }), use({ percentage: 10 })).charges;
    expect(charges({ and: [count, { and: [T] }] })).toEqual([{ meter: 'uses', amount: 1, limit: 3 }]);
    expect(charges({ or: [count, T] })).toEqual([{ meter: 'uses', amount: 1, limit: null }]);
  });
});
