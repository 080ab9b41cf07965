import { describe, expect, test } from 'vitest';
import { CONSUMER, PURPOSE, agreement, constraint, ours, permission } from './agreement.fixture.ts';
import { sameRules } from './same-rules.ts';
import { TRAIN } from './terms.ts';

const rules = {
  profile: 'https://w3id.org/foedus/policy',
  permission: [
    permission('use', constraint('purpose', 'isAnyOf', [PURPOSE, 'urn:p']), ours('columns', 'isPartOf', ['a', 'b'])),
    permission(TRAIN, ours('privacyBudget', 'lteq', { epsilon: '4', delta: '1e-5' })),
  ],
  prohibition: [permission('use', constraint('purpose', 'eq', 'urn:marketing'))],
};
const offer = { '@id': 'urn:offer', '@type': 'Offer', target: 'urn:flights', ...rules };

describe('an agreement has the same rules as its offer', () => {
  test('whatever its id, type, parties, target, time and context', () => {
    expect(sameRules(offer, agreement(rules))).toBe(true);
  });

  test('in another order and spelling', () => {
    const other = agreement({
      'odrl:profile': [{ '@id': 'https://w3id.org/foedus/policy' }],
      'odrl:obligation': [],
      'odrl:permission': [
        {
          '@id': 'urn:rule:2',
          '@type': 'odrl:Permission',
          'odrl:action': { '@id': 'foedus:train' },
          constraint: {
            operator: 'odrl:lteq',
            'odrl:leftOperand': { '@id': 'foedus:privacyBudget' },
            rightOperand: { delta: 0.00001, epsilon: 4 },
          },
          duty: [],
        },
        {
          action: 'odrl:use',
          target: 'urn:flights',
          assignee: CONSUMER,
          constraint: [
            ours('columns', 'isPartOf', ['b', { '@value': 'a' }]),
            constraint('odrl:purpose', 'odrl:isAnyOf', [{ '@id': 'urn:p' }, { '@id': PURPOSE }]),
          ],
        },
      ],
      prohibition: permission('use', constraint('purpose', 'eq', 'urn:marketing')),
    });
    expect(sameRules(offer, other)).toBe(true);
    expect(sameRules(other, offer)).toBe(true);
  });

  test('with and without an empty list of constraints', () => {
    expect(sameRules({ permission: [{ action: 'use' }] }, { permission: [{ action: 'use', constraint: [] }] })).toBe(
      true,
    );
  });
});

describe('rules differ', () => {
  const changed: [string, Record<string, unknown>][] = [
    ['a rule more', { ...rules, permission: [...rules.permission, { action: 'use' }] }],
    ['the same rule twice', { ...rules, permission: [...rules.permission, rules.permission[0]] }],
    ['a permission less', { ...rules, permission: rules.permission.slice(1) }],
    ['a prohibition less', { profile: rules.profile, permission: rules.permission }],
    [
      'a prohibition that became a permission',
      { ...rules, permission: [...rules.permission, ...rules.prohibition], prohibition: [] },
    ],
    ['another profile', { ...rules, profile: 'https://test.com/profile' }],
    ['no profile', { permission: rules.permission, prohibition: rules.prohibition }],
    ['an obligation', { ...rules, obligation: [{ action: 'delete' }] }],
    ['a title', { ...rules, 'dct:title': 'Flights' }],
    ['an unknown property', { ...rules, 'ids:contract': 1 }],
    ['another conflict strategy', { ...rules, conflict: 'perm' }],
    ['a duty', { ...rules, prohibition: [{ ...rules.prohibition[0], remedy: [{ action: 'delete' }] }] }],
    ['an assignee of its own', { ...rules, prohibition: [{ ...rules.prohibition[0], assignee: 'urn:other' }] }],
    [
      'two targets of its own in a rule',
      { ...rules, prohibition: [{ ...rules.prohibition[0], target: ['urn:x', 'urn:y'] }] },
    ],
    ['a refined target', { ...rules, target: { '@id': 'urn:flights', refinement: [{}] } }],
  ];

  test.each(changed)('with %s', (_, other) => {
    expect(sameRules(offer, agreement(other))).toBe(false);
    expect(sameRules(agreement(other), offer)).toBe(false);
    expect(sameRules(agreement(other), agreement(other))).toBe(true);
  });

  const one = (...constraints: unknown[]) => ({ permission: [permission('use', ...constraints)] });
  test.each([
    [
      'an operator',
      one(constraint('dateTime', 'lt', '2026-01-01T00:00:00Z')),
      one(constraint('dateTime', 'lteq', '2026-01-01T00:00:00Z')),
    ],
    [
      'a moment',
      one(constraint('dateTime', 'lt', '2026-01-01T00:00:00Z')),
      one(constraint('dateTime', 'lt', '2026-01-01T00:00:01Z')),
    ],
    ['a count', one(constraint('count', 'lteq', '5')), one(constraint('count', 'lteq', '6'))],
    ['a column', one(ours('columns', 'isPartOf', ['a'])), one(ours('columns', 'isPartOf', ['a', 'b']))],
    [
      'a mask',
      one(ours('masks', 'eq', { a: { method: 'hash' } })),
      one(ours('masks', 'eq', { a: { method: 'null' } })),
    ],
    ['an unknown value', one(constraint('spatial', 'eq', 'urn:eu')), one(constraint('spatial', 'eq', 'urn:us'))],
    [
      "an unknown value's order",
      one(constraint('urn:x', 'eq', ['a', 'b'])),
      one(constraint('urn:x', 'eq', ['b', 'a'])),
    ],
    [
      'an unknown datatype',
      one(constraint('spatial', 'eq', 'a')),
      one(constraint('spatial', 'eq', { '@value': 'a', '@type': 'urn:t' })),
    ],
    [
      'a datatype of the constraint',
      one(constraint('spatial', 'eq', 'a')),
      one({ ...constraint('spatial', 'eq', 'a'), dataType: 'urn:t' }),
    ],
    ['a unit', one(constraint('count', 'lteq', '5')), one({ ...constraint('count', 'lteq', '5'), unit: 'urn:dozen' })],
    [
      'a kind of junction',
      one({ and: [constraint('count', 'lteq', '5')] }),
      one({ or: [constraint('count', 'lteq', '5')] }),
    ],
    [
      'what is inside a junction',
      one({ and: [constraint('count', 'lteq', '5')] }),
      one({ and: [constraint('count', 'lteq', '6')] }),
    ],
    [
      'a refinement',
      { permission: { action: { 'rdf:value': 'use', refinement: [1] } } },
      { permission: { action: { 'rdf:value': 'use', refinement: [2] } } },
    ],
    ['an action', { permission: { action: 'use' } }, { permission: { action: 'read' } }],
  ])('in %s', (_, a, b) => {
    expect(sameRules(a, a)).toBe(true);
    expect(sameRules(a, b)).toBe(false);
    expect(sameRules(b, a)).toBe(false);
  });
});

test('what cannot be read is never the same as anything, itself included', () => {
  for (const wrong of [null, 'x', { '@type': 'Ticket' }, { permission: [5] }, { '@context': { use: 'urn:other' } }]) {
    expect(sameRules(wrong, wrong)).toBe(false);
    expect(sameRules(offer, wrong)).toBe(false);
  }
});

test('targets of its own make a rule differ, each of several', () => {
  const to = (...target: string[]) => agreement({ permission: [{ action: 'use', target }] });
  expect(sameRules(to('urn:x', 'urn:y'), to('urn:x', 'urn:y'))).toBe(true);
  expect(sameRules(to('urn:x', 'urn:y'), to('urn:z', 'urn:y'))).toBe(false);
});
