/** Weighs one rule against a request: is it about it, and is it active? */
import type { CompiledRule } from './compile.ts';
import { asRequest, lets, reportDuty, type DutyContext } from './duties.ts';
import type {
  DutyReport,
  Infringement,
  Premises,
  RuleReport,
  Truth,
  UsageEvent,
  UsageRequest,
  UsageState,
} from './model.ts';
import { spend, type Evaluation, type Lookup, type Verdict } from './operands/operand.ts';
import type { DutyMode } from './options.ts';
import { assigneeTruth, targetTruth, truthOf } from './scope.ts';
import { nounOf } from './terms.ts';
import { shown } from './wording.ts';

/** A request as it is weighed. */
export interface Weighing {
  readonly request: UsageRequest;
  /** Canonical. */
  readonly action: string | undefined;
  /** The asset of the request, or else of the policy. */
  readonly target: string | undefined;
  readonly state: UsageState;
  readonly evaluation: Evaluation;
  readonly mode: DutyMode;
}

export interface WeighedRule {
  readonly rule: CompiledRule;
  readonly report: RuleReport;
  /** Whether the rule is about the action of the request. */
  readonly about: boolean;
  /** Whether it binds this party and this asset now, whatever the action: what conflicts are found by. */
  readonly inForce: boolean;
  /** Nothing but spent meters is in the way. */
  readonly exhausted: boolean;
  readonly duties: readonly DutyReport[];
}

type Obstacle = Exclude<Verdict, { outcome: 'holds' }>;

/** The conditions of a rule that do not hold. */
function obstaclesOf(rule: CompiledRule, { request, state, evaluation }: Weighing): Obstacle[] {
  const obstacles: Obstacle[] = [];
  spend(evaluation, 1 + rule.tests.length);
  evaluation.exercised = rule.exercised;
  evaluation.started = rule.exercised;
  for (const test of rule.tests) {
    const verdict = test(request, state, evaluation);
    if (verdict.outcome !== 'holds') obstacles.push(verdict);
  }
  return obstacles;
}

function worst(obstacles: readonly Obstacle[]): Truth {
  if (obstacles.length === 0) return 'holds';
  return obstacles.some(({ outcome }) => outcome === 'fails') ? 'fails' : 'unknown';
}

export function weighPermission(rule: CompiledRule, weighing: Weighing): WeighedRule {
  const { request, action, target, state, evaluation, mode } = weighing;
  const { scope, problems } = rule;
  const obstacles = obstaclesOf(rule, weighing);
  const covered = action !== undefined && scope.covers(action);
  const refined = truthOf(scope.actionRefinements, request, state, evaluation);
  const assignee = assigneeTruth(scope, request, state, evaluation);
  const asset = targetTruth(scope, target, request, state, evaluation);
  const constraints = worst(obstacles);
  const understood = problems.length === 0;
  const concerned = covered && assignee === 'holds' && asset === 'holds';
  const duties = concerned && understood && rule.duties.length > 0 ? dutiesOf(rule, weighing) : NO_DUTIES;
  const open = duties.filter(({ kind, state: standing, timing }) => kind === 'duty' && !lets(standing, timing, mode));
  const premises: Premises = {
    action: covered ? refined : 'fails',
    assignee,
    target: asset,
    constraints,
    duties: open.length === 0 ? 'holds' : 'fails',
  };

  const reasons = [...problems];
  if (!covered && understood)
    reasons.push(`The permission is for ${nounOf(rule.action)}, not for ${nounOf(request.action)}.`);
  if (assignee !== 'holds') reasons.push(otherParty(rule, request, assignee));
  if (asset !== 'holds') reasons.push(otherTarget('permission', rule, target));
  const beside = reasons.length;
  // Conditions of a permission for something else would report what nobody asked.
  if (covered) {
    for (const { reason } of obstacles) reasons.push(reason);
    if (refined !== 'holds')
      reasons.push(`The permission is for ${nounOf(rule.action)} in a narrower sense: ${rule.words.join('; ')}.`);
    for (const { reason } of open) reasons.push(reason);
  }
  const active = covered && reasons.length === 0;
  if (reasons.length === 0) reasons.push(rule.sentence);
  return {
    rule,
    report: reportOf(rule, 'permission', active, premises, reasons, undefined),
    about: covered,
    inForce: understood && assignee === 'holds' && asset === 'holds' && constraints === 'holds' && refined === 'holds',
    exhausted:
      covered &&
      !active &&
      beside === 0 &&
      refined === 'holds' &&
      open.length === 0 &&
      obstacles.every((obstacle) => obstacle.outcome === 'fails' && obstacle.spent === true),
    duties,
  };
}

/** Properties are set, not spread: this is done for every rule of every decision. */
function reportOf(
  { id, action }: CompiledRule,
  kind: RuleReport['kind'],
  active: boolean,
  premises: Premises,
  reasons: readonly string[],
  infringement: Infringement | undefined,
): RuleReport {
  const report: { -readonly [Key in keyof RuleReport]: RuleReport[Key] } = { kind, action, active, premises, reasons };
  if (id !== undefined) report.id = id;
  if (infringement !== undefined) report.infringement = infringement;
  return report;
}

const NO_DUTIES: readonly DutyReport[] = [];

function dutiesOf(rule: CompiledRule, { request, target, state, evaluation, mode }: Weighing): DutyReport[] {
  const context: DutyContext = {
    request,
    state,
    evaluation,
    mode,
    target: rule.scope.target ?? target,
    uses: rule.exercised(request, state, evaluation),
    started: rule.exercised,
  };
  return rule.duties.flatMap((duty) => reportDuty(duty, context));
}

function otherParty(rule: CompiledRule, request: UsageRequest, truth: Truth): string {
  const { assignee = '', assigneeRefinements } = rule.scope;
  if (truth === 'unknown')
    return `It is not known whether ${shown(request.assignee)} is one of those in ${shown(assignee)} that are meant.`;
  const meant = assigneeRefinements.length > 0 ? 'some of ' : '';
  return `The agreement is with ${meant}${shown(assignee)}, not with ${shown(request.assignee)}.`;
}

function otherTarget(kind: string, rule: CompiledRule, target: string | undefined): string {
  const { target: meant = '' } = rule.scope;
  if (target === undefined)
    return `The request does not say which asset it is about; the ${kind} is for ${shown(meant)}.`;
  return `The ${kind} is for ${shown(meant)}, not for ${shown(target)}.`;
}

export function weighProhibition(rule: CompiledRule, weighing: Weighing): WeighedRule {
  const { request, action, target, state, evaluation } = weighing;
  const { scope, problems } = rule;
  const obstacles = obstaclesOf(rule, weighing);
  const covered = action !== undefined && (scope.covers(action) || forbidsImplied(rule, action));
  const refined = truthOf(scope.actionRefinements, request, state, evaluation);
  const assignee = assigneeTruth(scope, request, state, evaluation);
  const asset = targetTruth(scope, target, request, state, evaluation);
  const constraints = worst(obstacles);
  const premises: Premises = {
    action: covered ? refined : 'fails',
    assignee,
    target: asset,
    constraints,
    duties: 'holds',
  };
  const binds = assignee !== 'fails' && asset !== 'fails' && constraints !== 'fails' && refined !== 'fails';
  const understood = problems.length === 0;
  const infringed = understood && assignee === 'holds' ? infringementOf(rule, weighing) : undefined;
  const reasons = understood
    ? reasonsOfProhibition(rule, weighing, premises, covered, obstacles)
    : problems.map((problem) => `A prohibition cannot be checked, so it forbids: ${problem}`);
  return {
    rule,
    report: reportOf(rule, 'prohibition', !understood || (covered && binds), premises, reasons, infringed?.state),
    about: covered,
    inForce: understood && binds,
    exhausted: false,
    duties: infringed?.remedies ?? NO_DUTIES,
  };
}

/** What an action implies must not be forbidden: where it is, the action is too (ODRL 2.2 section 2.4). */
function forbidsImplied({ scope }: CompiledRule, action: string): boolean {
  return scope.actions.impliedBy(action).some(scope.covers);
}

function reasonsOfProhibition(
  rule: CompiledRule,
  { request, target }: Weighing,
  premises: Premises,
  covered: boolean,
  obstacles: readonly Obstacle[],
): string[] {
  if (!covered) return [`The prohibition is of ${nounOf(rule.action)}.`];
  if (premises.assignee === 'fails') return [`The prohibition is for ${shown(rule.assignee ?? '')}.`];
  if (premises.target === 'fails') return [otherTarget('prohibition', rule, target)];
  if (premises.constraints === 'fails' || premises.action === 'fails') {
    const when = rule.words.length === 0 ? '' : ` when ${rule.words.join('; ')}`;
    return [`The prohibition does not apply: it holds only${when}.`];
  }
  const reasons = [rule.sentence];
  if (premises.assignee === 'unknown') reasons.push(otherParty(rule, request, 'unknown'));
  if (premises.target === 'unknown') reasons.push(otherTarget('prohibition', rule, target));
  for (const { reason } of obstacles) reasons.push(reason);
  return reasons;
}

/**
 * Whether who asks has done what is prohibited, and whether all remedies are fulfilled since (ODRL 2.2 section 2.6.7).
 * It changes no decision: it is what the assigner has to know.
 */
function infringementOf(
  rule: CompiledRule,
  { request, target, state, evaluation, mode }: Weighing,
): { state: Infringement; remedies: readonly DutyReport[] } | undefined {
  const events = rule.exercised(request, state, evaluation) ?? [];
  let since: number | undefined;
  for (const event of events) {
    if (!against(event, rule, state, evaluation)) continue;
    since = since === undefined ? event.at.getTime() : Math.max(since, event.at.getTime());
  }
  if (since === undefined) return undefined;
  const from = since;
  const later = { ...state, history: (state.history ?? []).filter(({ at }) => at.getTime() >= from) };
  const context = {
    request,
    state: later,
    evaluation,
    mode,
    target: rule.scope.target ?? target,
    uses: undefined,
    started: always(events),
  };
  const remedies = rule.remedies.flatMap((remedy) => reportDuty(remedy, context));
  const remedied = remedies.length > 0 && remedies.every(({ state: standing }) => standing === 'fulfilled');
  return { state: remedied ? 'remedied' : 'infringed', remedies };
}

const always =
  (events: readonly UsageEvent[]): Lookup =>
  () =>
    events;

/** Whether the prohibition was in force when something was done. */
function against(event: UsageEvent, rule: CompiledRule, state: UsageState, evaluation: Evaluation): boolean {
  evaluation.exercised = rule.exercised;
  evaluation.started = rule.exercised;
  const asked = asRequest(event);
  return (
    truthOf(rule.tests, asked, state, evaluation) === 'holds' &&
    truthOf(rule.scope.actionRefinements, asked, state, evaluation) === 'holds'
  );
}
