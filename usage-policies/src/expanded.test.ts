/** Policies in JSON-LD's expanded form: full IRIs, every value in an array, names as nodes, lists as `@list`. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compile, problemsOf } from './compile.ts';
import { decide } from './decide.ts';
import { agreement, constraint, nothingSpent, ours, useRequest } from './agreement.fixture.ts';
import type { UsageRequest } from './model.ts';
import { parsePolicy } from './parse.ts';
import { sameRules } from './same-rules.ts';

const ODRL = 'http://www.w3.org/ns/odrl/2/';
const NAMES = new Set(
  'action leftOperand operator target assigner assignee profile unit dataType includedIn conflict'.split(' '),
);
const LISTS = new Set(['and', 'or', 'xone', 'andSequence']);
const iri = (name: string): string => (/[:/]/.test(name) ? name : ODRL + name);

/** What a JSON-LD processor makes of a policy with ODRL's context, as far as these tests have terms. */
function expand(value: unknown, term = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.flatMap((item) => expand(item, term));
    return LISTS.has(term) ? [{ '@list': items }] : items;
  }
  if (typeof value === 'object' && value !== null) {
    if ('@value' in value || '@id' in value) return [value];
    return [expandNode(value)];
  }
  return [NAMES.has(term) ? { '@id': iri(String(value)) } : { '@value': value }];
}
function expandNode(node: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => key !== '@context')
      .map(([key, inner]) => {
        if (key === '@id') return [key, inner];
        if (key === '@type') return [key, [inner].flat().map((type) => iri(String(type)))];
        if (key === 'timestamp') return ['https://w3id.org/dspace/2025/1/timestamp', [{ '@value': inner }]];
        return [iri(key), expand(inner, key)];
      }),
  );
}

const simple = fc.oneof(
  fc.nat(9).map((count) => constraint('count', 'lteq', String(count))),
  fc.constantFrom('urn:a', 'urn:b').map((purpose) => constraint('purpose', 'eq', purpose)),
  fc.subarray(['A', 'B', 'C'], { minLength: 1 }).map((columns) => ours('columns', 'isPartOf', columns)),
  fc
    .constantFrom('2090-01-01T00:00:00Z', '2020-01-01T00:00:00Z')
    .map((text) =>
      constraint('dateTime', 'lt', { '@value': text, '@type': 'http://www.w3.org/2001/XMLSchema#dateTime' }),
    ),
  fc.nat(5).map((days) => ({ ...constraint('elapsedTime', 'lteq', `P${days}D`), unit: 'urn:day' })),
  fc.constant(constraint('moonPhase', 'eq', 'full')),
);
const condition = fc.oneof(
  { weight: 3, arbitrary: simple },
  fc
    .tuple(fc.constantFrom('and', 'or', 'xone', 'andSequence'), fc.array(simple, { minLength: 1, maxLength: 3 }))
    .map(([logical, operands]) => ({ [logical]: operands })),
);
const rule = fc.record(
  {
    action: fc.constantFrom('use', 'read', 'https://w3id.org/foedus/policy#train'),
    constraint: fc.array(condition, { maxLength: 3 }),
    duty: fc.array(fc.constantFrom({ action: 'delete' }, { action: 'inform' }), { maxLength: 2 }),
  },
  { requiredKeys: ['action'] },
);
const policy = fc
  .record({ permission: fc.array(rule, { minLength: 1, maxLength: 3 }), conflict: fc.constantFrom('prohibit', 'perm') })
  .map((rules) => agreement(rules));

/** The decision, without the digest of the text that it was made by. */
const outcome = (json: unknown, request: Partial<UsageRequest>) => {
  const decision = decide(compile(parsePolicy(json)), useRequest(request), nothingSpent);
  const { policyDigest: _one, policyDigests: _all, ...rest } = decision;
  return rest;
};

test('say what their compact form says: the same rules, problems and decisions', () => {
  fc.assert(
    fc.property(
      policy,
      fc.constantFrom({ purpose: 'urn:a' }, { purpose: 'urn:b', columns: ['A'] }),
      (compact, request) => {
        const expanded = expandNode(compact);
        const problems = problemsOf(parsePolicy(compact));
        expect(problemsOf(parsePolicy(expanded))).toHaveLength(problems.length);
        // What cannot be read is compared as it is written.
        if (problems.length === 0) expect(sameRules(compact, expanded)).toBe(true);
        expect(outcome(expanded, request)).toEqual(outcome(compact, request));
      },
    ),
    { numRuns: 200 },
  );
});

test('may have one value where one is meant, and more than one is still refused', () => {
  const twice = (term: string, values: unknown[]) =>
    agreement({
      permission: [{ action: 'use', constraint: [{ ...constraint('count', 'lteq', '5'), [term]: values }] }],
    });
  const lone = twice('operator', ['lteq']);
  expect(outcome(lone, {}).permit).toBe(true);
  for (const [term, values] of [
    ['leftOperand', ['count', 'purpose']],
    ['operator', ['lteq', 'gteq']],
    ['operator', [['lteq']]],
    ['leftOperand', []],
    ['rightOperand', ['5', '6']],
  ] as const) {
    const odd = twice(term, [...values]);
    expect([problemsOf(parsePolicy(odd)).length, outcome(odd, {}).permit]).toEqual([1, false]);
  }
});
