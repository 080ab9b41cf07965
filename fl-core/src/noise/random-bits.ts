/** Uniform random integers from the operating system's cryptographic generator. */
import { randomFillSync } from 'node:crypto';

export interface RandomBits {
  /** @returns a uniform integer in [0, 2^count), count ≤ 53 */
  bits(count: number): number;
  /** @returns a uniform integer in [0, n), n a positive safe integer; exact, by rejection */
  below(n: number): number;
  /** @returns a uniform integer in [0, n), n > 0 of any size */
  belowBig(n: bigint): bigint;
  /** @returns a uniform integer of `count` bits, of any count */
  bigBits(count: number): bigint;
}

const POOL_WORDS = 4_096;

/**
 * @param fill overwrites an array with random bytes; only tests give another than the operating system's
 */
export function createRandomBits(
  fill: (bytes: Uint8Array) => void = (bytes) => void randomFillSync(bytes),
): RandomBits {
  const pool = new Uint32Array(POOL_WORDS);
  const bytes = new Uint8Array(pool.buffer);
  let next = POOL_WORDS;
  const word = (): number => {
    if (next === POOL_WORDS) {
      fill(bytes);
      next = 0;
    }
    const value = pool[next]!;
    // Nothing that has been used stays in memory.
    pool[next++] = 0;
    return value;
  };
  const bits = (count: number): number =>
    count <= 32 ? (count === 0 ? 0 : word() >>> (32 - count)) : (word() >>> (64 - count)) * 2 ** 32 + word();
  const bigBits = (count: number): bigint => {
    let value = 0n;
    for (let left = count; left > 0; left -= 32) {
      const take = Math.min(32, left);
      value = (value << BigInt(take)) | BigInt(bits(take));
    }
    return value;
  };
  return {
    bits,
    bigBits,
    below(n) {
      if (n <= 2 ** 32) {
        const width = 32 - Math.clz32(n - 1);
        for (;;) {
          const value = bits(width);
          if (value < n) return value;
        }
      }
      const width = 64 - Math.clz32(Math.floor((n - 1) / 2 ** 32));
      for (;;) {
        const value = bits(width);
        if (value < n) return value;
      }
    },
    belowBig(n) {
      const width = (n - 1n).toString(2).length;
      for (;;) {
        const value = bigBits(width);
        if (value < n) return value;
      }
    },
  };
}
