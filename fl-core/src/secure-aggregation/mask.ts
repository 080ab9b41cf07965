/**
 * Masks: the key stream of AES-128 in counter mode, cut into ring elements. A key is derived for one pair, one round and
 * one roster, and used for one mask; the counter therefore starts at 0.
 *
 * The ring is the integers modulo 2^bits. Elements are kept in 32-bit words whose upper bits do not matter: 2^bits
 * divides 2^32, so sums are reduced once, when they are packed. A word of the key stream (little-endian) is an element,
 * whatever the ring: narrower elements would take fewer blocks, but cutting and adding them takes longer than the blocks.
 */
import { createCipheriv } from 'node:crypto';

export const MASK_KEY_BYTES = 16;
const COUNTER = new Uint8Array(16);

/** A mask, to be added or taken off. */
export interface SignedMask {
  /** 16 bytes, used for nothing else. */
  readonly key: Uint8Array;
  readonly sign: 1 | -1;
}

/** Masks that are added in one pass, in pieces of so many elements: 512 KiB stay in a core's own cache. */
const AT_ONCE = 8;
const PIECE = 16_384;
const ZEROS = new Uint8Array(PIECE * 4);
/** Ciphers that are open at the same time. */
const BATCH = 64;

/**
 * sum ← sum + Σ sign·mask, elementwise in the ring.
 *
 * @param sum words [P] of which the lower bits, as many as the ring has, count; all 32 are changed
 */
export function addMasks(sum: Uint32Array, masks: readonly SignedMask[]): void {
  // Signed words: engines add these as machine integers, but unsigned ones above 2^31 as floats.
  const signed = new Int32Array(sum.buffer, sum.byteOffset, sum.length);
  const piece = Math.min(PIECE, signed.length);
  const block = new Int32Array(AT_ONCE * piece);
  const bytes = new Uint8Array(block.buffer);
  for (let start = 0; start < masks.length; start += BATCH) {
    const groups = groupsOf(masks.slice(start, start + BATCH));
    for (let at = 0; at < signed.length; at += piece) {
      const count = Math.min(piece, signed.length - at);
      for (const { sign, ciphers } of groups) {
        // Side by side in one array: its bounds are checked once and the additions need few registers.
        for (const [row, cipher] of ciphers.entries()) {
          const stream = cipher.update(ZEROS.subarray(0, count * 4));
          bytes.set(stream, row * piece * 4);
          release(stream);
        }
        block.fill(0, ciphers.length * piece);
        if (sign === 1) addRows(signed, at, count, block, piece);
        else subtractRows(signed, at, count, block, piece);
      }
    }
  }
  block.fill(0);
}

/**
 * Frees a buffer now. Memory outside the engine's heap makes it collect everything after every 64 MB, which takes longer
 * than the key stream itself where much else is alive.
 */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function groupsOf(masks: readonly SignedMask[]) {
  return ([1, -1] as const).flatMap((sign) => {
    const ciphers = masks
      .filter((mask) => mask.sign === sign)
      .map(({ key }) => createCipheriv('aes-128-ctr', key, COUNTER));
    return Array.from({ length: Math.ceil(ciphers.length / AT_ONCE) }, (_, i) => ({
      sign,
      ciphers: ciphers.slice(i * AT_ONCE, (i + 1) * AT_ONCE),
    }));
  });
}

function addRows(sum: Int32Array, at: number, count: number, rows: Int32Array, width: number): void {
  for (let i = 0, j = at; i < count; i++, j++) sum[j] = (sum[j]! + columnSum(rows, i, width)) | 0;
}

function subtractRows(sum: Int32Array, at: number, count: number, rows: Int32Array, width: number): void {
  for (let i = 0, j = at; i < count; i++, j++) sum[j] = (sum[j]! - columnSum(rows, i, width)) | 0;
}

/** The sum of the eight rows' elements `i`, modulo 2^32. */
function columnSum(rows: Int32Array, i: number, width: number): number {
  const a = (rows[i]! + rows[i + width]!) | 0;
  const b = (rows[i + 2 * width]! + rows[i + 3 * width]!) | 0;
  const c = (rows[i + 4 * width]! + rows[i + 5 * width]!) | 0;
  const d = (rows[i + 6 * width]! + rows[i + 7 * width]!) | 0;
  return (((a + b) | 0) + ((c + d) | 0)) | 0;
}
