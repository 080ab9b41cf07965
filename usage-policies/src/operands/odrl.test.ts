import { describe, expect, test } from 'vitest';
import {
  PURPOSE,
  agreement,
  constraint,
  decideBy,
  decideByOne,
  permission,
  spentSoFar,
  useRequest,
} from '../agreement.fixture.ts';

const MARKETING = 'https://w3id.org/dpv#Marketing';
const RESEARCH = 'https://w3id.org/dpv#AcademicResearch';

function permitsPurpose(operator: string, value: unknown, purpose: string | undefined): boolean {
  const { purpose: _, ...request } = useRequest();
  const asked = purpose === undefined ? request : { ...request, purpose };
  return decideByOne('use', [constraint('purpose', operator, value)], asked).permit;
}

describe('purpose', () => {
  test.each([
    ['eq', PURPOSE, PURPOSE, true],
    ['eq', PURPOSE, MARKETING, false],
    ['eq', [PURPOSE], PURPOSE, true],
    ['eq', { '@id': PURPOSE }, PURPOSE, true],
    ['isA', PURPOSE, PURPOSE, true],
    ['isA', PURPOSE, MARKETING, false],
    ['isAnyOf', [PURPOSE, RESEARCH], RESEARCH, true],
    ['isAnyOf', [PURPOSE, RESEARCH], MARKETING, false],
    ['isAnyOf', PURPOSE, PURPOSE, true],
    ['isAnyOf', { '@list': [PURPOSE] }, PURPOSE, true],
    ['neq', MARKETING, PURPOSE, true],
    ['neq', MARKETING, MARKETING, false],
    ['isNoneOf', [MARKETING, RESEARCH], PURPOSE, true],
    ['isNoneOf', [MARKETING, RESEARCH], RESEARCH, false],
  ])('%s %j decides %s: %s', (operator, value, purpose, permitted) => {
    expect(permitsPurpose(operator, value, purpose)).toBe(permitted);
  });

  test.each(['eq', 'isA', 'isAnyOf', 'neq', 'isNoneOf'])('%s never holds for an unstated purpose', (operator) => {
    expect(permitsPurpose(operator, PURPOSE, undefined)).toBe(false);
    expect(permitsPurpose(operator, PURPOSE, '')).toBe(false);
  });

  test.each([
    ['eq', [PURPOSE, MARKETING]],
    ['eq', []],
    ['isAnyOf', []],
    ['eq', { '@value': PURPOSE, '@type': 'xsd:dateTime' }],
    ['gt', PURPOSE],
  ])('with %s %j cannot be checked and permits nothing', (operator, value) => {
    expect(permitsPurpose(operator, value, PURPOSE)).toBe(false);
  });

  test('compares to the letter', () => {
    expect(permitsPurpose('eq', PURPOSE, `${PURPOSE} `)).toBe(false);
    expect(permitsPurpose('eq', PURPOSE, PURPOSE.toLowerCase())).toBe(false);
  });

  test('says in words what was not agreed', () => {
    const refused = decideByOne('use', [constraint('purpose', 'eq', PURPOSE)], useRequest({ purpose: MARKETING }));
    expect(refused.reasons).toEqual([`Purpose ${MARKETING} is not agreed: the agreement allows ${PURPOSE}.`]);
  });

  describe('in a prohibition', () => {
    const forbids = (operator: string, value: unknown, purpose: string | undefined): boolean => {
      const { purpose: _, ...request } = useRequest();
      const json = agreement({
        permission: [permission('use')],
        prohibition: [permission('use', constraint('purpose', operator, value))],
      });
      return !decideBy(json, purpose === undefined ? request : { ...request, purpose }).permit;
    };

    test.each([
      ['eq', MARKETING, MARKETING, true],
      ['eq', MARKETING, PURPOSE, false],
      ['isAnyOf', [MARKETING, RESEARCH], RESEARCH, true],
      ['isAnyOf', [MARKETING, RESEARCH], PURPOSE, false],
      ['neq', PURPOSE, MARKETING, true],
      ['neq', PURPOSE, PURPOSE, false],
      ['isNoneOf', [PURPOSE, RESEARCH], MARKETING, true],
      ['isNoneOf', [PURPOSE, RESEARCH], RESEARCH, false],
    ])('%s %j forbids %s: %s', (operator, value, purpose, forbidden) => {
      expect(forbids(operator, value, purpose)).toBe(forbidden);
    });

    test('forbids when no purpose is stated', () => {
      expect(forbids('eq', MARKETING, undefined)).toBe(true);
    });
  });
});

describe('dateTime', () => {
  const BEFORE = new Date('2025-12-31T23:59:59.999Z');
  const AT = new Date('2026-01-01T00:00:00Z');
  const AFTER = new Date('2026-01-01T00:00:00.001Z');

  test.each([
    ['lt', [true, false, false]],
    ['lteq', [true, true, false]],
    ['gt', [false, false, true]],
    ['gteq', [false, true, true]],
    ['eq', [false, true, false]],
    ['neq', [true, false, true]],
  ])('%s decides before, at and after the moment: %j', (operator, expected) => {
    const rule = constraint('dateTime', operator, '2026-01-01T01:00:00+01:00');
    expect([BEFORE, AT, AFTER].map((at) => decideByOne('use', [rule], useRequest({ at })).permit)).toEqual(expected);
  });

  test('of a type or operator that is not known permits nothing, and says so', () => {
    for (const [operator, value, message] of [
      ['lt', { '@value': '2030-01-01T00:00:00', '@type': 'xsd:dateTimeStamp' }, /no time zone/],
      ['lt', { '@value': '2030', '@type': 'xsd:gYear' }, /datatype gYear is not supported/],
      ['isPartOf', '2030-01-01T00:00:00Z', /operator isPartOf is not supported for dateTime/],
      ['lt', ['2030-01-01T00:00:00Z', '2031-01-01T00:00:00Z'], /exactly one value/],
    ] as const) {
      const decision = decideByOne('use', [constraint('dateTime', operator, value)], useRequest());
      expect(decision.permit).toBe(false);
      expect(decision.reasons.join(' ')).toMatch(message);
    }
  });

  test('says when the agreement ended or begins, in the words of the agreement', () => {
    const ended = decideByOne('use', [constraint('dateTime', 'lt', '2026-01-01T00:00:00Z')], useRequest());
    expect(ended.reasons).toEqual(['The agreement ended on 2026-01-01T00:00:00Z.']);
    const begins = decideByOne('use', [constraint('dateTime', 'gteq', '2027-01-01T00:00:00Z')], useRequest());
    expect(begins.reasons).toEqual(['The agreement begins on 2027-01-01T00:00:00Z.']);
    expect(begins.exhausted).toBe(false);
  });
});

describe('count', () => {
  test.each([
    ['lteq', '3', 2, true],
    ['lteq', '3', 3, false],
    ['lt', '3', 1, true],
    ['lt', '3', 2, false],
    ['lteq', { '@value': '3', '@type': 'xsd:integer' }, 3, false],
    ['lteq', 3, 2, true],
    ['lteq', '0', 0, false],
    ['lt', '0', 0, false],
  ])('%s %j after %i uses permits one more: %s', (operator, value, uses, permitted) => {
    const decision = decideByOne('use', [constraint('count', operator, value)], useRequest(), spentSoFar({ uses }));
    expect(decision.permit).toBe(permitted);
    expect(decision.exhausted).toBe(!permitted);
  });

  test('charges one use against its limit', () => {
    const { charges } = decideByOne('use', [constraint('count', 'lt', '3')], useRequest());
    expect(charges).toEqual([{ meter: 'uses', amount: 1, limit: 2 }]);
  });

  test.each([
    ['eq', '2', [false, true, false]],
    ['neq', '2', [true, false, true]],
    ['gt', '2', [false, false, true]],
    ['gteq', '2', [false, true, true]],
  ])('%s %s decides the first, second and third use: %j', (operator, value, expected) => {
    const permitted = [0, 1, 2].map(
      (uses) => decideByOne('use', [constraint('count', operator, value)], useRequest(), spentSoFar({ uses })).permit,
    );
    expect(permitted).toEqual(expected);
  });

  test('with an operator over names permits nothing', () => {
    expect(decideByOne('use', [constraint('count', 'isAnyOf', '1')], useRequest()).permit).toBe(false);
  });
});
