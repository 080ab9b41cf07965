/** How far one organisation can move what is released: the distance that noise is measured against. */
import type { Adjacency } from './event.ts';

/**
 * A weighted average Σ wᵢ·uᵢ / W of updates with ‖uᵢ‖₂ ≤ C.
 *
 * `fixed` denominator (W is the same for both neighbours, for instance the plan's total): C·w_max/W, and twice that when
 * an organisation is exchanged. `actual` (W = Σ wᵢ of those who took part, so W moves with them): adding a member of
 * weight w to W₀ moves the average by ‖w·u − w·average‖/(W₀ + w) ≤ 2C·w/(W₀ + w), which is the most it can be with the
 * smallest W₀ and the largest w; exchanging one is removing and adding, both against the remaining W₀.
 *
 * @param largestWeight w_max, an upper bound by rule, not what was observed
 * @param totalWeight W when fixed; when actual, the least that the others together weigh (W₀)
 * @returns L2 sensitivity, in the units of C
 * @throws RangeError when a weight or the clip norm is not positive, or w_max is more than a fixed W
 */
export function averageSensitivity(options: {
  readonly clipNorm: number;
  readonly largestWeight: number;
  readonly totalWeight: number;
  readonly denominator: 'fixed' | 'actual';
  readonly adjacency: Adjacency;
}): number {
  const { clipNorm, largestWeight, totalWeight, denominator, adjacency } = options;
  if (!(clipNorm > 0 && largestWeight > 0 && totalWeight > 0)) {
    throw new RangeError('Clip norm and weights must be positive.');
  }
  if (denominator === 'fixed') {
    if (largestWeight > totalWeight) {
      throw new RangeError(`One weight of ${largestWeight} is more than the total of ${totalWeight}.`);
    }
    return ((adjacency === 'replace-one' ? 2 : 1) * clipNorm * largestWeight) / totalWeight;
  }
  const one = (2 * clipNorm * largestWeight) / (totalWeight + largestWeight);
  // An average lies in the ball of radius C, so no two are further apart than 2C.
  return Math.min(2 * clipNorm, adjacency === 'replace-one' ? 2 * one : one);
}

/**
 * L1 sensitivity of an integer vector with a bound on its L2 norm: ‖v‖₁ ≤ √d·‖v‖₂, and ‖v‖₁ ≤ ‖v‖₂² for integers.
 */
export function integerL1Sensitivity(l2Sensitivity: number, dimension: number): number {
  return Math.min(Math.sqrt(dimension) * l2Sensitivity, l2Sensitivity ** 2);
}
