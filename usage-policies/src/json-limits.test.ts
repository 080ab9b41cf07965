import { describe, expect, test } from 'vitest';
import { agreement, constraint, permission } from './agreement.fixture.ts';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';

function nested(depth: number): unknown {
  let value: unknown = 'x';
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

function logic(depth: number): unknown {
  let value: unknown = constraint('purpose', 'eq', 'x');
  for (let level = 0; level < depth; level++) value = { and: [value] };
  return value;
}

describe('a decision', () => {
  const request = { action: 'use', assignee: 'urn:x', at: new Date('2026-06-01T00:00:00Z') };
  const history = Array.from({ length: 20_000 }, (_, at) => ({
    action: 'use',
    by: 'urn:x',
    at: new Date(Date.UTC(2026, 0, 1) + at * 1000),
  }));

  test('by a policy and a history that ask for too much work is denied, and says so', () => {
    const counts = Array.from({ length: 100 }, () => constraint('count', 'lteq', '50000'));
    const compiled = compile(
      parsePolicy({ permission: Array.from({ length: 20 }, () => permission('use', ...counts)) }),
    );
    const decision = decide(compiled, request, { spent: { uses: 0, rounds: 0, epsilon: 0 }, history });
    expect(decision).toMatchObject({ permit: false, exhausted: false, rules: [] });
    expect(decision.reasons).toEqual([
      'The policy and its history ask for more than 1000000 steps, which one decision may take.',
    ]);
  });

  test('may take more steps, or fewer, where the caller says so', () => {
    const state = { spent: { uses: 0, rounds: 0, epsilon: 0 }, history };
    const policy = parsePolicy({ permission: permission('use', constraint('count', 'lteq', '50000')) });
    expect(decide(compile(policy), request, state).permit).toBe(true);
    expect(decide(compile(policy, { steps: 10_000 }), request, state).permit).toBe(false);
  });

  test('goes through memberships once', () => {
    const memberships: Record<string, string[]> = {};
    for (let at = 0; at < 1_000; at++) memberships[`urn:${at}`] = [`urn:${at + 1}`, `urn:${at + 2}`, `urn:${at}`];
    const policy = compile(parsePolicy({ permission: { action: 'use', assignee: 'urn:1001' } }));
    const state = { spent: { uses: 0, rounds: 0, epsilon: 0 }, memberships };
    expect(decide(policy, { ...request, assignee: 'urn:0' }, state).permit).toBe(true);
    expect(decide(policy, { ...request, assignee: 'urn:9999' }, state).permit).toBe(false);
  });
});

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
    [
      'with many assets and parties',
      () => {
        const names = (prefix: string) => Array.from({ length: 11 }, (_, at) => `urn:${prefix}:${at}`);
        return { permission: { action: 'use', target: names('asset'), assignee: names('party') } };
      },
    ],
    [
      'with conditions in conditions',
      () => {
        const one = constraint('purpose', 'eq', 'x');
        const or = { or: Array.from({ length: 60 }, () => one) };
        return agreement({ permission: permission('use', ...Array.from({ length: 90 }, () => or)) });
      },
    ],
    [
      'with conditions that its actions multiply',
      () => ({
        permission: {
          action: Array.from({ length: 90 }, () => 'use'),
          constraint: Array.from({ length: 90 }, () => constraint('purpose', 'eq', 'x')),
        },
      }),
    ],
    [
      'with duties that its actions multiply',
      () => ({
        permission: {
          action: Array.from({ length: 90 }, () => 'use'),
          duty: Array.from({ length: 30 }, () => ({
            action: ['delete', 'inform'],
            consequence: [{ action: 'delete' }],
          })),
        },
      }),
    ],
    ['with logic nested deeply', () => agreement({ permission: permission('use', logic(30)) })],
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
