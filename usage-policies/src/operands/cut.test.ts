import { describe, expect, test } from 'vitest';
import { agreement, decideBy, decideByOne, ours, permission, trainRequest, useRequest } from '../agreement.fixture.ts';
import { TRAIN } from '../terms.ts';

const columns = ours('columns', 'isPartOf', ['date', 'delay', 'distance', 'destination']);

describe('columns', () => {
  test('that were not granted are refused by name', () => {
    const decision = decideByOne('use', [columns], useRequest({ columns: ['date', 'delay_reason'] }));
    expect(decision).toMatchObject({ permit: false, plan: null, charges: [], exhausted: false });
    expect(decision.reasons).toEqual([
      'Column delay_reason is not granted: the agreement grants date, delay, distance, destination.',
    ]);
  });

  test('are compared to the letter', () => {
    expect(decideByOne('use', [columns], useRequest({ columns: ['Delay'] })).permit).toBe(false);
  });

  test('of the plan are those asked for, each once and in this order', () => {
    const { plan } = decideByOne('use', [columns], useRequest({ columns: ['distance', 'date', 'distance'] }));
    expect(plan?.columns).toEqual(['distance', 'date']);
  });

  test('of the plan are all granted ones when none are asked for', () => {
    expect(decideByOne('use', [columns], useRequest()).plan?.columns).toEqual([
      'date',
      'delay',
      'distance',
      'destination',
    ]);
  });

  test('granted twice are those that both lists grant', () => {
    const both = [columns, ours('columns', 'isPartOf', ['delay', 'tail_number'])];
    expect(decideByOne('use', both, useRequest()).plan?.columns).toEqual(['delay']);
    expect(decideByOne('use', both, useRequest({ columns: ['tail_number'] })).permit).toBe(false);
    const apart = [columns, ours('columns', 'isPartOf', 'tail_number')];
    expect(decideByOne('use', apart, useRequest()).permit).toBe(false);
  });

  test('are all where no rule names columns', () => {
    expect(decideByOne('use', [], useRequest()).plan?.columns).toBe('all');
    expect(decideByOne('use', [], useRequest({ columns: ['x'] })).plan?.columns).toEqual(['x']);
  });

  test('asked for as an empty list permit nothing', () => {
    expect(decideByOne('use', [columns], useRequest({ columns: [] })).permit).toBe(false);
  });

  test('bind a training too, which has to name its columns', () => {
    expect(decideByOne(TRAIN, [columns], trainRequest({}, { columns: ['date', 'delay'] })).permit).toBe(true);
    expect(decideByOne(TRAIN, [columns], trainRequest({}, { columns: ['tail_number'] })).permit).toBe(false);
    expect(decideByOne(TRAIN, [columns], trainRequest()).reasons).toEqual([
      'The training does not say which columns it reads: the agreement grants date, delay, distance, destination.',
    ]);
  });

  test('with another operator than isPartOf permit nothing', () => {
    for (const operator of ['eq', 'isAnyOf', 'isNoneOf', 'hasPart']) {
      expect(decideByOne('use', [ours('columns', operator, ['date'])], useRequest()).permit).toBe(false);
    }
  });
});

describe('rowFilter', () => {
  const far = { column: 'distance', operator: 'gt', value: 1000 };
  const late = { column: 'delay', operator: 'gteq', value: 15 };

  test('is part of the plan', () => {
    expect(decideByOne('use', [ours('rowFilter', 'eq', far)], useRequest()).plan?.rowFilter).toEqual(far);
  });

  test('set twice lets only rows through that pass both', () => {
    const both = [ours('rowFilter', 'eq', far), ours('rowFilter', 'eq', late)];
    expect(decideByOne('use', both, useRequest()).plan?.rowFilter).toEqual({ and: [far, late] });
  });

  test('may travel as a JSON literal', () => {
    const literal = ours('rowFilter', 'eq', { '@type': '@json', '@value': far });
    expect(decideByOne('use', [literal], useRequest()).plan?.rowFilter).toEqual(far);
  });

  test('refuses a training, which nobody would filter', () => {
    const decision = decideByOne(TRAIN, [ours('rowFilter', 'eq', far)], trainRequest());
    expect(decision.reasons).toEqual(['The operand foedus:rowFilter is not supported for the action foedus:train.']);
  });
});

describe('masks', () => {
  const masks = ours('masks', 'eq', { destination: { method: 'hash' }, delay: { method: 'null' } });

  test('are part of the plan, for the columns that leave', () => {
    const all = decideByOne('use', [columns, masks], useRequest());
    expect({ ...all.plan?.masks }).toEqual({ destination: { method: 'hash' }, delay: { method: 'null' } });
    const one = decideByOne('use', [columns, masks], useRequest({ columns: ['date', 'destination'] }));
    expect({ ...one.plan?.masks }).toEqual({ destination: { method: 'hash' } });
    expect(one.reasons).toContain('Column destination is replaced by a keyed hash.');
  });

  test('are all part of the plan where no rule names columns', () => {
    const { plan } = decideByOne('use', [masks], useRequest());
    expect(Object.keys(plan?.masks ?? {})).toEqual(['destination', 'delay']);
  });

  test('on a column that is not granted permit nothing: the name may be misspelt', () => {
    const misspelt = ours('masks', 'eq', { Destination: { method: 'hash' } });
    expect(decideByOne('use', [columns, misspelt], useRequest()).reasons).toEqual([
      'A mask is set on Destination, which the agreement does not grant.',
    ]);
  });

  test('that contradict each other permit nothing', () => {
    const other = ours('masks', 'eq', { delay: { method: 'constant', value: '0' } });
    expect(decideByOne('use', [masks, other], useRequest()).permit).toBe(false);
    expect(decideByOne('use', [masks, masks], useRequest()).permit).toBe(true);
  });

  test('refuse a training, which nobody would mask', () => {
    expect(decideByOne(TRAIN, [masks], trainRequest()).permit).toBe(false);
  });
});

test.each([
  ['columns', ours('columns', 'isPartOf', ['date'])],
  ['rowFilter', ours('rowFilter', 'eq', { column: 'a', operator: 'eq', value: 1 })],
  ['masks', ours('masks', 'eq', { a: { method: 'hash' } })],
])('a prohibition with %s forbids everything: it cannot be checked', (_, condition) => {
  const json = agreement({ permission: [permission('use')], prohibition: [permission('use', condition)] });
  expect(decideBy(json, useRequest({ columns: ['other'] })).permit).toBe(false);
});
