/** A probability nearer to 0 or 1 than this counts as this, so that one confident mistake does not make it infinite. */
const CLIP = 1e-15;

/**
 * Mean negative log-likelihood (cross-entropy) of binary labels, in nats.
 *
 * @param labels [n], 0 or 1
 * @param probabilities [n], predicted probability of 1
 * @returns the mean, or null when n = 0
 * @throws RangeError when the lengths differ or a probability is not in 0…1
 */
export function logLoss(labels: ArrayLike<number>, probabilities: ArrayLike<number>): number | null {
  const n = labels.length;
  if (probabilities.length !== n) throw new RangeError(`${n} labels, but ${probabilities.length} probabilities.`);
  if (n === 0) return null;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const p = probabilities[i] ?? Number.NaN;
    if (!(p >= 0 && p <= 1)) throw new RangeError(`Probability ${i} is ${p}, not in 0…1: the model has diverged.`);
    const ofLabel = labels[i] === 1 ? p : 1 - p;
    sum -= Math.log(Math.min(Math.max(ofLabel, CLIP), 1 - CLIP));
  }
  return sum / n;
}
