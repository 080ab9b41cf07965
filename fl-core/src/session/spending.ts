/** What a session's rounds and evaluations cost a partner, round by round, and what would fit into its budget instead. */
import { histogramEvent } from '../metrics/score-histogram.ts';
import { epsilonOf } from '../privacy/accountant.ts';
import { calibrate } from '../privacy/budget.ts';
import { type PrivacyEvent, subsampledGaussian } from '../privacy/event.ts';
import type { SessionPlan } from './plan.ts';

/** Rounds whose ε is stated: each of a short session, some of a long one. */
const MOST_POINTS = 60;

/** Budgets for which enough noise is looked for: that takes up to 0.4 s of computing each, and whoever plans waits for it. */
const MOST_CALIBRATED = 3;

/** What a mechanism costs over a session. */
export interface EpsilonByRound {
  /** ε of everything released after each of some rounds, ascending; the first is 0, the last all of them. */
  readonly byRound: readonly { readonly round: number; readonly epsilon: number }[];
  /** The most that one round adds. */
  readonly largestRound: number;
}

/** What is released beside the updates, after every `every` rounds. */
export interface PlannedEvaluation {
  readonly event: PrivacyEvent;
  readonly every: number;
}

/** Rounds of which the one that adds most is looked for where evaluations lie between them; later ones add less. */
const MOST_COMPARED = 1_000;

/**
 * @param event what one round releases
 * @param history what was released before: ε counts it too
 * @param evaluation what evaluations release, if they do
 */
export function epsilonByRound(
  event: PrivacyEvent,
  rounds: number,
  delta: number,
  history: readonly PrivacyEvent[] = [],
  evaluation: PlannedEvaluation | null = null,
): EpsilonByRound {
  const spent = (round: number): number =>
    epsilonOf([...history, ...releases(event, round, evaluation)], delta).epsilon;
  const byRound = pointsOf(rounds).map((round) => ({ round, epsilon: spent(round) }));
  if (evaluation !== null) {
    let [before, largestRound] = [spent(0), 0];
    for (let round = 1; round <= Math.min(rounds, Math.max(MOST_COMPARED, evaluation.every)); round++) {
      const after = spent(round);
      largestRound = Math.max(largestRound, after - before);
      before = after;
    }
    return { byRound, largestRound };
  }
  // ε is the least of lines in the number of rounds, cut off at 0: the step from 0 is only a part of one, and after the
  // next one they shrink.
  const first = spent(0) > 0 ? 1 : firstWith(rounds, (round) => spent(round) > 0);
  if (first === null) return { byRound, largestRound: 0 };
  const [before, at, after] = [first - 1, first, Math.min(rounds, first + 1)].map(spent) as [number, number, number];
  return { byRound, largestRound: Math.max(at - before, after - at) };
}

/** All that so many rounds release. */
export function releases(event: PrivacyEvent, rounds: number, evaluation: PlannedEvaluation | null): PrivacyEvent[] {
  const updates = { ...event, steps: event.steps * rounds };
  if (evaluation === null) return [updates];
  const { event: each, every } = evaluation;
  return [updates, { ...each, steps: each.steps * Math.floor(rounds / every) }];
}

export interface Spending extends EpsilonByRound {
  /** What would fit into a budget instead, in words. */
  readonly instead: (epsilon: number) => string;
}

export const NOTHING_SPENT: Spending = { byRound: [], largestRound: 0, instead: () => '' };

/** What every evaluation costs whoever takes part in it; null: nothing. */
export function evaluationOf({ evaluation, privacy }: SessionPlan): PlannedEvaluation | null {
  const { metrics, noise, every } = evaluation;
  if (metrics.length === 0 || noise === null || privacy?.unit !== 'record') return null;
  return { event: histogramEvent(noise), every };
}

/** ε by round after a history; computed once for all partners with the same. */
export function spendingBy(plan: SessionPlan, event: PrivacyEvent | null) {
  const known = new Map<string, Spending>();
  let calibrated = 0;
  return (history: readonly PrivacyEvent[], delta: number, isEvaluating: boolean): Spending => {
    if (event === null) return NOTHING_SPENT;
    const evaluation = isEvaluating ? evaluationOf(plan) : null;
    const key = JSON.stringify([history, delta, evaluation !== null]);
    const before = known.get(key);
    if (before !== undefined) return before;
    const words = new Map<number, string>();
    const spending: Spending = {
      ...epsilonByRound(event, plan.rounds, delta, history, evaluation),
      instead(epsilon) {
        const said = words.get(epsilon);
        if (said !== undefined) return said;
        const isCalibrated = (calibrated += 1) <= MOST_CALIBRATED;
        const sentence = insteadOf(plan.rounds, { event, evaluation }, history, { epsilon, delta }, isCalibrated);
        words.set(epsilon, sentence);
        return sentence;
      },
    };
    known.set(key, spending);
    return spending;
  };
}

/** 0, the last, and what lies between. */
function pointsOf(rounds: number): number[] {
  const count = Math.min(rounds, MOST_POINTS);
  return [...new Set(Array.from({ length: count + 1 }, (_, i) => Math.round((i * rounds) / count)))];
}

function firstWith(most: number, holds: (count: number) => boolean): number | null {
  if (!holds(most)) return null;
  let low = 0;
  let high = most;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** What would fit instead: fewer rounds, or more noise. */
function insteadOf(
  rounds: number,
  { event, evaluation }: { readonly event: PrivacyEvent; readonly evaluation: PlannedEvaluation | null },
  history: readonly PrivacyEvent[],
  budget: { readonly epsilon: number; readonly delta: number },
  isCalibrated: boolean,
): string {
  if (event.mechanism !== 'poisson-subsampled-gaussian') return 'Plan fewer rounds or more noise.';
  const { samplingRate, steps } = event;
  const isTooMuch = (count: number): boolean =>
    epsilonOf([...history, ...releases(event, count, evaluation)], budget.delta).epsilon > budget.epsilon;
  const fitting = (firstWith(rounds, isTooMuch) ?? rounds + 1) - 1;
  if (isTooMuch(0)) return 'The budget is used up: negotiate a new agreement.';
  if (!isCalibrated) return `It would be enough for ${fitting} rounds, or with more noise.`;
  try {
    const enough = calibrate({
      budget,
      history,
      planned: (noise) =>
        releases(subsampledGaussian({ noiseMultiplier: noise, samplingRate, steps }), rounds, evaluation),
      accountant: 'rdp',
    });
    // Rounded up: with less it would not be enough.
    const noise = (Math.ceil(enough * 1000) / 1000).toFixed(3);
    return `It would be enough for ${fitting} rounds, or with noise multiplier ${noise}.`;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    if (evaluation === null) return 'The budget is used up: negotiate a new agreement.';
    return `It would be enough for ${fitting} rounds; no noise of updates is, since evaluations alone cost more: plan more noise for them, or fewer.`;
  }
}
