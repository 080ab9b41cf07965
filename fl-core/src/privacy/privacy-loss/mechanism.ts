/** The dominating pair of each mechanism, and which releases are one release in disguise. */
import { mergeSteps } from '../accountant.ts';
import { type DiscreteGaussianEvent, type PrivacyEvent, sensitivityFactor, type SkellamEvent } from '../event.ts';
import { fixedSizeRate } from '../rdp-of-event.ts';
import {
  fixedSizeGaussianLosses,
  integerNoiseLosses,
  laplaceLosses,
  type LossPair,
  normalTail,
  sampledGaussianLosses,
} from './source.ts';

export interface CountedPair {
  readonly pair: LossPair;
  readonly steps: number;
}

/** More atoms than this are left to the Rényi accountant. */
const MAX_ATOMS = 400_000;

/** A mechanism of which no exact dominating pair is known here. */
export class NoLossDistributionError extends RangeError {
  override readonly name = 'NoLossDistributionError';
  readonly code = 'no-privacy-loss-distribution';
}

/**
 * Gaussian releases without sampling are together one Gaussian release: 1/σ² adds up.
 *
 * @throws NoLossDistributionError for vectors of integers (only one value has a known pair)
 */
export function pairsOf(events: readonly PrivacyEvent[]): CountedPair[] {
  let precision = 0;
  const pairs: CountedPair[] = [];
  for (const event of mergeSteps(events)) {
    const { steps } = event;
    switch (event.mechanism) {
      case 'poisson-subsampled-gaussian':
        if (event.samplingRate === 1) precision += steps / event.noiseMultiplier ** 2;
        else pairs.push({ pair: sampledGaussianLosses(event.noiseMultiplier, event.samplingRate), steps });
        break;
      case 'gaussian':
        precision += steps * (sensitivityFactor(event) / event.noiseMultiplier) ** 2;
        break;
      case 'fixed-size-subsampled-gaussian':
        pairs.push({
          pair: fixedSizeGaussianLosses(event.noiseMultiplier / sensitivityFactor(event), fixedSizeRate(event)),
          steps,
        });
        break;
      case 'laplace':
        pairs.push({ pair: laplaceLosses(event.noiseMultiplier / sensitivityFactor(event)), steps });
        break;
      case 'discrete-gaussian':
        pairs.push({ pair: discreteGaussianLosses(event), steps });
        break;
      case 'skellam':
        pairs.push({ pair: skellamLosses(event), steps });
        break;
    }
  }
  if (precision > 0) pairs.push({ pair: sampledGaussianLosses(1 / Math.sqrt(precision), 1), steps: 1 });
  return pairs;
}

function discreteGaussianLosses(event: DiscreteGaussianEvent): LossPair {
  const { sigma, summands, l2Sensitivity } = event;
  requireOneInteger(event, l2Sensitivity, sigma);
  if (summands > 1) {
    throw new NoLossDistributionError(
      'A sum of several discrete Gaussians is not one: use the Rényi accountant, or Skellam noise.',
    );
  }
  return integerNoiseLosses(l2Sensitivity, (tail) => ({
    // Σ beyond z·σ of a discrete Gaussian is below that of a continuous one moved by 1 (CKS 2020, Proposition 25).
    extent: Math.ceil(normalTail(tail / 2) * sigma) + 1,
    logWeight: (k) => (-k * k) / (2 * sigma * sigma),
  }));
}

function skellamLosses(event: SkellamEvent): LossPair {
  const { variance, l1Sensitivity } = event;
  requireOneInteger(event, l1Sensitivity, Math.sqrt(variance));
  return integerNoiseLosses(l1Sensitivity, (tail) => {
    const extent = skellamExtent(variance, tail);
    const logs = logSkellamWeights(variance, extent + l1Sensitivity);
    return { extent, logWeight: (k) => logs[k] ?? -Infinity };
  });
}

function requireOneInteger(
  { dimension, mechanism }: DiscreteGaussianEvent | SkellamEvent,
  sensitivity: number,
  deviation: number,
): void {
  if (dimension !== 1 || !Number.isInteger(sensitivity) || deviation * 40 + sensitivity > MAX_ATOMS) {
    throw new NoLossDistributionError(
      `The privacy loss of ${mechanism} noise is known exactly for one integer of integer sensitivity only: use the ` +
        'Rényi accountant for vectors.',
    );
  }
}

/** Beyond this a Skellam variable of the variance has less than `tail`: Chernoff, K(θ) = variance·(cosh θ − 1). */
function skellamExtent(variance: number, tail: number): number {
  const depth = -Math.log(tail);
  let best = Infinity;
  for (let theta = 1 / 64; theta < 8; theta *= 1.1) {
    best = Math.min(best, (variance * (Math.cosh(theta) - 1) + depth) / theta);
  }
  const gaussian = Math.sqrt((2 * depth) / variance);
  best = Math.min(best, (variance * (Math.cosh(gaussian) - 1) + depth) / gaussian);
  return Math.ceil(best) + 1;
}

/**
 * log of a multiple of the Skellam probabilities of 0…n (I_k(variance), up to a factor), by the downward recurrence
 * I_{k−1} = I_{k+1} + (2k/variance)·I_k, whose terms are all positive (Miller; DLMF 10.74).
 */
export function logSkellamWeights(variance: number, n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  const start = n + 40 + Math.ceil(4 * Math.sqrt(n + variance));
  let next = 0;
  let current = 1;
  let scale = 0;
  for (let k = start; k >= 0; k--) {
    if (k <= n) logs[k] = Math.log(current) + scale;
    const previous = next + ((2 * k) / variance) * current;
    next = current;
    current = previous;
    if (current > 1e200) {
      scale += Math.log(1e200);
      next /= 1e200;
      current /= 1e200;
    }
  }
  return logs;
}
