import { contradiction, type CompiledPolicy, type CompiledRule } from './compile.ts';
import { reportDuty } from './duties.ts';
import { malformedRequest, malformedState } from './malformed.ts';
import { describeMask } from './masks.ts';
import type { Charge, Decision, DutyReport, Mask, Plan, RuleReport, UsageRequest, UsageState } from './model.ts';
import { TooManySteps, type Evaluation, type Lookup } from './operands/operand.ts';
import { describeRowFilter } from './row-filter.ts';
import { ACCESS, TRAIN, nounOf, normaliseTerm } from './terms.ts';
import { weighPermission, weighProhibition, type WeighedRule, type Weighing } from './weigh.ts';
import { listed, shown, shownEpsilon } from './wording.ts';

const NO_HISTORY: Lookup = () => undefined;
const NOTHING: readonly never[] = [];

/**
 * Decides one use. Pure: the same policy, request and state give the same decision.
 *
 * - Only an Agreement (or a Set) grants; an Offer permits nothing.
 * - One permission must grant the whole request: the first active one, in the policy's order. Grants of several
 *   permissions are never put together.
 * - An active prohibition wins over every permission, unless the policy's conflict strategy is `perm`. Without a
 *   strategy, and with `invalid`, a contradiction between the two voids the policy (ODRL 2.2 section 2.10).
 * - What is not understood never permits: unknown terms make a permission inactive and a prohibition active.
 */
export function decide(compiled: CompiledPolicy, asked: UsageRequest, state: UsageState): Decision {
  const action = compiled.actions.resolve(asked.action);
  const request: UsageRequest =
    action === asked.action ? asked : { ...asked, action: action ?? normaliseTerm(asked.action) };
  const malformed = malformedRequest(request) ?? malformedState(state);
  if (malformed !== undefined) return denial(compiled, malformed, NOTHING, NOTHING);
  const evaluation: Evaluation = {
    now: request.at.getTime(),
    elapsedFrom: compiled.elapsedFrom,
    left: compiled.steps,
    exercised: NO_HISTORY,
    started: NO_HISTORY,
  };
  try {
    return weigh(compiled, {
      request,
      action,
      target: request.target ?? compiled.target,
      state,
      evaluation,
      mode: compiled.dutyMode,
    });
  } catch (error) {
    if (!(error instanceof TooManySteps)) throw error;
    const sentence = `The policy and its history ask for more than ${compiled.steps} steps, which one decision may take.`;
    return denial(compiled, [sentence], NOTHING, NOTHING);
  }
}

function weigh(compiled: CompiledPolicy, weighing: Weighing): Decision {
  const { request, action, state } = weighing;
  const permissions = compiled.permissions.map((rule) => weighPermission(rule, weighing));
  const prohibitions = compiled.prohibitions.map((rule) => weighProhibition(rule, weighing));
  const rules: RuleReport[] = [];
  const duties: DutyReport[] = [];
  for (const { report, duties: own } of permissions) {
    rules.push(report);
    if (own.length > 0) duties.push(...own);
  }
  for (const { report, duties: own } of prohibitions) {
    rules.push(report);
    if (own.length > 0) duties.push(...own);
  }
  if (compiled.obligations.length > 0) duties.push(...obligationsOf(compiled, weighing));

  const obstacles = [...compiled.problems];
  if (compiled.type === 'Offer') obstacles.push('An offer permits nothing: it has to become an agreement first.');
  if (action === undefined) obstacles.push(`The action ${shown(request.action)} is not known to this node.`);
  const chosen = permissions.find(({ report }) => report.active);
  for (const { rule, report } of prohibitions) {
    // A permission wins where the policy says so, but over nothing that this node does not understand.
    const overridden = compiled.strategy === 'perm' && chosen !== undefined && rule.problems.length === 0;
    if (report.active && !overridden) obstacles.push(...report.reasons);
  }
  const clash = compiled.strategy === 'invalid' ? contradictionIn(compiled, permissions, prohibitions) : undefined;
  if (clash !== undefined && obstacles.length === 0) obstacles.push(clash);
  if (obstacles.length > 0) {
    return denial(compiled, [...new Set(obstacles)], rules, duties, false, clash !== undefined);
  }

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
      duties,
      policyDigest: compiled.digest,
      policyDigests: compiled.digests,
    };
  }
  const candidates = permissions.filter(({ about }) => about);
  if (candidates.length === 0) {
    return denial(compiled, [`The agreement gives no permission for ${nounOf(request.action)}.`], rules, duties);
  }
  const reasons = candidates.flatMap(({ report }, index) =>
    candidates.length === 1 ? report.reasons : report.reasons.map((reason) => `Permission ${index + 1}: ${reason}`),
  );
  const exhausted = candidates.some((candidate) => candidate.exhausted);
  return denial(compiled, reasons, rules, duties, exhausted);
}

function denial(
  compiled: CompiledPolicy,
  reasons: readonly string[],
  rules: readonly RuleReport[],
  duties: readonly DutyReport[],
  exhausted = false,
  isVoid = false,
): Decision {
  return {
    permit: false,
    exhausted,
    void: isVoid,
    rules,
    reasons,
    plan: null,
    charges: [],
    duties,
    policyDigest: compiled.digest,
    policyDigests: compiled.digests,
  };
}

/** A permission and a prohibition of related actions that both bind this party and asset now, in words. */
function contradictionIn(
  { conflicts }: CompiledPolicy,
  permissions: readonly WeighedRule[],
  prohibitions: readonly WeighedRule[],
): string | undefined {
  for (const [at, other] of conflicts) {
    const permission = permissions[at];
    const prohibition = prohibitions[other];
    if (permission?.inForce === true && prohibition?.inForce === true) {
      return contradiction(permission.rule.action, prohibition.rule.action);
    }
  }
  return undefined;
}

function obligationsOf(compiled: CompiledPolicy, { request, target, state, evaluation, mode }: Weighing): DutyReport[] {
  return compiled.obligations.flatMap((duty) =>
    reportDuty(duty, { request, state, evaluation, mode, target, uses: undefined, started: NO_HISTORY }),
  );
}

function planOf(rule: CompiledRule, request: UsageRequest): Plan {
  const { columns: granted, masks: all, rowFilter, disclosure } = rule.grant;
  const columns = request.columns === undefined ? granted : [...new Set(request.columns)];
  const masks = Object.create(null) as Record<string, Mask>;
  for (const column in all) {
    const mask = all[column];
    if (mask !== undefined && (columns === 'all' || columns.includes(column))) masks[column] = mask;
  }
  // A narrower request must not step around a part of the contract that the data set does not have any more.
  const names = [...(granted === 'all' ? [] : granted), ...Object.keys(all)];
  const named = columns === 'all' ? [] : [...new Set(names)].filter((column) => !columns.includes(column));
  return { columns, masks, rowFilter, ...disclosure, ...(named.length > 0 && { named }) };
}

function chargesOf(rule: CompiledRule, request: UsageRequest): Charge[] {
  if (request.action === ACCESS) return [];
  if (request.action !== TRAIN) {
    const { uses, rows, bytes } = rule.limits;
    return [
      { meter: 'uses', amount: 1, limit: uses },
      // Nothing of them yet: the ledger draws as they leave, and counts against these limits.
      ...(rows === null ? [] : [{ meter: 'rows', amount: 0, limit: rows } as const]),
      ...(bytes === null ? [] : [{ meter: 'bytes', amount: 0, limit: bytes } as const]),
    ];
  }
  return [
    ...(request.training?.evaluation === true
      ? []
      : [{ meter: 'rounds', amount: 1, limit: rule.limits.rounds } as const]),
    { meter: 'epsilon', amount: request.training?.privacyLoss?.epsilon ?? 0, limit: rule.limits.epsilon },
  ];
}

function grantedReasons(request: UsageRequest, plan: Plan, charges: readonly Charge[], state: UsageState): string[] {
  const columns = plan.columns === 'all' ? 'all columns' : `columns ${listed(plan.columns)}`;
  const reasons = [`The agreement permits ${nounOf(request.action)} of ${columns}.`];
  if (plan.rowFilter !== null) reasons.push(`Only rows where ${shown(describeRowFilter(plan.rowFilter))} leave.`);
  for (const [column, mask] of Object.entries(plan.masks)) {
    reasons.push(`Column ${shown(column)} is ${describeMask(mask)}.`);
  }
  for (const { meter, amount, limit } of charges) {
    if (limit === null) continue;
    const total = (state.spent[meter] ?? 0) + amount;
    reasons.push(
      meter === 'epsilon'
        ? `With this, ε ${shownEpsilon(total)} of ${shownEpsilon(limit)} is spent.`
        : `With this, ${total} of ${limit} ${meter} are spent.`,
    );
  }
  return reasons;
}
