import { describe, expect, test } from 'vitest';
import { agreement, constraint, nothingSpent, ours, permission, useRequest } from './agreement.fixture.ts';
import { compile, limitsOf, problemsOf } from './compile.ts';
import { decide } from './decide.ts';
import type { Policy } from './model.ts';
import { parsePolicy } from './parse.ts';
import { TRAIN } from './terms.ts';

function limits(rules: Record<string, unknown>, action: string) {
  return limitsOf(compile(parsePolicy(agreement(rules))), action);
}

describe('the limits of an action', () => {
  test('are those of its permission', () => {
    const rules = {
      permission: [
        permission('use', constraint('count', 'lteq', '5')),
        permission(TRAIN, ours('rounds', 'lteq', '20'), ours('privacyBudget', 'lteq', { epsilon: '4', delta: '1e-5' })),
      ],
    };
    expect(limits(rules, 'use')).toMatchObject({ uses: 5, rounds: null, epsilon: null, delta: null });
    expect(limits(rules, 'odrl:use').uses).toBe(5);
    expect(limits(rules, TRAIN)).toMatchObject({ uses: null, rounds: 20, epsilon: 4, delta: 1e-5 });
  });

  test('are the strictest where one permission sets several', () => {
    const counts = [constraint('count', 'lteq', '5'), constraint('count', 'lt', '4')];
    expect(limits({ permission: [permission('use', ...counts)] }, 'use').uses).toBe(3);
    const budgets = [
      ours('privacyBudget', 'lteq', { epsilon: 4, delta: 1e-6 }),
      ours('privacyBudget', 'lteq', { epsilon: 2, delta: 1e-5 }),
    ];
    expect(limits({ permission: [permission(TRAIN, ...budgets)] }, TRAIN)).toMatchObject({ epsilon: 2, delta: 1e-6 });
  });

  test('are those of the most generous of several permissions', () => {
    const five = permission('use', constraint('count', 'lteq', '5'));
    const nine = permission('use', constraint('count', 'lteq', '9'));
    expect(limits({ permission: [five, nine] }, 'use').uses).toBe(9);
    expect(limits({ permission: [five, permission('use')] }, 'use').uses).toBeNull();
  });

  test('are zero where nothing permits the action', () => {
    const none = { uses: 0, rounds: 0, epsilon: 0, delta: null, rows: 0, bytes: 0 };
    expect(limits({ permission: [permission('use')] }, TRAIN)).toEqual(none);
    expect(limits({ permission: [{ action: 'use', duty: [{}] }] }, 'use')).toEqual(none);
    expect(limits({ permission: [permission('use')], obligation: [{}] }, 'use')).toEqual(none);
  });
});

test('the problems of a policy are listed, each once', () => {
  const rule = permission('use', constraint('weather', 'eq', 'fine'));
  const policy = parsePolicy(
    agreement({ permission: [rule, rule], prohibition: [{ action: 'urn:dance' }], obligation: [{}], 'ids:x': 1 }),
  );
  expect(problemsOf(policy)).toEqual([
    'The property ids:x of a policy is not supported.',
    'The obligation to do something cannot be checked: An obligation without an action is not supported.',
    'The operand weather is not known to this node.',
    'The action urn:dance is not known to this node.',
  ]);
});

test('a model that was not made by parsePolicy fails closed too', () => {
  const parsed = parsePolicy(agreement({ permission: [permission('use')] }));
  const [rule] = parsed.permissions;
  if (rule === undefined) throw new Error('the agreement has a permission');
  const permits = (change: Partial<typeof rule>): boolean => {
    const policy: Policy = { ...parsed, permissions: [{ ...rule, ...change }] };
    return decide(compile(policy), useRequest(), nothingSpent).permit;
  };
  expect(permits({})).toBe(true);
  const spatial = { leftOperand: 'spatial', operator: 'eq', rightOperand: 'urn:eu', unread: [] };
  expect(permits({ constraints: [spatial] })).toBe(false);
  expect(permits({ constraints: [{ ...spatial, leftOperand: 'count', operator: 'lteq' }] })).toBe(false);
  expect(permits({ unread: [{ term: 'duty', value: [{}] }] })).toBe(false);
  const unit = { leftOperand: 'count', operator: 'lteq', rightOperand: 9, unread: [{ term: 'unit', value: 'urn:x' }] };
  expect(permits({ constraints: [unit] })).toBe(false);
});
