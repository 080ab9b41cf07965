/** The randomness that privacy rests on: noise and sampling, from the operating system's CSPRNG only. */
import { randomFillSync } from 'node:crypto';

/** Fills the whole array with uniform bytes. An argument everywhere, so that a test can state its source. */
export type FillRandom = (words: Uint32Array) => void;

/** node:crypto's generator, seeded by the operating system. */
export const systemRandom: FillRandom = (words) => {
  randomFillSync(words);
};

/** 64 KiB: large enough that the call's cost does not show, small enough to stay in cache. */
const BLOCK_WORDS = 16_384;

/**
 * Adds independent N(0, σ²) noise to every value: Box and Muller 1958 on uniforms of 53 bits in (0, 1].
 *
 * The normal distribution is approximated in two ways: |noise| is at most √(2·53·ln 2)·σ = 8.57 σ (a true Gaussian
 * goes beyond with probability 10⁻¹⁷), and results are float64, rounded to float32 where they are stored. Mironov, "On
 * significance of the least significant bits for differential privacy" (2012) shows that the least bits of a noisy
 * value can betray what was added, when that very value is released. Here it is not: what leaves is float32 parameters
 * after many steps, each of which has multiplied, added and rounded the noisy sum again. This makes the attack harder;
 * it is no proof. A proof needs noise on integers (Canonne, Kamath, Steinke 2020).
 *
 * @param values any length, changed in place
 * @param standardDeviation σ·C ≥ 0
 */
export function addGaussianNoise(
  values: Float64Array,
  standardDeviation: number,
  random: FillRandom = systemRandom,
): void {
  const words = new Uint32Array(BLOCK_WORDS);
  // A pair of values takes two uniforms of two words each.
  const pairsInBlock = BLOCK_WORDS / 4;
  for (let at = 0; at < values.length;) {
    const pairs = Math.min(pairsInBlock, Math.ceil((values.length - at) / 2));
    random(words.subarray(0, pairs * 4));
    for (let pair = 0; pair < pairs; pair++, at += 2) {
      const radius = standardDeviation * Math.sqrt(-2 * Math.log(uniform53(words, pair * 4)));
      const angle = 2 * Math.PI * uniform53(words, pair * 4 + 2);
      values[at] = (values[at] ?? 0) + radius * Math.cos(angle);
      if (at + 1 < values.length) values[at + 1] = (values[at + 1] ?? 0) + radius * Math.sin(angle);
    }
  }
}

/** Uniform in {1, …, 2⁵³}/2⁵³: never 0, whose logarithm is infinite. */
function uniform53(words: Uint32Array, at: number): number {
  return (((words[at] ?? 0) >>> 5) * 0x400_0000 + ((words[at + 1] ?? 0) >>> 6) + 1) / 0x20_0000_0000_0000;
}

/**
 * A Poisson sample: every candidate is in it independently with the same probability ⌊q·2³²⌋/2³², which is at most q
 * and within 2⁻³² of it. What is accounted for at q is thus never less than what was sampled.
 *
 * @param candidates row indices
 * @param samplingRate q in 0…1
 * @returns the chosen candidates, in order; possibly none
 */
export function poissonSample(
  candidates: Uint32Array,
  samplingRate: number,
  random: FillRandom = systemRandom,
): Uint32Array {
  const threshold = Math.floor(samplingRate * 0x1_0000_0000);
  const chosen = new Uint32Array(candidates.length);
  const words = new Uint32Array(Math.min(BLOCK_WORDS, candidates.length));
  let count = 0;
  for (let start = 0; start < candidates.length; start += words.length) {
    const block = words.subarray(0, Math.min(words.length, candidates.length - start));
    random(block);
    for (let i = 0; i < block.length; i++) {
      // Written without a branch on the random word, which would be mispredicted.
      chosen[count] = candidates[start + i] ?? 0;
      count += (block[i] ?? 0) < threshold ? 1 : 0;
    }
  }
  return chosen.subarray(0, count);
}
