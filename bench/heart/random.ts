/**
 * Randomness that a seed repeats, for experiments only: the key stream of AES-128 in counter mode. A node takes the
 * operating system's.
 */
import { createCipheriv, hash } from 'node:crypto';

export interface SeededRandom {
  /** Fills the whole array. */
  readonly fill: (words: Uint32Array) => void;
  /** @returns a uniform number in [0, 1) */
  readonly uniform: () => number;
  /** @returns 0 … n − 1 in random order (Fisher and Yates) */
  readonly permutation: (n: number) => Uint32Array;
}

/** @param name whatever tells this stream from every other, the seed included */
export function seededRandom(name: string): SeededRandom {
  const key = hash('sha256', name, 'buffer').subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', key, new Uint8Array(16));
  const fill = (words: Uint32Array): void => {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    bytes.set(cipher.update(new Uint8Array(bytes.length)));
  };
  const word = new Uint32Array(1);
  const uniform = (): number => {
    fill(word);
    return word[0]! / 2 ** 32;
  };
  return {
    fill,
    uniform,
    permutation(n) {
      const order = Uint32Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(uniform() * (i + 1));
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  };
}
