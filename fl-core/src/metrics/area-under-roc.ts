/**
 * The area under the ROC curve as the Mann-Whitney statistic: the probability that a random positive has a higher score
 * than a random negative, ties counting half. O(n log n), by average ranks.
 *
 * @param labels [n], 0 or 1
 * @param scores [n], any increasing function of the predicted probability
 * @returns 0…1, or null when there are not both positives and negatives
 * @throws RangeError when the lengths differ or a score is NaN
 */
export function areaUnderRoc(labels: ArrayLike<number>, scores: ArrayLike<number>): number | null {
  const n = labels.length;
  if (scores.length !== n) throw new RangeError(`${n} labels, but ${scores.length} scores.`);
  // Typed arrays sort numerically and quickly, so positives' scores are found by rank instead of sorting an index.
  const sorted = Float64Array.from(scores);
  if (sorted.some(Number.isNaN)) throw new RangeError('A score is NaN: the model has diverged.');
  sorted.sort();
  let positives = 0;
  let rankSum = 0;
  for (let i = 0; i < n; i++) {
    if (labels[i] !== 1) continue;
    positives++;
    rankSum += averageRank(sorted, scores[i] ?? 0);
  }
  const negatives = n - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Mean of the ranks (from 1) of all values equal to `value`. */
function averageRank(sorted: Float64Array, value: number): number {
  const below = firstIndex(sorted, (x) => x >= value);
  const upTo = firstIndex(sorted, (x) => x > value);
  return (below + 1 + upTo) / 2;
}

function firstIndex(sorted: Float64Array, holds: (x: number) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(sorted[middle] ?? Infinity)) high = middle;
    else low = middle + 1;
  }
  return low;
}
