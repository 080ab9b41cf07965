import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, constraint, nothingSpent, useRequest } from './agreement.fixture.ts';
import { compile, problemsOf } from './compile.ts';
import { decide } from './decide.ts';
import type { UsageRequest } from './model.ts';
import type { PolicyOptions } from './options.ts';
import { parsePolicy } from './parse.ts';

const OTHER = 'did:web:other.example';

function by(policy: Record<string, unknown>, request: Partial<UsageRequest> = {}, options: PolicyOptions = {}) {
  return decide(compile(parsePolicy(policy, options), options), useRequest(request), nothingSpent);
}

const strategies: [string, Record<string, unknown>][] = [
  ['no strategy', {}],
  ['invalid', { conflict: 'invalid' }],
  ['prohibit', { conflict: 'odrl:prohibit' }],
  ['perm', { conflict: { '@id': 'http://www.w3.org/ns/odrl/2/perm' } }],
  ['two strategies', { conflict: ['perm', 'prohibit'] }],
];

describe('a permission and a prohibition of one action', () => {
  const rules = { permission: [{ action: 'play' }, { action: 'print' }], prohibition: [{ action: 'play' }] };
  test.each([
    ['no strategy', false, false, true],
    ['invalid', false, false, true],
    ['prohibit', false, true, false],
    ['perm', true, true, false],
    ['two strategies', false, false, true],
  ])('with %s: play %j, print %j, void %j', (strategy, play, print, isVoid) => {
    const policy = agreement({ ...rules, ...new Map(strategies).get(strategy) });
    expect(by(policy, { action: 'play' })).toMatchObject({ permit: play, void: isVoid });
    expect(by(policy, { action: 'print' })).toMatchObject({ permit: print, void: isVoid });
    if (isVoid) {
      expect(by(policy, { action: 'print' }).reasons).toEqual([
        'The policy is void: it permits play and forbids play, and does not say which of the two wins.',
      ]);
    }
  });
});

describe('an action that another includes', () => {
  test.each([
    ['permitted play, prohibited use', 'play', 'use'],
    ['permitted use, prohibited play', 'use', 'play'],
    ['permitted extractWord, prohibited reproduce', 'extractWord', 'reproduce'],
  ])('%s: the policy is void', (_, permitted, prohibited) => {
    const policy = agreement({ permission: [{ action: permitted }], prohibition: [{ action: prohibited }] });
    for (const action of [permitted, prohibited])
      expect(by(policy, { action })).toMatchObject({ permit: false, void: true });
  });

  test('is what prohibit takes out of a permission, and perm out of a prohibition', () => {
    const carved = (conflict: string) => ({
      permission: [{ action: 'use' }],
      prohibition: [{ action: 'print' }],
      conflict,
    });
    expect(by(agreement(carved('prohibit')), { action: 'read' }).permit).toBe(true);
    expect(by(agreement(carved('prohibit')), { action: 'print' }).permit).toBe(false);
    expect(by(agreement(carved('perm')), { action: 'print' }).permit).toBe(true);
    const narrow = { permission: [{ action: 'print' }], prohibition: [{ action: 'use' }], conflict: 'perm' };
    expect(by(agreement(narrow), { action: 'print' }).permit).toBe(true);
    expect(by(agreement(narrow), { action: 'read' }).permit).toBe(false);
  });

  test('does not conflict where the two are no kin', () => {
    const policy = agreement({ permission: [{ action: 'print' }], prohibition: [{ action: 'sell' }] });
    expect(by(policy, { action: 'print' })).toMatchObject({ permit: true, void: false });
    expect(by(policy, { action: 'sell' }).permit).toBe(false);
  });
});

describe('an action that another implies', () => {
  const options: PolicyOptions = {
    profiles: { 'urn:profile': { actions: { 'ex:share': { includedIn: 'use', implies: ['distribute'] } } } },
  };
  const rules = { permission: [{ action: 'ex:share' }, { action: 'read' }], prohibition: [{ action: 'distribute' }] };

  test.each([
    ['no strategy', false, false],
    ['prohibit', false, true],
    ['perm', true, true],
  ])('must not be forbidden: with %s sharing is %j, reading %j', (strategy, share, read) => {
    const policy = agreement({ ...rules, ...new Map(strategies).get(strategy) });
    expect(by(policy, { action: 'ex:share' }, options).permit).toBe(share);
    expect(by(policy, { action: 'read' }, options).permit).toBe(read);
  });

  test('makes no conflict where it is not forbidden, and is not permitted by that', () => {
    const policy = agreement({ permission: rules.permission });
    expect(by(policy, { action: 'ex:share' }, options).permit).toBe(true);
    expect(by(policy, { action: 'distribute' }, options).permit).toBe(false);
  });
});

describe('rules that do not meet make no conflict', () => {
  const set = (permission: object, prohibition: object) => ({
    permission: [{ action: 'use', ...permission }],
    prohibition: [{ action: 'use', ...prohibition }],
  });
  const before = constraint('dateTime', 'lt', '2026-03-01T00:00:00Z');
  const from = constraint('dateTime', 'gteq', '2026-03-01T00:00:00Z');

  test('for two parties', () => {
    const policy = set({ assignee: CONSUMER }, { assignee: OTHER });
    expect(by(policy)).toMatchObject({ permit: true, void: false });
    expect(by(policy, { assignee: OTHER }).permit).toBe(false);
  });

  test('on two assets', () => {
    const policy = set({ target: 'urn:a' }, { target: 'urn:b' });
    expect(by(policy, { target: 'urn:a' })).toMatchObject({ permit: true, void: false });
    expect(by(policy, { target: 'urn:b' }).permit).toBe(false);
  });

  test('at two times', () => {
    expect(by(set({ constraint: from }, { constraint: before }))).toMatchObject({ permit: true, void: false });
    expect(by(set({ constraint: before }, { constraint: from })).permit).toBe(false);
    expect(by({ ...set({ constraint: from }, { constraint: from }) })).toMatchObject({ permit: false, void: true });
  });

  test('but a prohibition of which it is not known whether it applies does', () => {
    const unknown = { constraint: constraint('spatial', 'eq', 'urn:eu') };
    expect(by(set({}, unknown))).toMatchObject({ permit: false, void: true });
    expect(by({ ...set({}, unknown), conflict: 'perm' }).permit).toBe(true);
  });
});

test('a policy that is void from the beginning has that for a problem', () => {
  const problems = (policy: Record<string, unknown>) => problemsOf(parsePolicy(policy));
  const rules = { permission: [{ action: 'use' }], prohibition: [{ action: 'distribute' }] };
  expect(problems(agreement(rules))).toEqual([
    'The policy is void: it permits use and forbids distribute, and does not say which of the two wins.',
  ]);
  for (const conflict of ['perm', 'prohibit']) expect(problems(agreement({ ...rules, conflict }))).toEqual([]);
  // Only for some, at some time or for another asset: the permission is good for the rest.
  for (const narrow of [
    { constraint: constraint('purpose', 'eq', 'urn:p') },
    { assignee: OTHER },
    { target: 'urn:a' },
  ]) {
    expect(problems({ ...rules, prohibition: [{ action: 'distribute', ...narrow }] })).toEqual([]);
  }
});

test('a permission wins over nothing that is not understood', () => {
  const policy = agreement({
    permission: [{ action: 'use' }],
    prohibition: [{ action: 'urn:dance' }],
    conflict: 'perm',
  });
  expect(by(policy)).toMatchObject({ permit: false });
  expect(by(policy).reasons.join()).toMatch(/urn:dance is not known/);
});

test('one more prohibition never permits more, whatever the strategy', () => {
  const action = fc.constantFrom('use', 'play', 'sell', 'transfer');
  const rule = fc.record(
    {
      action,
      assignee: fc.constantFrom(CONSUMER, OTHER),
      target: fc.constantFrom('urn:a', 'urn:b'),
      constraint: fc.constantFrom(
        constraint('dateTime', 'lt', '2026-03-01T00:00:00Z'),
        constraint('dateTime', 'gt', '2026-03-01T00:00:00Z'),
        constraint('spatial', 'eq', 'urn:eu'),
        constraint('weather', 'eq', 'fine'),
      ),
    },
    { requiredKeys: ['action'] },
  );
  const rules = fc.array(rule, { maxLength: 3 });
  let permitted = 0;
  fc.assert(
    fc.property(
      rules,
      rules,
      rule,
      fc.constantFrom(...strategies.map(([, strategy]) => strategy)),
      action,
      (permission, prohibition, more, strategy, asked) => {
        const request = { action: asked, target: 'urn:a' };
        const after = by({ permission, prohibition: [...prohibition, more], ...strategy }, request);
        if (!after.permit) return;
        permitted += 1;
        expect(by({ permission, prohibition, ...strategy }, request).permit).toBe(true);
      },
    ),
    { numRuns: 500, seed: 3 },
  );
  expect(permitted).toBeGreaterThan(10);
});
