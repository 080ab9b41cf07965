/**
 * Masks: the key stream of AES-128 in counter mode, cut into ring elements. A key is derived for one pair, one round and
 * one roster, and used for one mask; the counter therefore starts at 0.
 *
 * The ring is the integers modulo 2^bits. Elements are kept in 32-bit words whose upper bits do not matter: 2^bits
 * divides 2^32, so sums are reduced once, when they are packed.
 */
import { createCipheriv } from 'node:crypto';

export const MASK_KEY_BYTES = 16;
/** A multiple of 16 (blocks) and of 12 (three words that hold four 24-bit elements). */
const CHUNK_BYTES = 61_440;
const ZEROS = new Uint8Array(CHUNK_BYTES);
const COUNTER = new Uint8Array(16);

/**
 * sum ← sum + sign·mask, elementwise in the ring.
 *
 * @param sum words [P] of which the lower `bits` bits count
 * @param key 16 bytes, used for nothing else
 * @param bits of the ring, 1 … 32: the key stream is read in steps of 16, 24 or 32 bits
 */
export function addMask(sum: Uint32Array, key: Uint8Array, sign: 1 | -1, bits: number): void {
  const cipher = createCipheriv('aes-128-ctr', key, COUNTER);
  const width = bits <= 16 ? 2 : bits <= 24 ? 3 : 4;
  const add = width === 2 ? addHalves : width === 3 ? addThirds : addWords;
  const perChunk = CHUNK_BYTES / width;
  // Signed words: engines add these as machine integers, but unsigned ones above 2^31 as floats.
  const signed = new Int32Array(sum.buffer, sum.byteOffset, sum.length);
  for (let at = 0; at < sum.length; at += perChunk) {
    const count = Math.min(perChunk, sum.length - at);
    const bytes = Math.ceil((count * width) / 12) * 12;
    const stream = cipher.update(bytes === CHUNK_BYTES ? ZEROS : ZEROS.subarray(0, bytes));
    add(signed, at, count, stream.byteOffset % 4 === 0 ? stream : Uint8Array.from(stream), sign);
  }
}

const wordsOf = (bytes: Uint8Array): Int32Array =>
  new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);

function addWords(sum: Int32Array, at: number, count: number, stream: Uint8Array, sign: 1 | -1): void {
  const words = wordsOf(stream);
  if (sign === 1) for (let i = 0; i < count; i++) sum[at + i] = (sum[at + i]! + words[i]!) | 0;
  else for (let i = 0; i < count; i++) sum[at + i] = (sum[at + i]! - words[i]!) | 0;
}

function addThirds(sum: Int32Array, at: number, count: number, stream: Uint8Array, sign: 1 | -1): void {
  const words = wordsOf(stream);
  const whole = count - (count % 4);
  let w = 0;
  if (sign === 1) {
    for (let i = at; i < at + whole; i += 4, w += 3) {
      const a = words[w]!;
      const b = words[w + 1]!;
      const c = words[w + 2]!;
      sum[i] = (sum[i]! + a) | 0;
      sum[i + 1] = (sum[i + 1]! + ((a >>> 24) | (b << 8))) | 0;
      sum[i + 2] = (sum[i + 2]! + ((b >>> 16) | (c << 16))) | 0;
      sum[i + 3] = (sum[i + 3]! + (c >>> 8)) | 0;
    }
  } else {
    for (let i = at; i < at + whole; i += 4, w += 3) {
      const a = words[w]!;
      const b = words[w + 1]!;
      const c = words[w + 2]!;
      sum[i] = (sum[i]! - a) | 0;
      sum[i + 1] = (sum[i + 1]! - ((a >>> 24) | (b << 8))) | 0;
      sum[i + 2] = (sum[i + 2]! - ((b >>> 16) | (c << 16))) | 0;
      sum[i + 3] = (sum[i + 3]! - (c >>> 8)) | 0;
    }
  }
  for (let i = whole; i < count; i++) {
    const value = stream[i * 3]! | (stream[i * 3 + 1]! << 8) | (stream[i * 3 + 2]! << 16);
    sum[at + i] = (sum[at + i]! + sign * value) | 0;
  }
}

function addHalves(sum: Int32Array, at: number, count: number, stream: Uint8Array, sign: 1 | -1): void {
  const halves = new Uint16Array(stream.buffer, stream.byteOffset, stream.byteLength >> 1);
  if (sign === 1) for (let i = 0; i < count; i++) sum[at + i] = (sum[at + i]! + halves[i]!) | 0;
  else for (let i = 0; i < count; i++) sum[at + i] = (sum[at + i]! - halves[i]!) | 0;
}
