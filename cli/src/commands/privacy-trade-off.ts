/** What a privacy budget buys: the noise for every length of training, and the ε of every round of the one chosen. */
import {
  epsilonByRound,
  histogramEvent,
  lengthsAround,
  noiseByRounds,
  type PlannedEvaluation,
  type PrivacyEvent,
  spentEpsilon,
  spread,
  subsampledGaussian,
} from '@foedus/fl-core';
import { budgetWords } from './privacy-options.ts';

export interface PlanQuestion {
  readonly epsilon: number;
  readonly delta: number;
  /** Rows that train at this organisation. */
  readonly rows: number;
  /** Expected rows in a step's batch. */
  readonly batch: number;
  readonly stepsPerRound: number;
  readonly rounds: number;
  /** C, the L2 norm that a row's gradient is clipped to. */
  readonly clipNorm: number;
  /** A noise multiplier that must not be exceeded: with more the model learns nothing. */
  readonly mostNoise: number;
  /** Noised evaluations on top, one after every `every` rounds; null: none. */
  readonly evaluation: { readonly every: number; readonly noiseMultiplier: number } | null;
}

export interface PlanChoice {
  readonly rounds: number;
  readonly batch: number;
  readonly samplingRate: number;
  /** σ */
  readonly noiseMultiplier: number;
  /** Standard deviation of the noise in the average gradient of a step: σ·C over the expected batch. */
  readonly noisePerStep: number;
  readonly epsilon: number;
}

export interface TradeOff {
  readonly question: PlanQuestion;
  readonly choice: PlanChoice;
  /** Other lengths of training within the same budget, ascending. */
  readonly byRounds: readonly PlanChoice[];
  /** Other batches with the rounds asked for. */
  readonly byBatch: readonly PlanChoice[];
  /** ε after each of some rounds of the choice; the last is the whole. */
  readonly spent: readonly { readonly round: number; readonly epsilon: number }[];
  /** Whether `rounds` had to be reduced for `mostNoise`. */
  readonly isShortened: boolean;
}

/**
 * @param onStep is called before each of the choices is worked out, the longest part of the work
 * @throws RangeError when not even one round fits into the budget with `mostNoise`
 */
export function tradeOffOf(question: PlanQuestion, onStep: () => void = () => {}): TradeOff {
  const { epsilon, delta, rows, stepsPerRound, clipNorm, mostNoise } = question;
  const eventOf = (noiseMultiplier: number, batch: number, rounds: number): PrivacyEvent =>
    subsampledGaussian({ noiseMultiplier, samplingRate: batch / rows, steps: stepsPerRound * rounds });
  const evaluation = evaluationOf(question);
  const releases = (noiseMultiplier: number, batch: number, rounds: number): PrivacyEvent[] => [
    eventOf(noiseMultiplier, batch, rounds),
    ...evaluationsWithin(question, rounds),
  ];
  /** null: evaluations alone cost more than the budget, or the noise would be beyond all reason. */
  const choose = (batch: number, rounds: number): PlanChoice | null => {
    onStep();
    const [noiseMultiplier = null] = noiseByRounds({
      budget: { epsilon, delta },
      lengths: [rounds],
      releasesOf: (noise, count) => releases(noise, batch, count),
    });
    if (noiseMultiplier === null) return null;
    return {
      rounds,
      batch,
      samplingRate: batch / rows,
      noiseMultiplier,
      noisePerStep: (noiseMultiplier * clipNorm) / batch,
      epsilon: spentEpsilon(releases(noiseMultiplier, batch, rounds), delta, 'rdp'),
    };
  };
  const rounds = longest(
    question.rounds,
    (count) => (choose(question.batch, count)?.noiseMultiplier ?? Infinity) <= mostNoise,
  );
  const choice = rounds === 0 ? null : choose(question.batch, rounds);
  if (choice === null) {
    throw new RangeError(
      `Not even one round fits into ${budgetWords(question)} with noise of at most ${mostNoise}: ` +
        'take a smaller batch, fewer steps a round, or ask for a larger budget.',
    );
  }
  const batches = [...spread(Math.max(1, question.batch / 8), Math.min(rows, question.batch * 8)), question.batch];
  return {
    question,
    choice,
    byRounds: lengthsAround(rounds).flatMap((count) => choose(question.batch, count) ?? []),
    byBatch: [...new Set(batches)].toSorted((a, b) => a - b).flatMap((batch) => choose(batch, rounds) ?? []),
    // What a coordinator states, and checks agreements by, when such a session is planned.
    spent: epsilonByRound(
      eventOf(choice.noiseMultiplier, question.batch, 1),
      rounds,
      delta,
      [],
      evaluation,
    ).byRound.filter(({ round }) => round > 0),
    isShortened: rounds < question.rounds,
  };
}

function evaluationOf({ evaluation }: PlanQuestion): PlannedEvaluation | null {
  if (evaluation === null) return null;
  return { every: evaluation.every, event: histogramEvent(evaluation) };
}

/** What the evaluations of so many rounds release. */
export function evaluationsWithin(question: PlanQuestion, rounds: number): PrivacyEvent[] {
  const evaluation = evaluationOf(question);
  const steps = evaluation === null ? 0 : Math.floor(rounds / evaluation.every);
  return evaluation === null || steps === 0 ? [] : [{ ...evaluation.event, steps }];
}

/** @returns the largest count up to `most` for which it holds; 0 when it does not hold for 1. It must hold below. */
function longest(most: number, holds: (count: number) => boolean): number {
  if (holds(most)) return most;
  let low = 0;
  let high = most;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}
