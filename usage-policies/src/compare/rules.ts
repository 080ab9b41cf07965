import { compile, type CompiledPolicy, type Grant } from '../compile.ts';
import { canonicalForm } from '../digest.ts';
import { FOEDUS, isLogical, type Condition, type Policy, type Rule } from '../model.ts';
import type { PolicyOptions } from '../options.ts';
import { impliesCondition } from './conditions.ts';
import { grantsNoMore } from './grants.ts';

/** A rule, its policy, and what the engine makes of it. */
export interface PlacedRule {
  readonly rule: Rule;
  readonly policy: Policy;
  /** Canonical name of its action. */
  readonly action: string;
  readonly actions: CompiledPolicy['actions'];
  /** What the rule lets out of the data set; of permissions. */
  readonly grant: Grant;
  /** Nothing can be proven about a rule that cannot be checked. */
  readonly checked: boolean;
}

export interface PlacedPolicy {
  readonly policy: Policy;
  readonly permissions: readonly PlacedRule[];
  readonly prohibitions: readonly PlacedRule[];
  readonly strategy: CompiledPolicy['strategy'];
  /** Permissions and prohibitions of related actions, by place. */
  readonly contradictions: CompiledPolicy['conflicts'];
}

export function place(policy: Policy, options: PolicyOptions): PlacedPolicy {
  const compiled = compile(policy, options);
  const understood = compiled.problems.length === 0;
  const placed = (kind: 'permissions' | 'prohibitions'): PlacedRule[] =>
    policy[kind].map((rule, index) => {
      const made = compiled[kind][index];
      if (made === undefined) throw new Error('a rule was not compiled');
      const action = compiled.actions.resolve(rule.action);
      const checked = understood && made.problems.length === 0 && action !== undefined;
      return { rule, policy, action: action ?? rule.action, actions: compiled.actions, grant: made.grant, checked };
    });
  return {
    policy,
    permissions: placed('permissions'),
    prohibitions: placed('prohibitions'),
    strategy: compiled.strategy,
    contradictions: compiled.conflicts,
  };
}

/** The rule without its own name, for comparison to the letter. */
export function ruleForm(rule: Rule): string {
  return canonicalForm(withoutIds(rule));
}

function withoutIds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutIds);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'id')
      .map(([key, part]) => [key, key === 'rightOperand' || key === 'value' ? part : withoutIds(part)]),
  );
}

/**
 * Whether permission `a` grants nothing that permission `b` does not grant: proven, whatever the request and the
 * state. Both are weighed by the same state; what an agreement was charged counts against both alike, and a history
 * that names rules is taken to name those that correspond.
 */
export function permitsNoMore(a: PlacedRule, b: PlacedRule): boolean {
  return (
    a.checked &&
    b.checked &&
    b.actions.grants(b.action, a.action) &&
    scopeWithin(a, b) &&
    (sameHistory(a, b) || !b.rule.constraints.some(countsHistory)) &&
    b.rule.constraints.filter((each) => !cuts(each)).every((each) => impliesCondition(a.rule.constraints, each)) &&
    leavesNoMore(a, b)
  );
}

/** As permitsNoMore, of what leaves and what has to be done for it, should both be active. */
export function leavesNoMore(a: PlacedRule, b: PlacedRule): boolean {
  return (
    a.checked &&
    b.checked &&
    grantsNoMore(a.grant, b.grant) &&
    includesDuties(a.rule.duties, b.rule.duties) &&
    (b.rule.duties.length === 0 || sameHistory(a, b))
  );
}

/** Whether prohibition `a` forbids whatever prohibition `b` forbids. */
export function forbidsAsMuch(a: PlacedRule, b: PlacedRule): boolean {
  return (
    a.checked &&
    b.checked &&
    a.actions.includes(a.action, b.action) &&
    scopeWithin(b, a) &&
    (sameHistory(a, b) || !a.rule.constraints.some(countsHistory)) &&
    a.rule.constraints.every((each) => impliesCondition(b.rule.constraints, each)) &&
    includesDuties(a.rule.remedies, b.rule.remedies)
  );
}

/** Whether all duties of `inner` are among those of `outer`, to the letter. */
export function includesDuties(outer: readonly Rule[], inner: readonly Rule[]): boolean {
  const there = new Set(outer.map(ruleForm));
  return inner.every((duty) => there.has(ruleForm(duty)));
}

/** Whether every use that `a` is about is one that `b` is about, the action aside: asset and parties, refined. */
export function scopeWithin(a: PlacedRule, b: PlacedRule): boolean {
  const refined = (['actionRefinements', 'targetRefinements', 'assigneeRefinements'] as const).every((each) =>
    b.rule[each].every((condition) => impliesCondition(a.rule[each], condition)),
  );
  const parties = Object.entries(b.rule.parties).every(([role, party]) => a.rule.parties[role] === party);
  return (
    refined &&
    parties &&
    within(a.rule.assignee ?? a.policy.assignee, b.rule.assignee ?? b.policy.assignee) &&
    withinTarget(a, b) &&
    within(a.rule.assigner, b.rule.assigner)
  );
}

/** One party or asset, or no limit at all. Membership in collections is not known here. */
function within(a: string | undefined, b: string | undefined): boolean {
  return b === undefined || a === b;
}

/** A published offer names no asset, the agreement made of it does: what only one side says is taken as meant. */
function withinTarget(a: PlacedRule, b: PlacedRule): boolean {
  if (a.rule.target === undefined && b.rule.target === undefined) {
    return a.policy.target === undefined || b.policy.target === undefined || a.policy.target === b.policy.target;
  }
  return within(a.rule.target ?? a.policy.target, b.rule.target ?? b.policy.target);
}

/** Whether the same events count for both: those of a narrower rule would be fewer. */
function sameHistory(a: PlacedRule, b: PlacedRule): boolean {
  return a.action === b.action && a.rule.target === b.rule.target && a.rule.assignee === b.rule.assignee;
}

/** Operands whose value is made of earlier uses under the rule. */
const HISTORICAL: ReadonlySet<string> = new Set(['count', 'elapsedTime', 'meteredTime', 'timeInterval', 'delayPeriod']);

function countsHistory(condition: Condition): boolean {
  return isLogical(condition) ? condition.operands.some(countsHistory) : HISTORICAL.has(condition.leftOperand);
}

/** Whether one use may be of both rules' action. Of a rule that cannot be checked nothing is excluded. */
export function mayMeet(a: PlacedRule, b: PlacedRule): boolean {
  if (!a.checked || !b.checked) return true;
  const implied = [...a.actions.impliedBy(a.action), ...b.actions.impliedBy(b.action)];
  return implied.length > 0 || a.actions.includes(a.action, b.action) || a.actions.includes(b.action, a.action);
}

/** Conditions on what leaves, compared as grants. */
const CUTS: ReadonlySet<string> = new Set(
  'columns rowFilter masks minimumGroupSize aggregates rowLimit byteLimit sampling'
    .split(' ')
    .map((name) => FOEDUS + name),
);

function cuts(condition: Condition): boolean {
  return !isLogical(condition) && CUTS.has(condition.leftOperand);
}
