import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, constraint, nothingSpent, useRequest } from './agreement.fixture.ts';
import { compile, problemsOf } from './compile.ts';
import { decide } from './decide.ts';
import { policyDigest } from './digest.ts';
import type { UsageRequest } from './model.ts';
import { parsePolicy } from './parse.ts';

type Policies = Record<string, Record<string, unknown>>;
const from = (policies: Policies) => ({ policies: (iri: string) => policies[iri] });
const read = (child: Record<string, unknown>, policies: Policies) => parsePolicy(child, from(policies));
const by = (child: Record<string, unknown>, policies: Policies, request: Partial<UsageRequest> = {}) =>
  decide(compile(read(child, policies), from(policies)), useRequest(request), nothingSpent);

describe('a policy that inherits', () => {
  const parent = {
    '@id': 'urn:default',
    assigner: 'urn:org-01',
    obligation: [{ target: 'urn:terms', action: 'reviewPolicy' }],
  };
  const child = {
    '@type': 'Agreement',
    '@id': 'urn:child',
    inheritFrom: 'urn:default',
    assignee: CONSUMER,
    permission: [{ target: 'urn:asset', action: 'display' }],
  };

  test('has the rules of its parent, and what either says for all rules', () => {
    const policy = read(child, { 'urn:default': parent });
    expect(problemsOf(policy)).toEqual([]);
    expect(policy).toMatchObject({
      id: 'urn:child',
      assigner: 'urn:org-01',
      assignee: CONSUMER,
      inheritsFrom: ['urn:default'],
      inheritedDigests: [policyDigest(parent)],
      permissions: [{ action: 'display', target: 'urn:asset' }],
      obligations: [{ action: 'reviewPolicy', target: 'urn:terms' }],
    });
    const decision = by(child, { 'urn:default': parent }, { action: 'display', target: 'urn:asset' });
    expect(decision).toMatchObject({ permit: true, duties: [{ kind: 'obligation', by: CONSUMER, state: 'not-set' }] });
    expect(decision.policyDigests).toEqual([policyDigest(child), policyDigest(parent)]);
  });

  test('permits what its parent permits, and forbids what its parent forbids', () => {
    const grants = { '@id': 'urn:default', permission: [{ action: 'use' }] };
    const forbids = { '@id': 'urn:other', prohibition: [{ action: 'sell' }] };
    const both = agreement({ inheritFrom: ['urn:default', 'urn:other'] });
    const policies = { 'urn:default': grants, 'urn:other': forbids };
    expect(by(both, policies).permit).toBe(true);
    expect(by(both, policies, { action: 'sell' }).reasons).toEqual(['The agreement forbids sell.']);
  });

  test('inherits to any depth, and from one ancestor once', () => {
    const policies = {
      'urn:a': { '@id': 'urn:a', inheritFrom: ['urn:b', 'urn:c'] },
      'urn:b': { '@id': 'urn:b', inheritFrom: 'urn:c' },
      'urn:c': { '@id': 'urn:c', permission: [{ action: 'use', constraint: constraint('purpose', 'eq', 'urn:p') }] },
    };
    const policy = read(agreement({ inheritFrom: 'urn:a' }), policies);
    expect(policy.permissions).toHaveLength(1);
    expect(policy.inheritsFrom).toEqual(['urn:a', 'urn:b', 'urn:c']);
  });

  test('is void where it conflicts with its parent, unless both name the same strategy', () => {
    const heir = (conflict: object) =>
      agreement({ inheritFrom: 'urn:p', permission: [{ action: 'use' }], ...conflict });
    const ancestor = (conflict: object) => ({
      'urn:p': { '@id': 'urn:p', prohibition: [{ action: 'use' }], ...conflict },
    });
    const perm = { conflict: 'perm' };
    expect(by(heir({}), ancestor({}))).toMatchObject({ permit: false, void: true });
    expect(by(heir(perm), ancestor(perm))).toMatchObject({ permit: true, void: false });
    expect(by(heir(perm), ancestor({ conflict: 'prohibit' }))).toMatchObject({ permit: false, void: true });
  });

  test('needs all profiles of its parent', () => {
    const policies = { 'urn:p': { '@id': 'urn:p', profile: 'urn:profile', permission: [{ action: 'use' }] } };
    const { permit, reasons } = by(agreement({ inheritFrom: 'urn:p' }), policies);
    expect(permit).toBe(false);
    expect(reasons).toEqual(['The profile urn:profile is not known to this node.']);
  });

  test('keeps what is not understood of its parent', () => {
    const policies = { 'urn:p': { '@id': 'urn:p', 'ids:x': 1, permission: [{ action: 'use' }] } };
    expect(by(agreement({ inheritFrom: 'urn:p' }), policies).reasons.join()).toMatch(/ids:x/);
  });

  test('permits nothing where a parent is not known: none is ever fetched', () => {
    const { permit, reasons } = by(
      agreement({ inheritFrom: 'https://x.example/p', permission: [{ action: 'use' }] }),
      {},
    );
    expect(permit).toBe(false);
    expect(reasons.join()).toMatch(/inheritFrom names https:\/\/x\.example\/p, a policy that is not known here/);
  });
});

describe('inheritance is refused', () => {
  test('in a circle', () => {
    const policies = {
      'urn:a': { '@id': 'urn:a', inheritFrom: 'urn:b' },
      'urn:b': { '@id': 'urn:b', inheritFrom: 'urn:a' },
    };
    expect(() => read(agreement({ inheritFrom: 'urn:a' }), policies)).toThrow(
      /inherits from itself: .*urn:a, urn:b, urn:a/,
    );
    const itself = { '@id': 'urn:self', inheritFrom: 'urn:self' };
    expect(() => read(itself, { 'urn:self': itself })).toThrow(/inherits from itself/);
  });

  test('from a policy that is another than it was given for', () => {
    expect(() => read(agreement({ inheritFrom: 'urn:a' }), { 'urn:a': { '@id': 'urn:b' } })).toThrow(/is urn:b/);
  });

  test('beyond the limit, also where every policy has two parents', () => {
    const policies: Policies = {};
    for (let at = 0; at < 20; at++) {
      policies[`urn:${at}`] = { '@id': `urn:${at}`, inheritFrom: [`urn:${at + 1}`, `urn:${at + 1}x`] };
      policies[`urn:${at}x`] = { '@id': `urn:${at}x`, inheritFrom: [`urn:${at + 1}`, `urn:${at + 1}x`] };
    }
    expect(() => read(agreement({ inheritFrom: 'urn:0' }), policies)).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });

  test('of more rules than a policy may have', () => {
    const many = (id: string) => ({ '@id': id, permission: Array.from({ length: 60 }, () => ({ action: 'use' })) });
    const policies = { 'urn:a': many('urn:a'), 'urn:b': many('urn:b') };
    expect(() => read(agreement({ inheritFrom: ['urn:a', 'urn:b'] }), policies)).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });
});
