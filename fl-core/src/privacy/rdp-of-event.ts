/** Rényi differential privacy of one step of each mechanism. Never too small; at fractional orders sometimes larger. */
import type { DiscreteGaussianEvent, FixedSizeGaussian, PrivacyEvent, SkellamEvent } from './event.ts';
import { sensitivityFactor } from './event.ts';
import { logAdd } from './log-space.ts';
import { rdpOfSubsampledGaussian } from './rdp.ts';

/**
 * @param order α > 1
 * @returns D_α of one step, in nats, under the event's own adjacency; +∞ where no bound is known
 * @throws RangeError for parameters out of range
 */
export function rdpOfEvent(event: PrivacyEvent, order: number): number {
  switch (event.mechanism) {
    case 'poisson-subsampled-gaussian':
      return rdpOfSubsampledGaussian(order, event.noiseMultiplier, event.samplingRate);
    case 'gaussian':
      return rdpOfSubsampledGaussian(order, event.noiseMultiplier / sensitivityFactor(event), 1);
    case 'fixed-size-subsampled-gaussian':
      return rdpOfFixedSize(event, order);
    case 'laplace':
      return rdpOfLaplace(order, event.noiseMultiplier / sensitivityFactor(event));
    case 'discrete-gaussian':
      return (order * concentratedEpsilon(event) ** 2) / 2;
    case 'skellam':
      return rdpOfSkellam(event, order);
    default:
      throw new RangeError(`The mechanism of ${JSON.stringify(event satisfies never)} is not known.`);
  }
}

/** Mironov, "Rényi Differential Privacy", arXiv:1702.07476, Proposition 6, with t = 1/b. */
function rdpOfLaplace(order: number, scale: number): number {
  requireOrder(order);
  const t = 1 / scale;
  // Here the formula is lost in rounding; what is purely t-private is ½t²-concentrated (Bun and Steinke 2016, Prop. 3.3).
  if (t < 1e-4) return Math.min((order * t ** 2) / 2, t);
  const up = Math.log(order / (2 * order - 1)) + (order - 1) * t;
  const down = Math.log((order - 1) / (2 * order - 1)) - order * t;
  return Math.min(logAdd(up, down) / (order - 1), t);
}

/** Summands whose terms are added up one by one; all that follow count as the last of them. */
const MOST_TERMS = 10_000;

/**
 * Sums of discrete Gaussians: Kairouz, Liu, Steinke, "The Distributed Discrete Gaussian Mechanism for Federated Learning
 * with Secure Aggregation", arXiv:2102.06387, Theorem 1, ½ε²-concentrated differential privacy. One summand is exactly
 * as private as the continuous Gaussian: Canonne, Kamath, Steinke, arXiv:2004.00010, Theorem 14.
 *
 * @returns +∞ for several summands of σ below ½, of which the theorem says nothing
 */
export function concentratedEpsilon(event: DiscreteGaussianEvent): number {
  const { sigma, summands, l2Sensitivity, dimension } = event;
  if (summands > 1 && sigma < 0.5) return Infinity;
  const plain = l2Sensitivity / (Math.sqrt(summands) * sigma);
  let tau = 0;
  for (let k = 1; k < summands; k++) {
    const term = 10 * Math.exp((-2 * Math.PI ** 2 * sigma ** 2 * k) / (k + 1));
    // Terms fall towards their limit: all that follow are at most as large as this one.
    if (term * (summands - k) < tau * 1e-12 || term === 0 || k === MOST_TERMS) {
      tau += term * (summands - k);
      break;
    }
    tau += term;
  }
  return Math.min(Math.sqrt(plain ** 2 + (tau * dimension) / 2), plain + tau * Math.sqrt(dimension));
}

/**
 * Agarwal, Kairouz, Liu, "The Skellam Mechanism for Differentially Private Federated Learning", arXiv:2110.04995,
 * Theorem 3.5, for integer orders and integer contributions; a fractional order costs at most the next integer.
 */
function rdpOfSkellam(event: SkellamEvent, order: number): number {
  requireOrder(order);
  const { variance, l1Sensitivity: l1, l2Sensitivity: l2 } = event;
  const alpha = Math.ceil(order);
  const excess = Math.min(((2 * alpha - 1) * l2 ** 2 + 6 * l1) / (4 * variance ** 2), (3 * l1) / (2 * variance));
  return (alpha * l2 ** 2) / (2 * variance) + excess;
}

/**
 * Sampling without replacement under replace-one: Wang, Balle, Kasiviswanathan, "Subsampled Rényi Differential Privacy
 * and Analytical Moments Accountant", arXiv:1808.00087, Theorem 9, with ε(∞) = ∞ of the Gaussian; between integers the
 * chord of (α−1)·ε(α), which is convex.
 */
function rdpOfFixedSize(event: FixedSizeGaussian, order: number): number {
  requireOrder(order);
  const rate = fixedSizeRate(event);
  const sigma = event.noiseMultiplier / sensitivityFactor(event);
  const whole = order / (2 * sigma ** 2);
  if (rate === 1) return whole;
  const floor = Math.floor(order);
  const atFloor = floor === 1 ? 0 : logMomentOfFixedSize(floor, sigma, rate);
  const logMoment =
    floor === order ? atFloor : atFloor + (order - floor) * (logMomentOfFixedSize(floor + 1, sigma, rate) - atFloor);
  return Math.min(logMoment / (order - 1), whole);
}

/** @throws RangeError when the batch is larger than the data set */
export function fixedSizeRate({ batchSize, datasetSize }: FixedSizeGaussian): number {
  if (batchSize > datasetSize) {
    throw new RangeError(`A batch of ${batchSize} cannot be drawn from ${datasetSize} records: make it smaller.`);
  }
  return batchSize / datasetSize;
}

function logMomentOfFixedSize(alpha: number, sigma: number, rate: number): number {
  const epsilon = (order: number): number => order / (2 * sigma ** 2);
  const two = epsilon(2);
  let logBinomial = Math.log(alpha) + Math.log((alpha - 1) / 2);
  let log = 2 * Math.log(rate) + logBinomial + Math.min(Math.log(4) + Math.log(Math.expm1(two)), two + Math.LN2);
  for (let j = 3; j <= alpha; j++) {
    logBinomial += Math.log((alpha - j + 1) / j);
    log = logAdd(log, j * Math.log(rate) + logBinomial + (j - 1) * epsilon(j) + Math.LN2);
  }
  return logAdd(0, log);
}

function requireOrder(order: number): void {
  if (!(order > 1)) throw new RangeError(`The Rényi order must be greater than 1; it is ${order}.`);
}
