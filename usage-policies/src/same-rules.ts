import { canonicalForm } from './digest.ts';
import { isLogical, type Constraint, type Policy, type Rule, type Unread } from './model.ts';
import { OPERANDS } from './operands/index.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';

/**
 * Do two policies, for instance an offer and the agreement made from it, contain the same rules?
 *
 * Compared are rules with their actions, constraints and everything that is not understood, profiles, and terms
 * beside the rules. Not compared are `@id`, `@type`, `@context`, target, assigner, assignee and timestamp of the
 * policy (where these say more than a name, they count), the spelling of terms, empty lists of rules or constraints, and the order of rules and constraints. A rule's
 * own assignee, assigner or target counts, unless it repeats the policy's.
 *
 * Errs to the side of false: two moments written in two time zones differ, and so does whatever cannot be read.
 */
export function sameRules(a: unknown, b: unknown): boolean {
  try {
    return canonicalForm(normalRules(parsePolicy(a))) === canonicalForm(normalRules(parsePolicy(b)));
  } catch (error) {
    if (error instanceof PolicyError) return false;
    throw error;
  }
}

/** The rules of a policy in their one normal form: an ODRL Set that reads as the same rules again. */
export function normalRules(policy: Policy): Record<string, unknown> {
  return {
    ...left([...policy.annotations, ...policy.unread]),
    ...list('profile', [...policy.profiles].sort()),
    ...list('permission', sorted(policy.permissions.map(normalRule))),
    ...list('prohibition', sorted(policy.prohibitions.map(normalRule))),
  };
}

function normalRule(rule: Rule): Record<string, unknown> {
  const constraints = [
    ...rule.constraints.filter((each) => !isLogical(each)).map(normalConstraint),
    ...rule.unread.filter(({ term }) => term === 'constraint').map(({ value }) => value),
  ];
  return {
    action: rule.action,
    ...(rule.assignee === undefined ? {} : { assignee: rule.assignee }),
    ...list('constraint', sorted(constraints)),
    ...left(rule.unread.filter(({ term }) => term !== 'constraint')),
  };
}

function normalConstraint({ leftOperand, operator, rightOperand, unread }: Constraint): Record<string, unknown> {
  const unordered = OPERANDS.get(leftOperand)?.unordered === true && Array.isArray(rightOperand);
  return {
    leftOperand,
    operator,
    rightOperand: unordered ? sorted(rightOperand) : rightOperand,
    ...left(unread),
  };
}

function left(unread: readonly Unread[]): Record<string, unknown> {
  return Object.fromEntries(unread.map(({ term, value }) => [term, value]));
}

function list(name: string, items: readonly unknown[]): Record<string, unknown> {
  return items.length === 0 ? {} : { [name]: items };
}

function sorted(items: readonly unknown[]): unknown[] {
  return items
    .map((item) => ({ item, key: canonicalForm(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ item }) => item);
}
