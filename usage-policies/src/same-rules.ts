import { canonicalForm } from './digest.ts';
import { isLogical, type Condition, type Constraint, type Policy, type Rule, type Unread } from './model.ts';
import { OPERANDS } from './operands/index.ts';
import { parsePolicy } from './parse.ts';
import { FREQUENCIES } from './parse-condition.ts';
import { ANY_ACTION, REFINEMENTS, timingOf } from './parse-rule.ts';
import { PolicyError } from './policy-error.ts';

/**
 * Do two policies, for instance an offer and the agreement made from it, contain the same rules?
 *
 * Compared are rules with their actions, refinements, constraints, duties and everything that is not understood,
 * profiles, conflict strategies, and terms beside the rules. Not compared are `@id`, `@type`, `@context`, target,
 * assigner, assignee and timestamp of the policy (where these say more than a name, they count), the spelling of
 * terms, empty lists, `@id` of rules, and the order of rules and constraints. A rule's own assignee, assigner or
 * target counts, unless it repeats the policy's.
 *
 * Errs to the side of false: two moments written in two time zones differ, and so does whatever cannot be read.
 */
export function sameRules(a: unknown, b: unknown): boolean {
  try {
    return normalText(a) === normalText(b);
  } catch (error) {
    if (error instanceof PolicyError) return false;
    throw error;
  }
}

/** Normal forms of the policies that were compared last, by their text: of one offer come many agreements. */
const known = new Map<string, string>();
const MOST_KNOWN = 256;
const LONGEST_KNOWN = 8_192;

/** @throws PolicyError */
function normalText(policy: unknown): string {
  const text = textOf(policy);
  const earlier = text === undefined ? undefined : known.get(text);
  if (earlier !== undefined) return earlier;
  const normal = canonicalForm(normalRules(parsePolicy(policy)));
  if (text !== undefined && text.length <= LONGEST_KNOWN && normal.length <= LONGEST_KNOWN) {
    if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value!);
    known.set(text, normal);
  }
  return normal;
}

/** The text of a policy without what makes each agreement another one and is not compared: a fresh id, and a moment. */
function textOf(policy: unknown): string | undefined {
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) return undefined;
  const { '@id': id, timestamp, ...rest } = policy as Record<string, unknown>;
  const fresh = (value: unknown, form: RegExp): unknown =>
    typeof value === 'string' && form.test(value) ? undefined : value;
  return JSON.stringify({ ...rest, '@id': fresh(id, FRESH_ID), timestamp: fresh(timestamp, MOMENT) });
}
const FRESH_ID = /^urn:uuid:[0-9a-f-]{36}$/;
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** The rules of a policy in their one normal form: an ODRL Set that reads as the same rules again. */
export function normalRules(policy: Policy): Record<string, unknown> {
  return rulesOf(policy, false);
}

/**
 * The whole policy in its one normal form: atomic, without what it inherits from or refers to, terms by their short
 * names. Reads as the same policy again, and is decided by as it is.
 */
export function normalPolicy(policy: Policy): Record<string, unknown> {
  return {
    ...(policy.id === '' ? {} : { '@id': policy.id }),
    '@type': policy.type,
    ...relations(policy),
    ...rulesOf(policy, true),
  };
}

function rulesOf(policy: Policy, ids: boolean): Record<string, unknown> {
  const rules = (of: readonly Rule[]) => sorted(of.map((rule) => normalRule(rule, ids)));
  return {
    ...left([...policy.annotations, ...policy.unread]),
    ...list('profile', [...policy.profiles].sort()),
    ...list('conflict', [...policy.conflicts].sort()),
    ...list('permission', rules(policy.permissions)),
    ...list('prohibition', rules(policy.prohibitions)),
    ...list('obligation', rules(policy.obligations)),
  };
}

function relations({ assigner, assignee, target }: Pick<Policy, 'assigner' | 'assignee' | 'target'>) {
  return {
    ...(assigner === undefined ? {} : { assigner }),
    ...(assignee === undefined ? {} : { assignee }),
    ...(target === undefined ? {} : { target }),
  };
}

function normalRule(rule: Rule, ids: boolean): Record<string, unknown> {
  const unreadAs = (wanted: string) => rule.unread.filter(({ term }) => term === wanted).map(({ value }) => value);
  const conditions = (of: readonly Condition[], term: string) =>
    sorted([...of.map((condition) => normalCondition(condition, ids)), ...unreadAs(term)]);
  const collection = (name: string | undefined, of: readonly Condition[], term: string) => {
    const refinement = conditions(of, term);
    return name === undefined || refinement.length === 0 ? name : { source: name, refinement };
  };
  const refinement = conditions(rule.actionRefinements, REFINEMENTS.action);
  const target = collection(rule.target, rule.targetRefinements, REFINEMENTS.target);
  const assignee = collection(rule.assignee, rule.assigneeRefinements, REFINEMENTS.assignee);
  const inner = (of: readonly Rule[]) => sorted(of.map((each) => normalRule(each, ids)));
  const conditional = new Set<string>(['constraint', ...Object.values(REFINEMENTS)]);
  return {
    ...(ids && rule.id !== undefined ? { '@id': rule.id } : {}),
    ...(rule.action === ANY_ACTION
      ? {}
      : { action: refinement.length === 0 ? rule.action : { 'rdf:value': { '@id': rule.action }, refinement } }),
    ...(target === undefined ? {} : { target }),
    ...(rule.assigner === undefined ? {} : { assigner: rule.assigner }),
    ...(assignee === undefined ? {} : { assignee }),
    ...rule.parties,
    ...list('constraint', conditions(rule.constraints, 'constraint')),
    ...list('duty', inner(rule.duties.filter(isPlainDuty))),
    ...list('ids:preDuty', inner(rule.duties.filter((duty) => !isPlainDuty(duty) && duty.timing === 'before'))),
    ...list('ids:postDuty', inner(rule.duties.filter((duty) => !isPlainDuty(duty) && duty.timing === 'after'))),
    ...list('consequence', inner(rule.consequences)),
    ...list('remedy', inner(rule.remedies)),
    ...left(rule.unread.filter(({ term }) => !conditional.has(term))),
  };
}

/** A duty that is due when its action and its conditions say so themselves. */
function isPlainDuty(duty: Rule): boolean {
  return duty.timing === timingOf(duty.action, [...duty.constraints, ...duty.actionRefinements]);
}

function normalCondition(condition: Condition, ids: boolean): Record<string, unknown> {
  const id = ids && condition.id !== undefined ? { '@id': condition.id } : {};
  if (!isLogical(condition)) return { ...id, ...normalConstraint(condition) };
  const operands = condition.operands.map((operand) => normalCondition(operand, ids));
  if (condition.logical === 'andSequence') return { ...id, andSequence: { '@list': operands } };
  return { ...id, [condition.logical]: sorted(operands) };
}

function normalConstraint(constraint: Constraint): Record<string, unknown> {
  const { leftOperand, operator, rightOperand, references, unit, status, frequency, unread } = constraint;
  const unordered = OPERANDS.get(leftOperand)?.unordered === true && Array.isArray(rightOperand);
  const often = Object.entries(FREQUENCIES).find(([, period]) => period === frequency);
  return {
    leftOperand,
    operator,
    ...(references === undefined || rightOperand !== null
      ? { rightOperand: unordered ? sorted(rightOperand) : rightOperand }
      : {}),
    ...(references === undefined ? {} : list('rightOperandReference', references)),
    ...(unit === undefined ? {} : { unit }),
    ...(status === undefined ? {} : { status }),
    ...(often === undefined ? {} : { 'ids:frequency': often[0] }),
    ...left(unread),
  };
}

/** What was not read, where it stood: of a list each item that was not. */
function left(unread: readonly Unread[]): Record<string, unknown> {
  const byTerm = Map.groupBy(unread, ({ term }) => term);
  return Object.fromEntries(
    [...byTerm].map(([term, all]) => [term, all.length === 1 ? all[0]?.value : all.map(({ value }) => value)]),
  );
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
