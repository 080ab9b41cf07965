import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, constraint, nothingSpent, useRequest } from './agreement.fixture.ts';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import type { UsageRequest, UsageState } from './model.ts';
import { parsePolicy } from './parse.ts';

const by = (policy: Record<string, unknown>, request: Partial<UsageRequest> = {}, state: Partial<UsageState> = {}) =>
  decide(compile(parsePolicy(policy)), useRequest(request), { ...nothingSpent, ...state });

describe('a refined action', () => {
  const DPI = 'http://dbpedia.org/resource/Dots_per_inch';
  const fine = (operator: string) => ({
    'rdf:value': { '@id': 'odrl:print' },
    refinement: [{ ...constraint('resolution', operator, { '@value': '1200', '@type': 'xsd:integer' }), unit: DPI }],
  });
  const at = (value: number): Partial<UsageRequest> => ({
    action: 'print',
    values: { resolution: { value, unit: DPI } },
  });

  test('permits the action in the narrower sense only', () => {
    const policy = agreement({ permission: [{ action: [fine('lteq')] }] });
    expect(by(policy, at(1000)).permit).toBe(true);
    const refused = by(policy, at(1300));
    expect(refused).toMatchObject({ permit: false, rules: [{ premises: { action: 'fails', constraints: 'holds' } }] });
    expect(by(policy, { action: 'print' }).permit).toBe(false);
  });

  test('forbids the action in the narrower sense only', () => {
    const policy = agreement({
      permission: [{ action: 'print' }],
      prohibition: [{ action: [fine('gt')] }],
      conflict: 'prohibit',
    });
    expect(by(policy, at(1000)).permit).toBe(true);
    expect(by(policy, at(1300)).permit).toBe(false);
    // Nobody says how fine: it may be what is forbidden.
    expect(by(policy, { action: 'print' }).permit).toBe(false);
  });

  test('may be refined by logic', () => {
    const media = (value: string) => constraint('media', 'eq', value);
    const policy = agreement({
      permission: [
        {
          action: {
            'rdf:value': 'odrl:reproduce',
            refinement: { xone: { '@list': [media('online'), media('print')] } },
          },
        },
      ],
    });
    const on = (value: string | string[]) => by(policy, { action: 'reproduce', values: { media: value } }).permit;
    expect([on('online'), on('print'), on('radio')]).toEqual([true, true, false]);
  });
});

describe('a collection', () => {
  const friends = 'http://example.com/user44/friends';
  const state = {
    memberships: { [CONSUMER]: ['urn:inner'], 'urn:inner': [friends], 'urn:asset': ['urn:catalogue'] },
    descriptions: {
      [CONSUMER]: { percentage: 18 },
      'urn:asset': { language: 'el' },
    },
  };

  test('of parties means its members, directly or not', () => {
    const policy = { permission: [{ action: 'use', assignee: friends }] };
    expect(by(policy, {}, state).permit).toBe(true);
    expect(by(policy, { assignee: 'did:web:other.example' }, state).permit).toBe(false);
    expect(by(policy, {}).permit).toBe(false);
    expect(by(policy, { assignee: friends }).permit).toBe(true);
  });

  test('of assets means its members', () => {
    const policy = { permission: [{ action: 'use', target: { '@type': 'AssetCollection', uid: 'urn:catalogue' } }] };
    expect(by(policy, { target: 'urn:asset' }, state).permit).toBe(true);
    expect(by(policy, { target: 'urn:other' }, state).permit).toBe(false);
    expect(by(policy, {}, state).reasons.join()).toMatch(/does not say which asset/);
  });

  test('goes round in a circle without an end', () => {
    const circle = { memberships: { [CONSUMER]: ['urn:a'], 'urn:a': ['urn:b'], 'urn:b': ['urn:a'] } };
    expect(by({ permission: [{ action: 'use', assignee: friends }] }, {}, circle).permit).toBe(false);
  });

  test('of parties may be refined', () => {
    const older = (age: string) => ({
      permission: [
        {
          action: 'use',
          assignee: { '@type': 'PartyCollection', source: friends, refinement: [constraint('percentage', 'gt', age)] },
        },
      ],
    });
    expect(by(older('17'), {}, state).permit).toBe(true);
    expect(by(older('18'), {}, state).permit).toBe(false);
    expect(by(older('17'), { assignee: 'did:web:other.example' }, state).permit).toBe(false);
    // What the request says of its use says nothing of who makes it.
    const undescribed = { ...state, descriptions: {} };
    expect(by(older('17'), { values: { percentage: 99 } }, undescribed).permit).toBe(false);
  });

  test('of assets may be refined, in a prohibition too', () => {
    const target = {
      '@type': 'AssetCollection',
      source: 'urn:catalogue',
      refinement: constraint('language', 'eq', 'el'),
    };
    const policy = { permission: [{ action: 'use' }], prohibition: [{ action: 'use', target }] };
    expect(by(policy, { target: 'urn:asset' }, state).permit).toBe(false);
    const french = { ...state, descriptions: { 'urn:asset': { language: 'fr' } } };
    expect(by(policy, { target: 'urn:asset' }, french).permit).toBe(true);
    expect(by(policy, { target: 'urn:asset' }, { ...state, descriptions: {} }).permit).toBe(false);
    expect(by(policy, { target: 'urn:other' }, state).permit).toBe(true);
  });

  test('may be described beside, and nothing more', () => {
    const assignee = { '@type': ['PartyCollection', 'vcard:Group'], uid: friends, 'vcard:fn': 'Friends' };
    expect(by({ permission: [{ action: 'use', assignee }] }, {}, state).permit).toBe(true);
    const scoped = { ...assignee, scope: 'odrl:All' };
    expect(by({ permission: [{ action: 'use', assignee: scoped }] }, {}, state).permit).toBe(false);
  });
});

describe('a compact policy', () => {
  test('is one rule for each action, asset and party', () => {
    const policy = parsePolicy({
      permission: [{ action: ['play', 'stream'], target: ['urn:a', 'urn:b'], assignee: ['urn:x', 'urn:y'] }],
    });
    expect(policy.permissions).toHaveLength(8);
    expect(policy.permissions.map(({ action, target, assignee }) => `${action} ${target} ${assignee}`)).toContain(
      'stream urn:b urn:x',
    );
  });

  test('says once what is so for all of its rules', () => {
    const policy = {
      target: 'urn:a',
      assigner: 'urn:sony',
      action: 'play',
      permission: [{ assignee: CONSUMER }, { assignee: 'urn:murphy' }],
    };
    expect(by(policy, { action: 'play' }).permit).toBe(true);
    expect(by(policy, { action: 'play', assignee: 'urn:murphy' }).permit).toBe(true);
    expect(by(policy, { action: 'play', assignee: 'urn:other' }).permit).toBe(false);
    expect(by(policy, { action: 'print' }).permit).toBe(false);
    expect(by(policy, { action: 'play', target: 'urn:b' }).permit).toBe(false);
  });

  test('may name several assets and parties for all', () => {
    const policy = { target: ['urn:a', 'urn:b'], assignee: [CONSUMER, 'urn:y'], permission: [{ action: 'use' }] };
    expect(by(policy, { target: 'urn:b' }).permit).toBe(true);
    expect(by(policy, { target: 'urn:c' }).permit).toBe(false);
    expect(by(policy, { target: 'urn:a', assignee: 'urn:z' }).permit).toBe(false);
  });

  test('is not understood where rule and policy both name an action', () => {
    expect(by({ action: 'use', permission: [{ action: 'read' }] }, { action: 'read' }).permit).toBe(false);
  });
});
