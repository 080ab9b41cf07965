/**
 * Noise that the members of a cohort add together: whoever drops out takes its share along, and whoever colludes with
 * the receiver can subtract its own. The receiver's view has only the rest, and only the rest may be accounted for.
 */
import type { Adjacency, SkellamEvent } from './event.ts';

/**
 * @returns the variance each member must add so that `needed` is left after all the losses that the plan allows for
 * @throws RangeError when no honest survivor would be left
 */
export function noiseShare(options: {
  /** Variance that the sum must have, as seen by the receiver. */
  readonly needed: number;
  /** The fewest members with which a round still ends with output. */
  readonly leastSurvivors: number;
  /** Survivors that may collude with the receiver. */
  readonly colluding: number;
}): number {
  const { needed, leastSurvivors, colluding } = options;
  return needed / honest(leastSurvivors, colluding);
}

/**
 * The Skellam event of a round as it happened.
 *
 * @param survivors members whose input is in the sum: those who dropped out have added no noise
 * @throws RangeError when no honest survivor is left
 */
export function skellamRound(options: {
  readonly unit: SkellamEvent['unit'];
  readonly adjacency: Adjacency;
  readonly varianceEach: number;
  readonly survivors: number;
  readonly colluding: number;
  readonly l1Sensitivity: number;
  readonly l2Sensitivity: number;
  readonly dimension: number;
}): SkellamEvent {
  const { unit, adjacency, varianceEach, survivors, colluding, l1Sensitivity, l2Sensitivity, dimension } = options;
  const variance = varianceEach * honest(survivors, colluding);
  return { mechanism: 'skellam', unit, adjacency, variance, l1Sensitivity, l2Sensitivity, dimension, steps: 1 };
}

function honest(survivors: number, colluding: number): number {
  if (!(Number.isInteger(survivors) && Number.isInteger(colluding) && colluding >= 0 && survivors > colluding)) {
    throw new RangeError(
      `Of ${survivors} survivors ${colluding} may collude: no honest one would add noise. Ask for a larger cohort.`,
    );
  }
  return survivors - colluding;
}
