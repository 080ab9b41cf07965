/** What a rule is about: which action, on which asset, by whom. */
import type { Actions } from './actions.ts';
import type { CompiledConditions } from './compile-condition.ts';
import { all, isPartOf } from './membership.ts';
import type { Rule, Truth, UsageEvent, UsageRequest, UsageState } from './model.ts';
import { spend, type Evaluation, type Lookup, type Test } from './operands/operand.ts';
import { ANY_ACTION } from './parse-rule.ts';

export interface Scope {
  readonly id: string | undefined;
  /** Canonical, or ANY_ACTION. */
  readonly action: string;
  readonly actionRefinements: readonly Test[];
  readonly assignee: string | undefined;
  readonly assigneeRefinements: readonly Test[];
  readonly target: string | undefined;
  readonly targetRefinements: readonly Test[];
  readonly actions: Actions;
  /** Whether the rule is about an action, canonical: a prohibition or duty on whatever its own action includes. */
  readonly covers: (action: string) => boolean;
}

export function createScope(
  rule: Rule,
  parts: {
    readonly action: string;
    readonly actionRefinements: CompiledConditions;
    readonly assigneeRefinements: CompiledConditions;
    readonly targetRefinements: CompiledConditions;
  },
  assignee: string | undefined,
  target: string | undefined,
  actions: Actions,
): Scope {
  const { action } = parts;
  const includes = rule.kind === 'permission' ? actions.grants : actions.includes;
  return {
    id: rule.id,
    action,
    covers: action === ANY_ACTION ? () => true : (other) => includes(action, other),
    actionRefinements: parts.actionRefinements.tests,
    assignee,
    assigneeRefinements: parts.assigneeRefinements.tests,
    target,
    targetRefinements: parts.targetRefinements.tests,
    actions,
  };
}

/** Every one of several tests. */
export function truthOf(
  tests: readonly Test[],
  request: UsageRequest,
  state: UsageState,
  evaluation: Evaluation,
): Truth {
  if (tests.length === 0) return 'holds';
  spend(evaluation, tests.length);
  return all(tests.map((test) => test(request, state, evaluation).outcome));
}

/** Whether who asks is meant. */
export function assigneeTruth(scope: Scope, request: UsageRequest, state: UsageState, evaluation: Evaluation): Truth {
  if (scope.assignee === undefined) return 'holds';
  return memberTruth(request.assignee, scope.assignee, scope.assigneeRefinements, request, state, evaluation);
}

/**
 * Whether the asset is meant.
 *
 * @param asked the asset of the request; undefined where neither request nor policy name one
 */
export function targetTruth(
  scope: Scope,
  asked: string | undefined,
  request: UsageRequest,
  state: UsageState,
  evaluation: Evaluation,
): Truth {
  if (scope.target === undefined) return 'holds';
  if (asked === undefined) return 'unknown';
  return memberTruth(asked, scope.target, scope.targetRefinements, request, state, evaluation);
}

/** A collection means each of its members that fulfils the refinements (ODRL 2.2 sections 2.5.5 and 2.5.6). */
function memberTruth(
  member: string,
  whole: string,
  refinements: readonly Test[],
  request: UsageRequest,
  state: UsageState,
  evaluation: Evaluation,
): Truth {
  const part = member === whole ? 'holds' : isPartOf(member, whole, state, evaluation, 'fails');
  if (refinements.length === 0 || part === 'fails') return part;
  const described = Object.hasOwn(state.descriptions ?? {}, member) ? state.descriptions?.[member] : undefined;
  const { purpose: _, ...rest } = request;
  return truthOf(refinements, { ...rest, values: described ?? {} }, state, evaluation);
}

/**
 * The events that a rule's own action counts: by who asks, on the rule's asset, up to now.
 *
 * @param owed canonical actions that the policy asks of somebody. ODRL includes compensate, attribute, delete and the
 *   like in `use`, but who does what a duty asks for does not use by that.
 */
export function createLookup(scope: Scope, owed: ReadonlySet<string>): Lookup {
  return (request, state, evaluation) => {
    const { history } = state;
    if (history === undefined) return undefined;
    spend(evaluation, history.length);
    return history.filter((event) => isExercise(event, scope, owed, request, state, evaluation));
  };
}

function isExercise(
  event: UsageEvent,
  scope: Scope,
  owed: ReadonlySet<string>,
  request: UsageRequest,
  state: UsageState,
  evaluation: Evaluation,
): boolean {
  if (event.at.getTime() > evaluation.now || event.by !== request.assignee) return false;
  if (event.rule !== undefined && scope.id !== undefined && event.rule !== scope.id) return false;
  const action = scope.actions.resolve(event.action);
  if (action === undefined || !scope.covers(action) || (owed.has(action) && action !== scope.action)) return false;
  const on = scope.target ?? request.target;
  return (
    event.target === undefined || on === undefined || isPartOf(event.target, on, state, evaluation, 'fails') === 'holds'
  );
}
