/**
 * What a privacy budget buys: the least noise for every length of training. The trade-off that `foedus privacy plan` and the
 * dashboard draw.
 */
import { epsilonOf } from '../privacy/accountant.ts';
import { type Budget, calibrate } from '../privacy/budget.ts';
import { aboutRecords, type PrivacyEvent } from '../privacy/event.ts';
import type { SessionPlan } from './plan.ts';
import { allowsHistograms, type Contract, plannedRoundEvent, TOLERANCE } from './promise.ts';
import { evaluationOf, type PlannedEvaluation, releases } from './spending.ts';

/** Whole numbers from `least` to `most`, evenly on a logarithmic scale, each once: `points` of them at most. */
export function spread(least: number, most: number, points = 9): number[] {
  const ratio = (most / least) ** (1 / (points - 1));
  return [...new Set(Array.from({ length: points }, (_, i) => Math.round(least * ratio ** i)))];
}

/** Numbers of rounds to compare a plan with, ascending: from an eighth to four times as many, and its own. */
export const lengthsAround = (rounds: number): number[] =>
  [...new Set([...spread(Math.max(1, rounds / 8), rounds * 4), rounds])].toSorted((a, b) => a - b);

/**
 * @param releasesOf all that so many rounds release with this noise multiplier; null: that much noise cannot be had
 * @param history what was released before, and counts too
 * @returns for each number of rounds the least noise multiplier, rounded up to a thousandth, with which they keep to the
 *   budget by Rényi composition, which is what the ledger charges by; null where no noise does
 */
export function noiseByRounds(options: {
  readonly budget: Budget;
  readonly history?: readonly PrivacyEvent[];
  readonly lengths: readonly number[];
  readonly releasesOf: (noiseMultiplier: number, rounds: number) => readonly PrivacyEvent[] | null;
}): (number | null)[] {
  const { budget, history = [], lengths, releasesOf } = options;
  return lengths.map((rounds) => {
    const planned = (noise: number): readonly PrivacyEvent[] => {
      const events = releasesOf(noise, rounds);
      if (events === null) throw new RangeError(`There is no noise multiplier ${noise}.`);
      return events;
    };
    try {
      const least = calibrate({ budget, history, planned, accountant: 'rdp', tolerance: 1e-3 });
      return Math.ceil(least * 1000 - 1e-9) / 1000;
    } catch (error) {
      // Beyond all reason, or evaluations alone cost more than the budget.
      if (error instanceof RangeError) return null;
      throw error;
    }
  });
}

/** Least noise by rounds for partners whose agreements come to the same. */
export interface BudgetTradeOff {
  readonly participantIds: readonly string[];
  readonly epsilon: number;
  readonly delta: number;
  /** The budget is no agreement's but what the plan costs: no agreement has one. */
  readonly isPlanned: boolean;
  /** Whether the plan keeps to it. */
  readonly holds: boolean;
  /** Least noise multiplier for each of `lengths`; null where no noise is enough. */
  readonly leastNoise: readonly (number | null)[];
}

export interface SessionTradeOff {
  /** The plan's own point; null without privacy, and then there are no budgets either. */
  readonly planned: { readonly rounds: number; readonly noiseMultiplier: number } | null;
  /** Numbers of rounds, ascending; the plan's is one of them. */
  readonly lengths: readonly number[];
  /** The tightest first. */
  readonly budgets: readonly BudgetTradeOff[];
  /** Budgets that were left out, because they leave more room than those that are there. */
  readonly omitted: number;
}

/** Curves that can be told apart, and a bound on the work. */
const MOST_BUDGETS = 3;

interface Question {
  readonly participantIds: string[];
  readonly budget: Budget;
  readonly isPlanned: boolean;
  readonly history: readonly PrivacyEvent[];
  readonly evaluation: PlannedEvaluation | null;
  /** ε of all that the plan releases, and of what was released before. */
  readonly spent: number;
}

/**
 * The trade-off of noise and rounds within the budgets of a session's agreements, or within what the plan costs where
 * no agreement has a budget.
 *
 * Takes up to some seconds of computing: no thread that answers others should do it.
 *
 * @param lengths numbers of rounds to compare, ascending, the plan's among them
 */
export function sessionTradeOff(
  plan: SessionPlan,
  contracts: readonly Contract[],
  lengths: readonly number[] = lengthsAround(plan.rounds),
): SessionTradeOff {
  const { privacy, rounds } = plan;
  const eventOf = (noiseMultiplier: number): PrivacyEvent | null => {
    if (privacy === null) return null;
    const event = plannedRoundEvent({ ...plan, privacy: { ...privacy, noiseMultiplier } }, contracts.length);
    // An agreement's budget is about rows, and what hides an organisation hides each of its rows.
    return event && aboutRecords(event);
  };
  const cost = privacy && eventOf(privacy.noiseMultiplier);
  if (privacy === null || cost === null) return { planned: null, lengths: [], budgets: [], omitted: 0 };
  const questions = questionsOf(plan, contracts, cost);
  const at = lengths.indexOf(rounds);
  const budgets = questions.slice(0, MOST_BUDGETS).map((question): BudgetTradeOff => {
    const { participantIds, budget, isPlanned, history, evaluation, spent } = question;
    const holds = spent <= budget.epsilon + TOLERANCE;
    const leastNoise = noiseByRounds({
      budget,
      history,
      lengths,
      releasesOf(noise, count) {
        const event = eventOf(noise);
        return event && releases(event, count, evaluation);
      },
    });
    const least = leastNoise[at];
    // What is rounded up must not contradict the promise: where the plan keeps to the budget, its noise is enough.
    if (holds && at >= 0 && typeof least === 'number') leastNoise[at] = Math.min(least, privacy.noiseMultiplier);
    return { participantIds, ...budget, isPlanned, holds, leastNoise };
  });
  const needed = ({ leastNoise }: BudgetTradeOff): number => leastNoise[at] ?? Infinity;
  return {
    planned: { rounds, noiseMultiplier: privacy.noiseMultiplier },
    lengths,
    // Two infinities have no difference.
    budgets: budgets.toSorted((a, b) => (needed(a) === needed(b) ? 0 : needed(b) - needed(a))),
    omitted: Math.max(0, questions.length - MOST_BUDGETS),
  };
}

/** Budgets to draw, those that the plan leaves least of first. */
function questionsOf(plan: SessionPlan, contracts: readonly Contract[], cost: PrivacyEvent): Question[] {
  const ask = (question: Omit<Question, 'spent'>): Question => {
    const { history, evaluation, budget } = question;
    const spent = epsilonOf([...history, ...releases(cost, plan.rounds, evaluation)], budget.delta).epsilon;
    return { ...question, spent };
  };
  const questions = new Map<string, Question>();
  for (const { participantId, limits, history } of contracts) {
    const { budget } = limits;
    const paid = (history?.events ?? []).map((one) => aboutRecords(one));
    // Privacy of another unit cannot be added up: the promise says so.
    const isComparable = paid.every(({ unit, adjacency }) => unit === cost.unit && adjacency === cost.adjacency);
    if (budget === null || !isComparable) continue;
    const evaluation = allowsHistograms(limits) ? evaluationOf(plan) : null;
    const key = JSON.stringify([budget.epsilon, budget.delta, paid, evaluation !== null]);
    const same = questions.get(key);
    if (same !== undefined) same.participantIds.push(participantId);
    else {
      const participantIds = [participantId];
      questions.set(key, ask({ participantIds, budget, isPlanned: false, history: paid, evaluation }));
    }
  }
  if (questions.size === 0 && plan.privacy !== null) {
    const evaluation = contracts.some(({ limits }) => allowsHistograms(limits)) ? evaluationOf(plan) : null;
    const { delta } = plan.privacy;
    const everybody = contracts.map(({ participantId }) => participantId);
    const budget = { epsilon: 0, delta };
    const one = ask({ participantIds: everybody, budget, isPlanned: true, history: [], evaluation });
    return one.spent > 0 ? [{ ...one, budget: { epsilon: one.spent, delta } }] : [];
  }
  const left = ({ budget, spent }: Question): number => budget.epsilon - spent;
  return [...questions.values()].toSorted((a, b) => left(a) - left(b));
}
