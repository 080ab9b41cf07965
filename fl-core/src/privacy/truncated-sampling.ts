/**
 * The price of a hard cap on Poisson batches. A step on a truncated sample differs from the step on the whole sample
 * only when the sample was too large, so the two runs are within total variation Σ P[Bin(n, q) > B] of each other, and
 * (ε, δ) becomes (ε, δ + (1 + e^ε)·Σ P[…]): Chua et al., "Scalable DP-SGD: Shuffling vs. Poisson Subsampling",
 * arXiv:2411.04205, Theorem 3.3 (by coupling).
 */
import type { PrivacyEvent } from './event.ts';
import { logAdd } from './log-space.ts';

/** @returns an upper bound of P[Bin(n, q) > B] */
export function binomialTail(n: number, q: number, largest: number): number {
  if (largest >= n) return 0;
  if (q >= 1) return 1;
  const ratio = Math.log(q) - Math.log1p(-q);
  let term = n * Math.log1p(-q);
  let sum = -Infinity;
  // Upwards from k = 0: log C(n,k) by its ratio; what is below the cap is passed over.
  for (let k = 0; k <= n; k++) {
    if (k > largest) {
      sum = logAdd(sum, term);
      // Past the mode terms fall at least geometrically; what remains is below the last term's share.
      if (k > n * q && term < sum - 60) break;
    }
    term += Math.log((n - k) / (k + 1)) + ratio;
  }
  return Math.min(1, Math.exp(sum) * (1 + 1e-9));
}

/** @returns X such that the events cost δ + (1 + e^ε)·X where the same without caps would cost (ε, δ) */
export function truncationMass(events: readonly PrivacyEvent[]): number {
  let mass = 0;
  for (const event of events) {
    if (event.mechanism !== 'poisson-subsampled-gaussian' || event.batchCap === undefined) continue;
    const { records, datasetSize } = event.batchCap;
    // The neighbour with one row more counts too.
    mass += event.steps * binomialTail(datasetSize + 1, event.samplingRate, records);
  }
  return Math.min(1, mass);
}

/**
 * The smallest ε with base(δ − (1 + e^ε)·X) ≤ ε, approached from below; what is returned has been seen to hold.
 *
 * @param base ε of the same events without caps at the given δ, falling in δ
 */
export function withTruncation(base: (delta: number) => number, delta: number, mass: number): number {
  if (mass === 0) return base(delta);
  const next = (epsilon: number): number => {
    const left = delta - (1 + Math.exp(epsilon)) * mass;
    return left > 0 ? base(left) : Infinity;
  };
  let epsilon = next(0);
  for (let round = 0; round < 1_000 && Number.isFinite(epsilon); round++) {
    const enlarged = epsilon * (1 + 1e-9) + 1e-12;
    if (next(enlarged) <= enlarged) return enlarged;
    epsilon = Math.max(enlarged, next(epsilon));
  }
  return Infinity;
}
