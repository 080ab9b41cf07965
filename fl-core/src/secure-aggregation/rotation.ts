/**
 * A random rotation that spreads every coordinate over all, so that no coordinate of a clipped vector is large: signs
 * drawn from a seed, then the Walsh-Hadamard transform (Kairouz, Liu, Steinke 2021, section 4.2). The transform needs a
 * power of two; instead of padding, which would enlarge the update by up to a factor of two, the largest power of two
 * that fits is rotated twice: the first 2^m coordinates, then the last 2^m. Every coordinate is then a sum over 2^m, and
 * the whole is orthogonal.
 *
 * The seed is public and the same for the cohort; the rotation is for accuracy, not for privacy.
 */
import { createCipheriv, hash } from 'node:crypto';

/** @returns 2^m, the largest power of two that is at most `length` */
export const rotatedLength = (length: number): number => 2 ** Math.floor(Math.log2(length));

/** values ← rotation(values); float64 [P], changed in place. */
export function rotate(values: Float64Array, seed: string): void {
  const size = rotatedLength(values.length);
  const [first, last] = signsOf(seed, size);
  const head = values.subarray(0, size);
  flip(head, first);
  transform(head);
  if (size === values.length) return;
  const tail = values.subarray(values.length - size);
  flip(tail, last);
  transform(tail);
}

/** The inverse of rotate. */
export function rotateBack(values: Float64Array, seed: string): void {
  const size = rotatedLength(values.length);
  const [first, last] = signsOf(seed, size);
  if (size < values.length) {
    const tail = values.subarray(values.length - size);
    transform(tail);
    flip(tail, last);
  }
  const head = values.subarray(0, size);
  transform(head);
  flip(head, first);
}

/** Two times `size` pseudorandom signs, as bits. */
function signsOf(seed: string, size: number): readonly [Uint8Array, Uint8Array] {
  const cipher = createCipheriv(
    'aes-128-ctr',
    hash('sha256', `foedus rotation ${seed}`, 'buffer').subarray(0, 16),
    new Uint8Array(16),
  );
  const bytes = Math.ceil(size / 8);
  return [cipher.update(new Uint8Array(bytes)), cipher.update(new Uint8Array(bytes))];
}

function flip(values: Float64Array, signs: Uint8Array): void {
  for (let i = 0; i < values.length; i++) if ((signs[i >> 3]! >> (i & 7)) & 1) values[i] = -values[i]!;
}

/** The orthonormal Walsh-Hadamard transform, in place; its own inverse. Two levels a pass halve the memory traffic. */
function transform(values: Float64Array): void {
  const n = values.length;
  let half = 1;
  if (Math.log2(n) % 2 === 1) {
    for (let i = 0; i < n; i += 2) {
      const [a, b] = [values[i]!, values[i + 1]!];
      values[i] = a + b;
      values[i + 1] = a - b;
    }
    half = 2;
  }
  for (; half < n; half *= 4) {
    for (let block = 0; block < n; block += 4 * half) {
      for (let i = block; i < block + half; i++) {
        const a = values[i]!;
        const b = values[i + half]!;
        const c = values[i + 2 * half]!;
        const d = values[i + 3 * half]!;
        values[i] = a + b + (c + d);
        values[i + half] = a - b + (c - d);
        values[i + 2 * half] = a + b - (c + d);
        values[i + 3 * half] = a - b - (c - d);
      }
    }
  }
  const scale = 1 / Math.sqrt(n);
  for (let i = 0; i < n; i++) values[i] = values[i]! * scale;
}
