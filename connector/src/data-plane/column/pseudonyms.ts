import { createCipheriv } from 'node:crypto';
import { isValid } from './column-validity.ts';
import type { IntegerText } from './integer-text.ts';
import { INLINE_BYTES, STRING_WORDS, type VectorStrings } from './string-copy.ts';

const BLOCK = 16;
const WORDS = BLOCK / 4;
/** Values that are encrypted at once: few enough for all of it to stay in the processor's cache. */
export const STRINGS_AT_ONCE = 2_048;
/** Longer values are rare: they are encrypted one by one instead of block by block with the others. */
const MOST_BLOCKS_TOGETHER = 8;
/** The constant of a field of 128-bit polynomials (SP 800-38B section 5.3). */
const R_128 = 0x87;

/** Bytes of a pseudonym: 96 bits in hexadecimal digits, far beyond collisions among the values of a table. */
export const PSEUDONYM_BYTES = 24;
export const PSEUDONYM_WORDS = PSEUDONYM_BYTES / 4;

/** Of a block with so many bytes of the value, four words that keep those. */
const KEPT = new Int32Array((BLOCK + 1) * WORDS);
/** Of a last block with so many bytes of the value, four words with the bit that follows them. */
const PADDING = new Int32Array((BLOCK + 1) * WORDS);
for (let length = 0; length <= BLOCK; length++) {
  new Uint8Array(KEPT.buffer).fill(0xff, length * BLOCK, length * BLOCK + length);
  if (length < BLOCK) new Uint8Array(PADDING.buffer)[length * BLOCK + length] = 0x80;
}

/**
 * Makes pseudonyms and writes them behind each other into `target`, from word `at` on: hexadecimal digits, 24 bytes
 * each.
 */
export interface Pseudonyms {
  /** Of values that lie behind each other: value i from `offsets[i]` to `offsets[i + 1]`. */
  ofValues(data: Uint8Array, offsets: Int32Array, count: number, target: Int32Array, at: number): void;
  /**
   * Of strings of a vector, `rows` from `from` on, 2048 at the most; those that are NULL are left out.
   *
   * @returns how many it made; undefined, and nothing is made, where a string lies outside of the vector
   */
  ofStrings(strings: VectorStrings, from: number, rows: number, target: Int32Array, at: number): number | undefined;
  /**
   * Of the decimal text of integers of a vector, `rows` from `from` on, 2048 at the most; those that are NULL are left
   * out.
   *
   * @returns how many it made
   */
  ofIntegers(integers: VectorIntegers, from: number, rows: number, target: Int32Array, at: number): number;
}

/** Integers of a vector, two words each. */
export interface VectorIntegers {
  readonly words: Int32Array;
  readonly mask: Uint8Array | null;
  readonly text: IntegerText;
}

/**
 * Pseudonyms under a key: AES-256-CMAC (NIST SP 800-38B, RFC 4493), a pseudorandom function, cut to 24 hexadecimal
 * digits. Many values at once are block by block one call of the cipher, which makes this faster by two orders of
 * magnitude than an HMAC for each.
 *
 * @param key 32 bytes
 */
export function createPseudonyms(key: Uint8Array): Pseudonyms {
  // The mode is CMAC's, block by block: ECB is the bare cipher here.
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  const once = doubled(cipher.update(new Uint8Array(BLOCK)));
  const whole = wordsOf(once);
  const padded = wordsOf(doubled(once));
  /** What is added to a last block with so many bytes of the value: the bit that follows them, and a subkey. */
  const ending = PADDING.map((word, i) => word ^ ((i < BLOCK * WORDS ? padded : whole)[i % WORDS] as number));
  const digits = fourDigits();
  const macs = new Int32Array(STRINGS_AT_ONCE * WORDS);
  /** Zeros between uses: values do not stay in it. */
  const input = new Uint8Array(STRINGS_AT_ONCE * BLOCK);
  const words = new Int32Array(input.buffer);
  /** Values that have more blocks, by their place among those at once. */
  const active = new Int32Array(STRINGS_AT_ONCE);
  /** Of integers of more than a block: the bytes beyond it, and how many. */
  const rests = new Int32Array(STRINGS_AT_ONCE * 2);

  /** Encrypts so many blocks of the input, and clears it. @returns what `use` makes of the words that come out */
  const encrypted = <T>(blocks: number, use: (output: Int32Array) => T): T => {
    const output = cipher.update(input.subarray(0, blocks * BLOCK));
    input.fill(0, 0, blocks * BLOCK);
    const used = use(wordsOf(output));
    // Left alone, they would make V8 collect its whole heap, again and again.
    if (output.byteLength === output.buffer.byteLength) output.buffer.transfer(0);
    return used;
  };

  const write = (from: Int32Array, count: number, target: Int32Array, at: number): void => {
    for (let i = 0, mac = 0, to = at; i < count; i++, mac += WORDS, to += PSEUDONYM_WORDS) {
      const first = from[mac] as number;
      const second = from[mac + 1] as number;
      const third = from[mac + 2] as number;
      // One by one: a loop takes twice as long.
      target[to] = digits[first & 0xffff] as number;
      target[to + 1] = digits[first >>> 16] as number;
      target[to + 2] = digits[second & 0xffff] as number;
      target[to + 3] = digits[second >>> 16] as number;
      target[to + 4] = digits[third & 0xffff] as number;
      target[to + 5] = digits[third >>> 16] as number;
    }
  };

  /** Encrypts one block of each active value, XOR its MAC so far. @returns how many have more blocks */
  const encryptBlock = (block: number, size: number, data: DataView, offsets: Int32Array, first: number): number => {
    for (let n = 0, word = 0; n < size; n++, word += WORDS) {
      const i = active[n] as number;
      const from = (offsets[first + i] as number) + block * BLOCK;
      const left = (offsets[first + i + 1] as number) - from;
      const last = left <= BLOCK;
      const kept = (last ? left : BLOCK) * WORDS;
      const mac = i * WORDS;
      for (let k = 0; k < WORDS; k++) {
        let value = data.getInt32(from + k * 4, true) & (KEPT[kept + k] as number);
        if (last) value ^= ending[kept + k] as number;
        if (block > 0) value ^= macs[mac + k] as number;
        words[word + k] = value;
      }
    }
    return encrypted(size, (output) => {
      let rest = 0;
      for (let n = 0, word = 0; n < size; n++, word += WORDS) {
        const i = active[n] as number;
        const mac = i * WORDS;
        for (let k = 0; k < WORDS; k++) macs[mac + k] = output[word + k] as number;
        const length = (offsets[first + i + 1] as number) - (offsets[first + i] as number);
        if (length > (block + 1) * BLOCK) active[rest++] = i;
      }
      return rest;
    });
  };

  return {
    ofValues(data, offsets, count, target, at) {
      const end = offsets[count] as number;
      // Blocks are read whole, also beyond the last value.
      const spare = data.buffer.byteLength - data.byteOffset - end >= BLOCK;
      const held = spare ? data : new Uint8Array(end + BLOCK);
      if (!spare) held.set(data.subarray(0, end));
      const view = new DataView(held.buffer, held.byteOffset);
      for (let first = 0; first < count; first += STRINGS_AT_ONCE) {
        const size = Math.min(STRINGS_AT_ONCE, count - first);
        let rest = 0;
        for (let i = 0; i < size; i++) {
          const from = offsets[first + i] as number;
          const to = offsets[first + i + 1] as number;
          if (to - from <= MOST_BLOCKS_TOGETHER * BLOCK) active[rest++] = i;
          else macs.set(ofLong(key, held.subarray(from, to), whole, padded), i * WORDS);
        }
        for (let block = 0; rest > 0; block++) rest = encryptBlock(block, rest, view, offsets, first);
        write(macs, size, target, at + first * PSEUDONYM_WORDS);
      }
      if (!spare) held.fill(0);
    },
    ofStrings({ words: source, mask }, from, rows, target, at) {
      let count = 0;
      for (let row = from, word = from * STRING_WORDS; row < from + rows; row++, word += STRING_WORDS) {
        if (mask !== null && !isValid(mask, row)) continue;
        const length = source[word] as number;
        if (length > INLINE_BYTES) {
          input.fill(0, 0, count * BLOCK);
          return undefined;
        }
        const kept = length * WORDS;
        const to = count * WORDS;
        words[to] = ((source[word + 1] as number) & (KEPT[kept] as number)) ^ (ending[kept] as number);
        words[to + 1] = ((source[word + 2] as number) & (KEPT[kept + 1] as number)) ^ (ending[kept + 1] as number);
        words[to + 2] = ((source[word + 3] as number) & (KEPT[kept + 2] as number)) ^ (ending[kept + 2] as number);
        words[to + 3] = ending[kept + 3] as number;
        count += 1;
      }
      encrypted(count, (output) => write(output, count, target, at));
      return count;
    },
    ofIntegers({ words: source, mask, text }, from, rows, target, at) {
      let count = 0;
      let long = 0;
      for (let row = from, word = from * 2; row < from + rows; row++, word += 2) {
        if (mask !== null && !isValid(mask, row)) continue;
        const to = count * WORDS;
        const length = text.write(source[word] as number, source[word + 1] as number, words, to);
        if (length <= BLOCK) {
          const end = length * WORDS;
          // One by one: a loop takes twice as long.
          words[to] = (words[to] as number) ^ (ending[end] as number);
          words[to + 1] = (words[to + 1] as number) ^ (ending[end + 1] as number);
          words[to + 2] = (words[to + 2] as number) ^ (ending[end + 2] as number);
          words[to + 3] = (words[to + 3] as number) ^ (ending[end + 3] as number);
        } else {
          active[long] = count;
          rests[long * 2] = text.rest;
          rests[long * 2 + 1] = length - BLOCK;
          long += 1;
        }
        count += 1;
      }
      if (long === 0) {
        encrypted(count, (output) => write(output, count, target, at));
        return count;
      }
      encrypted(count, (output) => macs.set(output));
      for (let n = 0, word = 0; n < long; n++, word += WORDS) {
        const mac = (active[n] as number) * WORDS;
        const end = (rests[n * 2 + 1] as number) * WORDS;
        words[word] = rests[n * 2] as number;
        for (let k = 0; k < WORDS; k++) {
          words[word + k] = (words[word + k] as number) ^ (macs[mac + k] as number) ^ (ending[end + k] as number);
        }
      }
      rests.fill(0, 0, long * 2);
      encrypted(long, (output) => {
        for (let n = 0, word = 0; n < long; n++, word += WORDS) {
          const mac = (active[n] as number) * WORDS;
          for (let k = 0; k < WORDS; k++) macs[mac + k] = output[word + k] as number;
        }
      });
      write(macs, count, target, at);
      return count;
    },
  };
}

/** Where the values begin of rows that are not NULL, and where the last one ends; a NULL has no bytes. */
export function startsOf(offsets: Int32Array, isNull: (row: number) => boolean): Int32Array {
  const starts = new Int32Array(offsets.length);
  const rows = offsets.length - 1;
  let count = 0;
  for (let row = 0; row < rows; row++) {
    if (!isNull(row)) starts[count++] = offsets[row] as number;
  }
  starts[count] = offsets[rows] as number;
  return starts.subarray(0, count + 1);
}

/** Offsets of the pseudonyms of so many rows, as Arrow lays out text: one that is NULL has no bytes. */
export function pseudonymOffsets(rows: number, isNull: (row: number) => boolean): Int32Array {
  const offsets = new Int32Array(rows + 1);
  for (let row = 0, end = 0; row < rows; row++) {
    if (!isNull(row)) end += PSEUDONYM_BYTES;
    offsets[row + 1] = end;
  }
  return offsets;
}

/**
 * A pseudonym for each value that is there, of no length where there is none, as Arrow lays out text.
 *
 * @param offsets of `rows` values in `data`, one more than rows; those that are NULL have no bytes
 */
export function pseudonymsOfText(
  pseudonyms: Pseudonyms,
  rows: number,
  offsets: Int32Array,
  data: Uint8Array,
  isNull: (row: number) => boolean,
): { valueOffsets: Int32Array; data: Uint8Array } {
  const starts = startsOf(offsets.subarray(0, rows + 1), isNull);
  const count = starts.length - 1;
  const target = new Int32Array(count * PSEUDONYM_WORDS);
  pseudonyms.ofValues(data, starts, count, target, 0);
  return { valueOffsets: pseudonymOffsets(rows, isNull), data: new Uint8Array(target.buffer) };
}

let digitsOfTwoBytes: Int32Array | undefined;

/** Four hexadecimal digits as text, for each value of two bytes; 256 KB, made when they are first needed. */
function fourDigits(): Int32Array {
  if (digitsOfTwoBytes === undefined) {
    const ofByte = Uint16Array.from({ length: 256 }, (_, byte) => {
      const digits = byte.toString(16).padStart(2, '0');
      return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8);
    });
    digitsOfTwoBytes = new Int32Array(2 ** 16);
    for (let value = 0; value < 2 ** 16; value++) {
      digitsOfTwoBytes[value] = (ofByte[value & 0xff] as number) | ((ofByte[value >> 8] as number) << 16);
    }
  }
  return digitsOfTwoBytes;
}

function xorWords(target: Int32Array, at: number, other: Int32Array): void {
  for (let k = 0; k < WORDS; k++) target[at + k] = (target[at + k] as number) ^ (other[k] as number);
}

/** CBC with an IV of zeros chains the blocks as CMAC does. */
function ofLong(key: Uint8Array, value: Uint8Array, whole: Int32Array, padded: Int32Array): Int32Array {
  const size = Math.ceil(value.length / BLOCK) * BLOCK;
  const message = new Uint8Array(size);
  message.set(value);
  if (value.length < size) message[value.length] = 0x80;
  xorWords(new Int32Array(message.buffer), size / 4 - WORDS, value.length < size ? padded : whole);
  const cipher = createCipheriv('aes-256-cbc', key, new Uint8Array(BLOCK)).setAutoPadding(false);
  return wordsOf(cipher.update(message).subarray(-BLOCK));
}

/** The same memory where words are aligned in it, else a copy. */
function wordsOf(bytes: Uint8Array): Int32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** Multiplication by x in the field (SP 800-38B section 6.1). */
function doubled(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(BLOCK);
  for (let k = 0; k < BLOCK; k++) {
    result[k] = ((block[k] as number) << 1) | ((block[k + 1] ?? 0) >> 7);
  }
  if ((block[0] as number) & 0x80) result[BLOCK - 1] = (result[BLOCK - 1] as number) ^ R_128;
  return result;
}
