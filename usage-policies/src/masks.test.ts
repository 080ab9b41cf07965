import { expect, test } from 'vitest';
import { readMasks } from './masks.ts';

test('masks read as they are written', () => {
  const masks = {
    a: { method: 'hash' },
    b: { method: 'constant', value: 'x' },
    c: { method: 'null' },
    d: { method: 'truncate', unit: 'month' },
    e: { method: 'truncate', step: 10 },
    f: { method: 'generalise', parents: { BDL: 'CT', CT: 'US' }, levels: 2 },
  };
  expect({ ...readMasks(masks) }).toEqual(masks);
});

test('a lookup of a column without a mask finds nothing, whatever the column is called', () => {
  const masks = readMasks({ a: { method: 'hash' } });
  for (const column of ['constructor', 'toString', 'hasOwnProperty', '__proto__'])
    expect(masks[column]).toBeUndefined();
});

test.each([
  ['an unknown method', { a: { method: 'shuffle' } }],
  ['an unknown property', { a: { method: 'hash', salt: 'x' } }],
  ['a constant without value', { a: { method: 'constant' } }],
  ['a step of nothing', { a: { method: 'truncate', step: 0 } }],
  ['an unknown unit', { a: { method: 'truncate', unit: 'fortnight' } }],
  ['a unit and a step', { a: { method: 'truncate', unit: 'day', step: 2 } }],
  ['neither unit nor step', { a: { method: 'truncate' } }],
  ['an empty hierarchy', { a: { method: 'generalise', parents: {} } }],
  ['no level', { a: { method: 'generalise', parents: { a: 'b' }, levels: 0 } }],
  ['a mask that is only a name', { a: 'hash' }],
  ['no column', {}],
  ['a list', [{ method: 'hash' }]],
])('masks with %s are refused', (_, masks) => {
  expect(() => readMasks(masks)).toThrow(/./);
});
