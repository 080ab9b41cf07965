import type { CompiledPolicy } from '../compile.ts';
import { decide } from '../decide.ts';
import type { Decision, UsageRequest, UsageState } from '../model.ts';
import { shown } from '../wording.ts';

/** What the rules are asked about: a use that the agreement permits. */
export interface PermittedUse {
  readonly agreementId: string;
  /** The data set, as the agreement names it. */
  readonly dataSet: string;
  readonly request: UsageRequest;
  readonly state: UsageState;
  /** The agreement's decision, with the plan by which the data would be cut. */
  readonly decision: Decision;
}

/** What one source of local rules says. `digest`: SHA-256 of the rules that were asked, hex. */
export interface LocalVerdict {
  readonly permit: boolean;
  readonly reasons: readonly string[];
  readonly digest: string;
}

/** Rules of the operator's own, beside the agreement. They can refuse what it permits, and permit nothing. */
export interface LocalRules {
  /** For sentences and records, for instance `cedar:office-hours.cedar`. */
  readonly name: string;
  /** May throw: then the use is denied. */
  judge(use: PermittedUse, signal?: AbortSignal): Promise<LocalVerdict>;
}

/** What one source had to do with a decision; `digest` is null where it could not be asked. */
export interface LocalReport {
  readonly name: string;
  readonly permit: boolean;
  readonly digest: string | null;
}

export interface LocalDecision extends Decision {
  /** Every source that was asked, in order. Empty where the agreement itself denies: nobody is asked then. */
  readonly localRules: readonly LocalReport[];
}

/**
 * Decides by the agreement first and then by the operator's own rules, which can only restrict further: whatever they
 * say, nothing is permitted that the agreement denies, and plan and charges are the agreement's. All sources are asked
 * in turn until one refuses. A source that fails denies.
 *
 * @param context what the rules are told about the agreement
 * @param signal ends the question; an abort denies
 */
export async function decideWithLocalRules(
  compiled: CompiledPolicy,
  request: UsageRequest,
  state: UsageState,
  rules: readonly LocalRules[],
  context: Pick<PermittedUse, 'agreementId' | 'dataSet'>,
  signal?: AbortSignal,
): Promise<LocalDecision> {
  const decision = decide(compiled, request, state);
  return restrict({ ...context, request, state, decision }, rules, signal);
}

/** As decideWithLocalRules, for a decision that was made already. */
export async function restrict(
  use: PermittedUse,
  rules: readonly LocalRules[],
  signal?: AbortSignal,
): Promise<LocalDecision> {
  const { decision } = use;
  const asked: LocalReport[] = [];
  if (!decision.permit) return { ...decision, localRules: asked };
  for (const source of rules) {
    let verdict: LocalVerdict;
    try {
      verdict = await source.judge(use, signal);
    } catch (error) {
      asked.push({ name: source.name, permit: false, digest: null });
      const why = error instanceof Error ? error.message : String(error);
      return denied(decision, asked, [`The local rules ${shown(source.name)} could not be asked: ${shown(why)}`]);
    }
    // Typed, but it may come from another process: only the value true permits.
    const said: unknown = verdict.permit;
    const permit = said === true;
    asked.push({ name: source.name, permit, digest: verdict.digest });
    if (permit) continue;
    const reasons = verdict.reasons.map((reason) => `The local rules ${shown(source.name)} refuse: ${shown(reason)}`);
    return denied(decision, asked, reasons.length > 0 ? reasons : [`The local rules ${shown(source.name)} refuse.`]);
  }
  return { ...decision, localRules: asked };
}

function denied(decision: Decision, localRules: readonly LocalReport[], reasons: readonly string[]): LocalDecision {
  return { ...decision, permit: false, exhausted: false, reasons, plan: null, charges: [], localRules };
}
