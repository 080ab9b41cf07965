import { describe, expect, test } from 'vitest';
import { PURPOSE, agreement, constraint, ours, permission } from './agreement.fixture.ts';
import { problemsOf } from './compile.ts';
import { policyDigest } from './digest.ts';
import { FOEDUS } from './model.ts';
import { parsePolicy } from './parse.ts';

describe('a policy', () => {
  test('reads the same in compact, prefixed and full form, with single values and arrays', () => {
    const ODRL = 'http://www.w3.org/ns/odrl/2/';
    const compact = parsePolicy(
      agreement({
        permission: [permission('use', constraint('purpose', 'eq', PURPOSE), ours('columns', 'isPartOf', ['a']))],
      }),
    );
    const full = parsePolicy({
      '@id': 'urn:uuid:8b1fd2c0-0000-4000-8000-000000000001',
      '@type': [`${ODRL}Agreement`, 'odrl:Policy'],
      'odrl:assigner': { '@id': 'did:web:provider.example' },
      [`${ODRL}assignee`]: { '@id': 'did:web:consumer.example' },
      'odrl:target': { '@id': 'urn:flights' },
      [`${ODRL}permission`]: {
        '@type': 'odrl:Permission',
        'odrl:action': { '@id': 'odrl:use' },
        'odrl:constraint': [
          {
            '@type': 'odrl:Constraint',
            'odrl:leftOperand': { '@id': `${ODRL}purpose` },
            'odrl:operator': { '@id': 'odrl:eq' },
            'odrl:rightOperand': { '@id': PURPOSE },
          },
          {
            leftOperand: 'foedus:columns',
            operator: `${ODRL}isPartOf`,
            rightOperand: { '@value': 'a', '@type': 'xsd:string' },
            duty: [],
          },
        ],
        'odrl:duty': [],
      },
      'odrl:prohibition': [],
      'odrl:obligation': [],
    });
    expect({ ...full, digest: '' }).toEqual({ ...compact, digest: '' });
    expect(problemsOf(full)).toEqual([]);
  });

  test('takes the action and constraints of a rule with several actions for each of them', () => {
    const policy = parsePolicy(agreement({ permission: permission('use') }));
    const several = parsePolicy(
      agreement({ permission: { action: ['read', 'use'], constraint: constraint('purpose', 'eq', PURPOSE) } }),
    );
    expect(policy.permissions.map((rule) => rule.action)).toEqual(['use']);
    expect(several.permissions.map((rule) => [rule.action, rule.constraints.length])).toEqual([
      ['read', 1],
      ['use', 1],
    ]);
  });

  test('never takes a bare name for one of our own terms', () => {
    const policy = parsePolicy(agreement({ permission: permission('train', constraint('columns', 'isPartOf', 'a')) }));
    expect(policy.permissions[0]).toMatchObject({ action: 'train', constraints: [{ leftOperand: 'columns' }] });
    expect(problemsOf(policy)).toEqual(
      expect.arrayContaining([
        'The action train is not known to this node.',
        'The operand columns is not known to this node.',
      ]),
    );
  });

  test('is a Set where it says no type', () => {
    expect(parsePolicy({ permission: { action: 'use' } })).toMatchObject({ type: 'Set', id: '' });
  });

  test('may name its own rules and carry titles', () => {
    const policy = parsePolicy(
      agreement({ 'dct:title': 'Flights', permission: { '@id': 'urn:rule', '@type': 'Permission', action: 'use' } }),
    );
    expect(problemsOf(policy)).toEqual([]);
  });

  test('has the digest of its canonical form, whatever the order of its properties', () => {
    const json = agreement({ permission: permission('use') });
    const reversed = Object.fromEntries(Object.entries(json).toReversed());
    expect(parsePolicy(json).digest).toBe(policyDigest(json));
    expect(parsePolicy(reversed).digest).toBe(policyDigest(json));
    expect(parsePolicy({ ...json, target: 'urn:other' }).digest).not.toBe(policyDigest(json));
  });

  test('has the digest that RFC 8785 and SHA-256 give', () => {
    // printf '%s' '{"@type":"Set","permission":[{"action":"use"}]}' | sha256sum
    expect(parsePolicy({ permission: [{ action: 'use' }], '@type': 'Set' }).digest).toBe(
      'f966279fe595c1aaf38c0eb621e21facec08eccd20d4c011ed76ce68369ace8a',
    );
  });
});

describe('an error', () => {
  test.each([
    ['$.@context', agreement({ '@context': 5 })],
    ['$.@context[1].use', agreement({ '@context': ['https://x.example', { use: 'urn:other' }] })],
    ['$.@context.odrl', agreement({ '@context': { odrl: 'https://evil.example/' } })],
    ['$.@context.foedus', agreement({ '@context': { foedus: { '@id': 'https://evil.example/' } } })],
    ['$.@type', agreement({ '@type': 'Ticket' })],
    ['$.@type', agreement({ '@type': ['Offer', 'Agreement'] })],
    ['$.@id', agreement({ '@id': 5 })],
    ['$.profile[1]', agreement({ profile: ['https://w3id.org/foedus/policy', 5] })],
    ['$.permission', agreement({ permission: 'urn:rule' })],
    ['$.permission[0]', agreement({ permission: [{ constraint: [] }] })],
    ['$.permission[0].action', agreement({ permission: [{ action: 5 }] })],
    ['$.permission[0].constraint[1]', agreement({ permission: [permission('use', {}, 'urn:constraint')] })],
    ['$["odrl:permission"]', agreement({ permission: [], 'odrl:permission': [] })],
    [
      '$.permission[0].constraint[0].rightOperand.and[0].operator',
      agreement({
        permission: [permission('use', ours('rowFilter', 'eq', { and: [{ column: 'a', operator: 'like' }] }))],
      }),
    ],
    [
      '$.permission[0].constraint[0].rightOperand.delay.method',
      agreement({ permission: [permission('use', ours('masks', 'eq', { delay: { method: 'blur' } }))] }),
    ],
    [
      '$.permission[0].constraint[0].rightOperand.epsilon',
      agreement({
        permission: [permission(`${FOEDUS}train`, ours('privacyBudget', 'lteq', { epsilon: 'much', delta: '1e-5' }))],
      }),
    ],
  ])('names the place %s', (path, json) => {
    expect(() => parsePolicy(json)).toThrow(expect.objectContaining({ path, code: 'bad-policy' }));
  });

  test('names an agreement without @id', () => {
    const { '@id': _, ...anonymous } = agreement({});
    expect(() => parsePolicy(anonymous)).toThrow(/an agreement has an @id/);
  });
});
