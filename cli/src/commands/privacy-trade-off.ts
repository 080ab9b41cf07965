/** What a privacy budget buys: the noise for every length of training, and the ε of every round of the one chosen. */
import {
  calibrate,
  epsilonByRound,
  histogramEvent,
  type PlannedEvaluation,
  type PrivacyEvent,
  spentEpsilon,
  subsampledGaussian,
} from '@foedus/fl-core';

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

/** Few enough that the whole takes seconds, many enough for a curve. */
const POINTS = 9;

/**
 * @throws RangeError when not even one round fits into the budget with `mostNoise`
 */
export function tradeOffOf(question: PlanQuestion): TradeOff {
  const { epsilon, delta, rows, stepsPerRound, clipNorm, mostNoise } = question;
  const eventOf = (noiseMultiplier: number, batch: number, rounds: number): PrivacyEvent =>
    subsampledGaussian({ noiseMultiplier, samplingRate: batch / rows, steps: stepsPerRound * rounds });
  const evaluation = evaluationOf(question);
  const releases = (noiseMultiplier: number, batch: number, rounds: number): PrivacyEvent[] => [
    eventOf(noiseMultiplier, batch, rounds),
    ...evaluationsWithin(question, rounds),
  ];
  const choose = (batch: number, rounds: number): PlanChoice => {
    const noiseMultiplier = calibrate({
      budget: { epsilon, delta },
      planned: (noise) => releases(noise, batch, rounds),
      // Rényi composition is what the ledger charges by, so the plan holds there.
      accountant: 'rdp',
      tolerance: 1e-3,
    });
    return {
      rounds,
      batch,
      samplingRate: batch / rows,
      noiseMultiplier,
      noisePerStep: (noiseMultiplier * clipNorm) / batch,
      epsilon: spentEpsilon(releases(noiseMultiplier, batch, rounds), delta, 'rdp'),
    };
  };
  /** null: evaluations alone cost more than the budget, or the noise would be beyond all reason. */
  const tryToChoose = (batch: number, rounds: number): PlanChoice | null => {
    try {
      return choose(batch, rounds);
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  };
  const rounds = longest(
    question.rounds,
    (count) => (tryToChoose(question.batch, count)?.noiseMultiplier ?? Infinity) <= mostNoise,
  );
  if (rounds === 0) {
    throw new RangeError(
      `Not even one round fits into ε = ${epsilon} at δ = ${delta} with noise of at most ${mostNoise}: ` +
        'take a smaller batch, fewer steps a round, or ask for a larger budget.',
    );
  }
  const choice = choose(question.batch, rounds);
  const batches = spread(Math.max(1, question.batch / 8), Math.min(rows, question.batch * 8));
  return {
    question,
    choice,
    byRounds: spread(Math.max(1, question.rounds / 8), question.rounds * 4).flatMap(
      (count) => tryToChoose(question.batch, count) ?? [],
    ),
    byBatch: batches.flatMap((batch) => tryToChoose(batch, rounds) ?? []),
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

/** Whole numbers from `least` to `most`, evenly on a logarithmic scale, each once. */
function spread(least: number, most: number): number[] {
  const ratio = (most / least) ** (1 / (POINTS - 1));
  return [...new Set(Array.from({ length: POINTS }, (_, i) => Math.round(least * ratio ** i)))];
}
