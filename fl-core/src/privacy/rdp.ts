/**
 * Rényi differential privacy of the Poisson-subsampled Gaussian mechanism under add/remove adjacency: Mironov, Talwar,
 * Zhang, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", arXiv:1908.10530, section 3.3.
 *
 * Where rounding would matter the result errs upwards: a stated ε may be slightly too large, never too small.
 */
import { logAdd, logErfc, logExpm1 } from './log-space.ts';

/** The default orders of Google's dp_accounting 0.6.0: 1.1, 1.2, …, 10.9, 11, 12, …, 63, 128, 256, 512, 1024. */
export const DEFAULT_ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => 1 + (i + 1) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  128,
  256,
  512,
  1024,
];

/**
 * Terms of the series for a fractional order, as many as dp_accounting 0.6.0 takes; one that needs more is left to its
 * other bound. So a low order, the best one only where ε is very large, may give less at a somewhat larger sampling rate.
 */
const MAX_TERMS = 1_000;
/** Below this the rounding of a sum close to 1 shows in its logarithm. */
const SMALLEST_SERIES = 1e-9;

/**
 * @param order α > 1
 * @param noiseMultiplier σ > 0, noise standard deviation divided by the sensitivity
 * @param samplingRate q in 0…1
 * @returns D_α of one step, in nats; +∞ when it is too large for a float64
 * @throws RangeError for parameters outside these ranges
 */
export function rdpOfSubsampledGaussian(order: number, noiseMultiplier: number, samplingRate: number): number {
  if (!(order > 1)) throw new RangeError(`The Rényi order must be greater than 1; it is ${order}.`);
  if (!(noiseMultiplier > 0)) throw new RangeError(`The noise multiplier must be positive; it is ${noiseMultiplier}.`);
  if (!(samplingRate >= 0 && samplingRate <= 1)) {
    throw new RangeError(`The sampling rate must be between 0 and 1; it is ${samplingRate}.`);
  }
  if (samplingRate === 0) return 0;
  if (samplingRate === 1) return order / (2 * noiseMultiplier ** 2);
  const logA = Number.isInteger(order)
    ? logMomentInteger(order, noiseMultiplier, samplingRate)
    : logMomentFractional(order, noiseMultiplier, samplingRate);
  // Sampling never costs more than no sampling.
  return Math.min(logA / (order - 1), order / (2 * noiseMultiplier ** 2));
}

/**
 * log A_α for integer α (section 3.3, equation for integers):
 * A_α = Σ_k C(α,k) (1−q)^(α−k) q^k exp((k²−k)/2σ²). The binomial weights sum to 1 and the exponent is 0 for k < 2, so
 * A_α − 1 = Σ_{k≥2} C(α,k) (1−q)^(α−k) q^k (exp((k²−k)/2σ²) − 1): positive terms only, exact however small it is.
 */
function logMomentInteger(alpha: number, sigma: number, q: number): number {
  let logBinomial = Math.log(alpha);
  let logExcess = -Infinity;
  for (let k = 2; k <= alpha; k++) {
    logBinomial += Math.log((alpha - k + 1) / k);
    const logWeight = logBinomial + k * Math.log(q) + (alpha - k) * Math.log1p(-q);
    logExcess = logAdd(logExcess, logWeight + logExpm1((k * k - k) / (2 * sigma * sigma)));
  }
  return logAdd(0, logExcess);
}

/**
 * log A_α for fractional α: the series, or where it converges too slowly or is too close to 1 the chord between the
 * neighbouring integers, an upper bound because log A_α is convex in α (log-convexity of moments).
 */
function logMomentFractional(alpha: number, sigma: number, q: number): number {
  const series = logMomentBySeries(alpha, sigma, q);
  if (series >= SMALLEST_SERIES && series < Infinity) return series;
  const floor = Math.floor(alpha);
  const atFloor = floor === 1 ? 0 : logMomentInteger(floor, sigma, q);
  return atFloor + (alpha - floor) * (logMomentInteger(floor + 1, sigma, q) - atFloor);
}

/**
 * The two series of section 3.3, split at z₀ = σ² log(1/q − 1) + 1/2. Their terms beyond i > α alternate in sign; as
 * dp_accounting 0.6.0 does, their absolute values are added: nothing cancels, the result is an upper bound, and ε is
 * the same as that widely used accountant's (up to 0.1 % above the signed sum where a fractional order is the best).
 *
 * @returns +∞ when the terms fall too slowly
 */
function logMomentBySeries(alpha: number, sigma: number, q: number): number {
  const z0 = sigma * sigma * Math.log(1 / q - 1) + 0.5;
  const scale = Math.SQRT2 * sigma;
  let logBinomial = 0;
  let logSum = -Infinity;
  let previous = { below: -Infinity, above: -Infinity };
  for (let i = 0; i < MAX_TERMS; i++) {
    const j = alpha - i;
    const logHalfBinomial = logBinomial - Math.LN2;
    const below =
      logHalfBinomial +
      (i * Math.log(q) + j * Math.log1p(-q) + (i * i - i) / (2 * sigma * sigma) + logErfc((i - z0) / scale));
    const above =
      logHalfBinomial +
      (j * Math.log(q) + i * Math.log1p(-q) + (j * j - j) / (2 * sigma * sigma) + logErfc((z0 - j) / scale));
    logSum = logAdd(logSum, logAdd(below, above));
    const falling = below < previous.below && above < previous.above;
    if (falling && Math.max(below, above) < logSum - 30) return logSum;
    previous = { below, above };
    logBinomial += Math.log(Math.abs(j) / (i + 1));
  }
  return Infinity;
}
