import { describe, expect, test } from 'vitest';
import { agreement, constraint, permission } from './agreement.fixture.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';

function nested(depth: number): unknown {
  let value: unknown = 'x';
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

describe('a policy bomb', () => {
  test.each([
    ['nested deeply', () => agreement({ permission: permission('use', constraint('purpose', 'eq', nested(5000))) })],
    ['with many values', () => agreement({ 'dct:x': Array.from({ length: 200_000 }, () => 1) })],
    ['with many properties', () => Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, 1]))],
    ['with much text', () => agreement({ 'dct:x': 'x'.repeat(1_000_000) })],
    ['with many rules', () => agreement({ permission: Array.from({ length: 101 }, () => ({ action: 'use' })) })],
    ['with many actions', () => agreement({ permission: { action: Array.from({ length: 101 }, () => 'use') } })],
    [
      'with many constraints',
      () => {
        const many = Array.from({ length: 101 }, () => constraint('purpose', 'eq', 'x'));
        return agreement({ permission: permission('use', ...many) });
      },
    ],
  ])('%s is refused as too large', (_, bomb) => {
    expect(() => parsePolicy(bomb())).toThrow(expect.objectContaining({ code: 'too-large' }));
  });

  test('is refused long before all of it was looked at', () => {
    let reads = 0;
    const wide = new Proxy(
      Array.from({ length: 1_000_000 }, () => 0),
      {
        get: (target, key) => {
          reads += 1;
          return Reflect.get(target, key) as unknown;
        },
      },
    );
    expect(() => parsePolicy(agreement({ 'dct:x': wide }))).toThrow(PolicyError);
    expect(reads).toBeLessThan(100_000);
  });

  test('may be larger where the caller says so', () => {
    const large = agreement({ permission: Array.from({ length: 150 }, () => ({ action: 'use' })) });
    expect(parsePolicy(large, { rules: 150 }).permissions).toHaveLength(150);
  });
});

describe('what is not JSON', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;

  test.each([
    ['a cycle', cycle],
    ['a function', agreement({ 'dct:x': () => 1 })],
    ['undefined', agreement({ 'dct:x': undefined })],
    ['a number beyond all numbers', agreement({ 'dct:x': Number.POSITIVE_INFINITY })],
    ['a lone surrogate', agreement({ 'dct:x': '\u{d800}' })],
    ['a date object', agreement({ 'dct:x': new Date() })],
    ['a property called __proto__', JSON.parse('{"@type":"Set","__proto__":{"permission":{"action":"use"}}}')],
    ['text', 'permission'],
    ['null', null],
    ['a list', [agreement({})]],
  ])('is refused: %s', (_, json) => {
    expect(() => parsePolicy(json)).toThrow(PolicyError);
  });
});
