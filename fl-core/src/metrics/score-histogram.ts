/**
 * One organisation's evaluation as one release: how many held-out rows of each label got which score, in equal bins. A
 * row falls into one cell, so adding or removing one changes one count by one (L1 and L2 sensitivity 1), and AUC, log
 * loss and the number of rows all follow from the counts: with noise on them there is one mechanism to pay for.
 */
import { z } from 'zod';
import { createDiscreteGaussian } from '../noise/discrete-gaussian.ts';
import type { RandomBits } from '../noise/random-bits.ts';
import { rationalOf } from '../noise/rational.ts';
import type { DiscreteGaussianEvent } from '../privacy/event.ts';

/** As many bins as a plan may ask for: 16 kB or so of counts. */
export const MOST_BINS = 1024;

/** No count comes near this, noise included; sums of two thousand of them are exact. */
const LARGEST_COUNT = 2 ** 40;
const counts = z.array(z.int().min(-LARGEST_COUNT).max(LARGEST_COUNT)).min(2).max(MOST_BINS);

/** Counts by bin of the predicted probability, [i/B, (i+1)/B); the last bin has 1 as well. With noise, also below 0. */
export const scoreHistogramSchema = z
  .strictObject({ negatives: counts, positives: counts })
  .refine(({ negatives, positives }) => negatives.length === positives.length, {
    message: 'there must be as many bins of negatives as of positives',
  });
export type ScoreHistogram = z.infer<typeof scoreHistogramSchema>;

/** How a plan has histograms noised. */
export interface HistogramNoise {
  readonly bins: number;
  /** σ of the discrete Gaussian on every count; the sensitivity is 1. */
  readonly noiseMultiplier: number;
}

/**
 * @param labels [n], 0 or 1
 * @param probabilities [n], predicted probability of 1
 * @param bins B, 2…1024
 * @throws RangeError when the lengths differ, or a probability is not in 0…1
 */
export function scoreHistogram(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  bins: number,
): ScoreHistogram {
  const n = labels.length;
  if (probabilities.length !== n) throw new RangeError(`${n} labels, but ${probabilities.length} probabilities.`);
  if (!Number.isInteger(bins) || bins < 2 || bins > MOST_BINS) {
    throw new RangeError(`A histogram has 2 to ${MOST_BINS} bins, not ${bins}.`);
  }
  const empty = (): number[] => Array.from({ length: bins }, () => 0);
  const histogram = { negatives: empty(), positives: empty() };
  for (let i = 0; i < n; i++) {
    const p = probabilities[i] ?? Number.NaN;
    if (!(p >= 0 && p <= 1)) throw new RangeError(`Probability ${i} is ${p}, not in 0…1: the model has diverged.`);
    const side = labels[i] === 1 ? histogram.positives : histogram.negatives;
    side[Math.min(bins - 1, Math.floor(p * bins))]! += 1;
  }
  return histogram;
}

/**
 * Independent discrete Gaussian noise on every count, zeros included: which cells are empty is nobody's to know.
 *
 * @param random from the operating system; anything else makes the guarantee void
 */
export function noisedHistogram(
  { negatives, positives }: ScoreHistogram,
  noiseMultiplier: number,
  random: RandomBits,
): ScoreHistogram {
  // σ² exactly: a float's square would be rounded, possibly down.
  const { numerator, denominator } = rationalOf(noiseMultiplier);
  const noise = createDiscreteGaussian({ numerator: numerator ** 2n, denominator: denominator ** 2n }, random);
  const noised = (values: readonly number[]): number[] => values.map((value) => value + noise());
  return { negatives: noised(negatives), positives: noised(positives) };
}

/** What one noised histogram costs: neighbours differ in one count, by 1, so that the noise of one value hides it. */
export function histogramEvent({ noiseMultiplier }: Pick<HistogramNoise, 'noiseMultiplier'>): DiscreteGaussianEvent {
  return {
    mechanism: 'discrete-gaussian',
    unit: 'record',
    adjacency: 'add-remove',
    sigma: noiseMultiplier,
    summands: 1,
    l2Sensitivity: 1,
    dimension: 1,
    steps: 1,
  };
}

/** What follows from a histogram. */
export interface HistogramMetrics {
  /** 0…1; null where there are not both positives and negatives, as far as the noise lets one see. */
  readonly auc: number | null;
  /** In nats, ≥ 0; null without rows. */
  readonly logLoss: number | null;
  /** Held-out rows; with noise possibly below 0. */
  readonly rows: number;
}

/**
 * AUC with pairs of one bin counting half, and log loss with every score at the middle of its bin. Post-processing of
 * what was released: it costs nothing.
 *
 * Noised counts below 0 are not cut off: the sums are without bias as they are, and would count empty bins as full of
 * rows otherwise. Only the results are put back into their ranges. How far they are from those of the exact scores:
 * binningBounds; the noise comes on top.
 */
export function metricsOfHistogram({ negatives, positives }: ScoreHistogram): HistogramMetrics {
  const bins = positives.length;
  let [below, above, rankSum, loss] = [0, 0, 0, 0];
  for (let i = 0; i < bins; i++) {
    const [negative, positive] = [negatives[i] ?? 0, positives[i] ?? 0];
    rankSum += positive * (below + negative / 2);
    below += negative;
    above += positive;
    const middle = (i + 0.5) / bins;
    loss -= positive * Math.log(middle) + negative * Math.log(1 - middle);
  }
  const rows = below + above;
  return {
    auc: below > 0 && above > 0 ? within(rankSum / (below * above), 0, 1) : null,
    logLoss: rows > 0 ? within(loss / rows, 0, Infinity) : null,
    rows,
  };
}

/**
 * How far metricsOfHistogram can be from the metrics of the exact scores, given the counts without noise.
 *
 * AUC: a pair of one bin counts ½ instead of 0, ½ or 1, so the error is at most half the share of such pairs. Log loss:
 * per row the larger of ln(middle/lower) and ln(upper/middle) of its bin, seen from its label. That of scores beyond
 * 1/2B from 0 and 1 only: nearer ones count as that, since a histogram cannot tell a bad mistake from the worst.
 *
 * @returns 0 where there is no metric
 */
export function binningBounds({ negatives, positives }: ScoreHistogram): {
  readonly auc: number;
  readonly logLoss: number;
} {
  const bins = positives.length;
  let [tied, deviation] = [0, 0];
  for (let i = 0; i < bins; i++) {
    const [negative, positive] = [negatives[i] ?? 0, positives[i] ?? 0];
    tied += positive * negative;
    deviation += positive * spread(i, bins) + negative * spread(bins - 1 - i, bins);
  }
  const [below, above] = [sumOf(negatives), sumOf(positives)];
  return {
    auc: below > 0 && above > 0 ? tied / (2 * below * above) : 0,
    logLoss: below + above > 0 ? deviation / (below + above) : 0,
  };
}

/** How far ln of a probability in bin i can be from ln of the bin's middle; below 1/2B it counts as 1/2B. */
function spread(i: number, bins: number): number {
  const down = i === 0 ? 0 : Math.log((i + 0.5) / i);
  const upper = i === bins - 1 ? bins - 0.5 : i + 1;
  return Math.max(down, Math.log(upper / (i + 0.5)));
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const within = (value: number, least: number, most: number): number => Math.min(Math.max(value, least), most);
