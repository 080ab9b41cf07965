import type { CompiledPolicy, CompiledRule } from './compile.ts';
import { describeMask } from './masks.ts';
import type { Charge, Decision, Mask, Plan, Premises, RuleReport, UsageRequest, UsageState } from './model.ts';
import { describeRowFilter } from './row-filter.ts';
import type { Verdict } from './operands/operand.ts';
import { ACCESS, KNOWN_ACTIONS, TRAIN, USE, normaliseTerm } from './terms.ts';
import { listed, shown, shownEpsilon } from './wording.ts';

/**
 * Decides one use. Pure: the same policy, request and state give the same decision.
 *
 * - Only an Agreement (or a Set) grants; an Offer permits nothing.
 * - One permission must grant the whole request: the first active one, in the policy's order. Grants of several
 *   permissions are never put together.
 * - An active prohibition wins over every permission.
 * - What is not understood never permits: unknown terms make a permission inactive and a prohibition active.
 */
export function decide(compiled: CompiledPolicy, asked: UsageRequest, state: UsageState): Decision {
  const request: UsageRequest = { ...asked, action: normaliseTerm(asked.action) };
  const deny = (reasons: readonly string[], rules: readonly RuleReport[], exhausted = false): Decision => ({
    permit: false,
    exhausted,
    void: false,
    rules,
    reasons,
    plan: null,
    charges: [],
    duties: [],
    policyDigest: compiled.digest,
  });

  const malformed = [...malformedRequest(request), ...malformedState(state)];
  if (malformed.length > 0) return deny(malformed, []);

  const prohibitions = compiled.prohibitions.map((rule) => weighProhibition(rule, request, state));
  const permissions = compiled.permissions.map((rule) => weighPermission(rule, request, state));
  const rules = [...permissions.map(({ report }) => report), ...prohibitions];

  const obstacles = [...compiled.problems];
  if (compiled.type === 'Offer') obstacles.push('An offer permits nothing: it has to become an agreement first.');
  if (!KNOWN_ACTIONS.includes(request.action)) {
    obstacles.push(`The action ${shown(request.action)} is not known to this node; it knows ${listed(KNOWN_ACTIONS)}.`);
  }
  const forbidding = prohibitions.filter(({ active }) => active);
  obstacles.push(...forbidding.flatMap(({ reasons }) => reasons));
  if (obstacles.length > 0) return deny([...new Set(obstacles)], rules);

  const chosen = permissions.find(({ report }) => report.active);
  if (chosen !== undefined) {
    const plan = planOf(chosen.rule, request);
    const charges = chargesOf(chosen.rule, request);
    return {
      permit: true,
      exhausted: false,
      void: false,
      rules,
      reasons: grantedReasons(request, plan, charges, state),
      plan,
      charges,
      duties: [],
      policyDigest: compiled.digest,
    };
  }
  const candidates = permissions.filter(({ rule }) => rule.action === request.action);
  if (candidates.length === 0) return deny([`The agreement gives no permission for ${noun(request.action)}.`], rules);
  const reasons = candidates.flatMap(({ report }, index) =>
    candidates.length === 1 ? report.reasons : report.reasons.map((reason) => `Permission ${index + 1}: ${reason}`),
  );
  return deny(
    reasons,
    rules,
    candidates.some(({ exhausted }) => exhausted),
  );
}

/** `use`, `training`, `access`, or the action's name. */
function noun(action: string): string {
  if (action === ACCESS) return 'access';
  return action === TRAIN ? 'training' : shown(action);
}

interface WeighedPermission {
  readonly rule: CompiledRule;
  readonly report: RuleReport;
  /** Nothing but spent meters is in the way. */
  readonly exhausted: boolean;
}

function weighPermission(rule: CompiledRule, request: UsageRequest, state: UsageState): WeighedPermission {
  const reasons = [...rule.problems];
  if (rule.action !== request.action && rule.problems.length === 0) {
    reasons.push(`The permission is for ${noun(rule.action)}, not for ${noun(request.action)}.`);
  }
  if (rule.assignee !== undefined && rule.assignee !== request.assignee) {
    reasons.push(`The agreement is with ${shown(rule.assignee)}, not with ${shown(request.assignee)}.`);
  }
  const verdicts = rule.tests.map((test) => test(request, state)).filter(isObstacle);
  // Tests of a permission for something else would report what nobody asked.
  if (rule.action === request.action) reasons.push(...verdicts.map(({ reason }) => reason));
  const otherwiseFine = rule.action === request.action && reasons.length === verdicts.length;
  return {
    rule,
    report: {
      kind: 'permission',
      action: rule.action,
      premises: premises(rule, request, verdicts),
      active: otherwiseFine && verdicts.length === 0,
      reasons:
        reasons.length > 0
          ? reasons
          : [`The agreement permits ${noun(rule.action)}${conditions(rule, ', and all is met: ')}.`],
    },
    exhausted:
      otherwiseFine &&
      verdicts.length > 0 &&
      verdicts.every((verdict) => verdict.outcome === 'fails' && verdict.spent === true),
  };
}

function premises(rule: CompiledRule, request: UsageRequest, obstacles: readonly Verdict[]): Premises {
  const failed = obstacles.some(({ outcome }) => outcome === 'fails');
  return {
    action: rule.action === request.action ? 'holds' : 'fails',
    assignee: rule.assignee === undefined || rule.assignee === request.assignee ? 'holds' : 'fails',
    target: 'holds',
    constraints: obstacles.length === 0 ? 'holds' : failed ? 'fails' : 'unknown',
    duties: 'holds',
  };
}

function isObstacle(verdict: Verdict): verdict is Exclude<Verdict, { outcome: 'holds' }> {
  return verdict.outcome !== 'holds';
}

function weighProhibition(rule: CompiledRule, request: UsageRequest, state: UsageState): RuleReport {
  const report = (active: boolean, reasons: readonly string[]): RuleReport => ({
    kind: 'prohibition',
    action: rule.action,
    premises: premises(rule, request, rule.tests.map((test) => test(request, state)).filter(isObstacle)),
    active,
    reasons,
  });
  if (rule.problems.length > 0) {
    return report(
      true,
      rule.problems.map((problem) => `A prohibition cannot be checked, so it forbids: ${problem}`),
    );
  }
  // Training is a kind of use: whoever forbids use forbids it too. (No permission to use permits training.)
  if (rule.action !== request.action && rule.action !== USE) {
    return report(false, [`The prohibition is of ${noun(rule.action)}.`]);
  }
  if (rule.assignee !== undefined && rule.assignee !== request.assignee) {
    return report(false, [`The prohibition is for ${shown(rule.assignee)}.`]);
  }
  const verdicts = rule.tests.map((test) => test(request, state));
  if (verdicts.some(({ outcome }) => outcome === 'fails')) {
    return report(false, [`The prohibition does not apply: it holds only${conditions(rule, ' when ')}.`]);
  }
  const open = verdicts.flatMap((verdict) => (verdict.outcome === 'unknown' ? [verdict.reason] : []));
  return report(true, [`The agreement forbids ${noun(rule.action)}${conditions(rule, ' when ')}.`, ...open]);
}

function conditions(rule: CompiledRule, before: string): string {
  return rule.words.length === 0 ? '' : `${before}${rule.words.join('; ')}`;
}

function planOf(rule: CompiledRule, request: UsageRequest): Plan {
  const { columns: granted, masks: all, rowFilter } = rule.grant;
  const columns = request.columns === undefined ? granted : [...new Set(request.columns)];
  const masks = Object.create(null) as Record<string, Mask>;
  for (const [column, mask] of Object.entries(all)) {
    if (columns === 'all' || columns.includes(column)) masks[column] = mask;
  }
  return { columns, masks, rowFilter };
}

function chargesOf(rule: CompiledRule, request: UsageRequest): Charge[] {
  if (request.action === ACCESS) return [];
  if (request.action !== TRAIN) return [{ meter: 'uses', amount: 1, limit: rule.limits.uses }];
  return [
    { meter: 'rounds', amount: 1, limit: rule.limits.rounds },
    { meter: 'epsilon', amount: request.training?.privacyLoss?.epsilon ?? 0, limit: rule.limits.epsilon },
  ];
}

function grantedReasons(request: UsageRequest, plan: Plan, charges: readonly Charge[], state: UsageState): string[] {
  const columns = plan.columns === 'all' ? 'all columns' : `columns ${listed(plan.columns)}`;
  const reasons = [`The agreement permits ${noun(request.action)} of ${columns}.`];
  if (plan.rowFilter !== null) reasons.push(`Only rows where ${shown(describeRowFilter(plan.rowFilter))} leave.`);
  for (const [column, mask] of Object.entries(plan.masks)) {
    reasons.push(`Column ${shown(column)} is ${describeMask(mask)}.`);
  }
  for (const { meter, amount, limit } of charges) {
    if (limit === null) continue;
    const total = state.spent[meter] + amount;
    reasons.push(
      meter === 'epsilon'
        ? `With this, ε ${shownEpsilon(total)} of ${shownEpsilon(limit)} is spent.`
        : `With this, ${total} of ${limit} ${meter} are spent.`,
    );
  }
  return reasons;
}

const isAmount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** Values that types cannot exclude: a negative loss would refund what was spent, NaN would pass comparisons. */
function malformedRequest({ action, assignee, at, columns, training }: UsageRequest): string[] {
  const reasons: string[] = [];
  if (assignee === '') reasons.push('The request does not say who asks.');
  if (Number.isNaN(at.getTime())) reasons.push('The time of the use is not known.');
  if (columns !== undefined && columns.length === 0) reasons.push('The request asks for no column at all.');
  if (action === TRAIN && training === undefined) {
    reasons.push('A request to train states its round, plan, cohort, privacy loss and metrics; this one does not.');
  }
  if (training === undefined) return reasons;
  const { round, cohort, privacyLoss } = training;
  if (!Number.isSafeInteger(round) || round < 1) reasons.push('The round is not a whole number of 1 or more.');
  if (!Number.isSafeInteger(cohort) || cohort < 1) reasons.push('The cohort is not a whole number of 1 or more.');
  if (
    privacyLoss !== null &&
    !(isAmount(privacyLoss.epsilon) && isAmount(privacyLoss.delta) && privacyLoss.delta < 1)
  ) {
    reasons.push('The privacy loss is not an ε of 0 or more at a δ from 0 to below 1.');
  }
  return reasons;
}

function malformedState({ spent }: UsageState): string[] {
  return [spent.uses, spent.rounds, spent.epsilon].every(isAmount)
    ? []
    : ['The ledger does not say what is spent: no use can be charged.'];
}
