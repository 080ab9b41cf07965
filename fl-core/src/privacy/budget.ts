/** What a budget allows: the tightest sound ε of a history, what is left of it, and how much noise a plan needs. */
import { epsilonOf } from './accountant.ts';
import type { PrivacyEvent } from './event.ts';
import { pldEpsilonOf } from './privacy-loss/accountant.ts';
import { NoLossDistributionError } from './privacy-loss/mechanism.ts';

/** `rdp`: Rényi composition. `pld`: privacy-loss distributions, pessimistic. `tightest`: the smaller of the two. */
export type Accountant = 'rdp' | 'pld' | 'tightest';

export interface Budget {
  readonly epsilon: number;
  readonly delta: number;
}

/**
 * @returns an upper bound of ε of all events at δ; `tightest` falls back to Rényi where no loss distribution is known
 * @throws RangeError, PrivacyModelMismatchError; NoLossDistributionError when `pld` is asked for
 */
export function spentEpsilon(events: readonly PrivacyEvent[], delta: number, accountant: Accountant): number {
  const rdp = (): number => epsilonOf(events, delta).epsilon;
  if (accountant === 'rdp') return rdp();
  try {
    const pld = pldEpsilonOf(events, delta, { bothBounds: false }).pessimistic;
    return accountant === 'pld' ? pld : Math.min(pld, rdp());
  } catch (error) {
    if (accountant === 'tightest' && error instanceof NoLossDistributionError) return rdp();
    throw error;
  }
}

/** @returns how much ε is left at the budget's δ; 0 when it is used up or overdrawn */
export function remainingEpsilon(history: readonly PrivacyEvent[], budget: Budget, accountant: Accountant): number {
  return Math.max(0, budget.epsilon - spentEpsilon(history, budget.delta, accountant));
}

/**
 * The smallest noise (to `tolerance`, rounded up, so that the budget always holds) with which what is planned stays
 * within the budget, on top of what was released before.
 *
 * @param planned the events for a noise multiplier; their ε must fall as it grows
 * @throws RangeError when even noise 10⁶ is not enough, as when the history alone has used the budget up
 */
export function calibrate(options: {
  readonly budget: Budget;
  readonly planned: (noiseMultiplier: number) => readonly PrivacyEvent[];
  readonly history?: readonly PrivacyEvent[];
  readonly accountant: Accountant;
  /** @default 1e-3 */
  readonly tolerance?: number;
}): number {
  const { budget, planned, history = [], accountant, tolerance = 1e-3 } = options;
  const holds = (noise: number): boolean =>
    spentEpsilon([...history, ...planned(noise)], budget.delta, accountant) <= budget.epsilon;
  let high = 1;
  while (!holds(high)) {
    high *= 2;
    if (high > 1e6) {
      throw new RangeError(
        `No noise keeps this within ε = ${budget.epsilon} at δ = ${budget.delta}: plan fewer steps or allow more ε.`,
      );
    }
  }
  let low = high === 1 ? 0 : high / 2;
  while (high - low > tolerance) {
    const middle = (low + high) / 2;
    // Hardly any noise needs grids too large to be worth it, and is never the answer.
    if (middle > 0.05 && holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}
