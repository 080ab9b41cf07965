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

/** Elements that are masked at once; a multiple of 32, so that they are packed to whole words. */
export const PIECE = 16_384;
/**
 * Masks that are added in one pass: their pieces, 512 KiB, stay in a core's own cache. The rows' distance is a constant, so
 * that the engine checks an index with few instructions.
 */
const ROWS = 8;
/** Overwritten by every piece of every stream: to make it anew for each would take longer than a small model's masks. */
const rows = new Int32Array(ROWS * PIECE);
const bytes = new Uint8Array(rows.buffer);
const ZEROS = new Uint8Array(PIECE * 4);
/** Encrypted, gives a key stream's complement: −1 − mask, for masks that are taken off. */
const ONES = new Uint8Array(PIECE * 4).fill(255);
/** Ciphers that are open at the same time. */
const BATCH = 64;

/**
 * sum ← sum + Σ sign·mask, elementwise in the ring.
 *
 * @param sum words [P] of which the lower bits, as many as the ring has, count; all 32 are changed
 */
export function addMasks(sum: Uint32Array, masks: readonly SignedMask[]): void {
  for (let start = 0; start < masks.length; start += BATCH) {
    const { add, end } = streamMasks(masks.slice(start, start + BATCH));
    for (let at = 0; at < sum.length; at += PIECE) add(sum.subarray(at, at + PIECE));
    end();
  }
}

/** Masks from their beginning on, piece by piece. */
export interface MaskStream {
  /** Adds to at most PIECE words what the masks have at their place. */
  readonly add: (piece: Uint32Array) => void;
  /** Leaves nothing of the masks in memory. */
  readonly end: () => void;
}

export function streamMasks(masks: readonly SignedMask[]): MaskStream {
  const streams = masks.map(({ key, sign }) => ({
    cipher: createCipheriv('aes-128-ctr', key, COUNTER),
    plain: sign === 1 ? ZEROS : ONES,
    complement: sign === 1 ? 0 : 1,
  }));
  let longest = 0;
  return {
    add(piece) {
      longest = Math.max(longest, piece.length);
      // Signed words: engines add these as machine integers, but unsigned ones above 2^31 as floats.
      const signed = new Int32Array(piece.buffer, piece.byteOffset, piece.length);
      for (let first = 0; first < streams.length; first += ROWS) {
        let complements = 0;
        const used = Math.min(ROWS, streams.length - first);
        for (let row = 0; row < used; row++) {
          const { cipher, plain, complement } = streams[first + row]!;
          const stream = cipher.update(plain.subarray(0, piece.length * 4));
          bytes.set(stream, row * PIECE * 4);
          release(stream);
          complements += complement;
        }
        for (let row = used; row < ROWS; row++) rows.fill(0, row * PIECE, row * PIECE + piece.length);
        addRows(signed, complements);
      }
    },
    end() {
      for (let row = 0; row < ROWS; row++) rows.fill(0, row * PIECE, row * PIECE + longest);
    },
  };
}

/**
 * Frees a buffer now. Memory outside the engine's heap makes it collect everything after every 64 MB, which takes longer
 * than the key stream itself where much else is alive.
 */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/** sum[i] ← sum[i] + constant + the sum of the eight rows' elements i, modulo 2^32. */
function addRows(sum: Int32Array, constant: number): void {
  for (let i = 0; i < sum.length; i++) {
    const a = (rows[i]! + rows[i + PIECE]!) | 0;
    const b = (rows[i + 2 * PIECE]! + rows[i + 3 * PIECE]!) | 0;
    const c = (rows[i + 4 * PIECE]! + rows[i + 5 * PIECE]!) | 0;
    const d = (rows[i + 6 * PIECE]! + rows[i + 7 * PIECE]!) | 0;
    sum[i] = (((sum[i]! + constant) | 0) + ((((a + b) | 0) + ((c + d) | 0)) | 0)) | 0;
  }
}
