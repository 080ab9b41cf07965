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
  turn(values.subarray(0, size), first);
  if (size < values.length) turn(values.subarray(values.length - size), last);
}

/** The inverse of rotate. */
export function rotateBack(values: Float64Array, seed: string): void {
  const size = rotatedLength(values.length);
  const [first, last] = signsOf(seed, size);
  if (size < values.length) turnBack(values.subarray(values.length - size), last);
  turnBack(values.subarray(0, size), first);
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

/** Values that stay in a core's first cache, 32 KiB: all levels of the transform that lie within are done at once. */
const BLOCK = 4_096;

/** Signs, then the orthonormal Walsh-Hadamard transform, in place. */
function turn(values: Float64Array, signs: Uint8Array): void {
  const within = Math.min(values.length, BLOCK);
  for (let start = 0; start < values.length; start += within) {
    flip(values, start, start + within, signs);
    transform(values, start, start + within, 1, within);
  }
  transform(values, 0, values.length, within, values.length);
}

/** The inverse: levels of the transform may be done in any order. */
function turnBack(values: Float64Array, signs: Uint8Array): void {
  const within = Math.min(values.length, BLOCK);
  transform(values, 0, values.length, within, values.length);
  for (let start = 0; start < values.length; start += within) {
    transform(values, start, start + within, 1, within);
    flip(values, start, start + within, signs);
  }
}

/** Signs and the transform's scale; without a branch, which would be guessed wrong every other time. */
function flip(values: Float64Array, start: number, end: number, signs: Uint8Array): void {
  const scale = 1 / Math.sqrt(values.length);
  for (let i = start; i < end; i++) {
    values[i] = values[i]! * (1 - (((signs[i >> 3]! >> (i & 7)) & 1) << 1)) * scale;
  }
}

/**
 * The levels of the transform that combine values `from` … `to`/2 apart, of values `start` … `end`: three levels a pass,
 * for less memory traffic.
 */
function transform(values: Float64Array, start: number, end: number, from: number, to: number): void {
  let half = from;
  for (; half * 8 <= to; half *= 8) {
    for (let block = start; block < end; block += 8 * half) eighths(values, block, half);
  }
  if (half * 4 === to) for (let block = start; block < end; block += 4 * half) quarters(values, block, half);
  if (half * 2 === to) for (let block = start; block < end; block += 2 * half) halves(values, block, half);
}

function halves(values: Float64Array, block: number, half: number): void {
  for (let i = block; i < block + half; i++) {
    const a = values[i]!;
    const b = values[i + half]!;
    values[i] = a + b;
    values[i + half] = a - b;
  }
}

function quarters(values: Float64Array, block: number, half: number): void {
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

function eighths(values: Float64Array, block: number, half: number): void {
  for (let i = block; i < block + half; i++) {
    const a = values[i]! + values[i + half]!;
    const b = values[i]! - values[i + half]!;
    const c = values[i + 2 * half]! + values[i + 3 * half]!;
    const d = values[i + 2 * half]! - values[i + 3 * half]!;
    const e = values[i + 4 * half]! + values[i + 5 * half]!;
    const f = values[i + 4 * half]! - values[i + 5 * half]!;
    const g = values[i + 6 * half]! + values[i + 7 * half]!;
    const h = values[i + 6 * half]! - values[i + 7 * half]!;
    values[i] = a + c + (e + g);
    values[i + half] = b + d + (f + h);
    values[i + 2 * half] = a - c + (e - g);
    values[i + 3 * half] = b - d + (f - h);
    values[i + 4 * half] = a + c - (e + g);
    values[i + 5 * half] = b + d - (f + h);
    values[i + 6 * half] = a - c - (e - g);
    values[i + 7 * half] = b - d - (f - h);
  }
}
