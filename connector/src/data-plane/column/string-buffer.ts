import { FoedusError } from '../../errors.ts';
import { isValid } from './column-validity.ts';
import { INLINE_BYTES, STRING_WORDS, copyLong, type VectorStrings } from './string-copy.ts';
import type { VectorReader } from './vector-reader.ts';

/** Offsets of an Arrow string column are 32-bit. */
const LARGEST_OFFSET = 2 ** 31 - 1;
const FIRST_BYTES = 64 * 1024;

/** Strings behind each other, as Arrow lays them out: string i from `offsets[i]` to `offsets[i + 1]` in `data`. */
export interface StringBuffer {
  readonly rows: number;
  /** Bytes of all of them. */
  readonly end: number;
  /** Copies `count` strings of a vector from `from` on; those that are NULL get no bytes. */
  append(strings: VectorStrings, from: number, count: number): void;
  appendNulls(count: number): void;
  /** The strings so far, good until the next ones are appended; the buffer is empty afterwards. */
  take(): { offsets: Int32Array; data: Uint8Array };
}

/** @param capacity strings that it is made for; it grows where more come */
export function createStringBuffer(name: string, reader: VectorReader, capacity: number): StringBuffer {
  let offsets = new Int32Array(capacity + 1);
  let values = new Uint8Array(FIRST_BYTES);
  let rows = 0;
  let end = 0;
  const reserveRows = (more: number): void => {
    const size = rows + more + 1;
    if (size <= offsets.length) return;
    const larger = new Int32Array(Math.max(size, offsets.length * 2));
    larger.set(offsets);
    offsets = larger;
  };
  /** Room for `size` bytes; what has been written stays. */
  const reserveBytes = (size: number): void => {
    if (size > LARGEST_OFFSET) {
      throw new FoedusError('too-large', `The values of the column "${name}" are too long to be sent.`);
    }
    if (size > values.length) {
      const larger = new Uint8Array(Math.min(LARGEST_OFFSET, Math.max(values.length * 2, size)));
      larger.set(values);
      values = larger;
    }
  };
  /** Strings of any length. @returns where the last one ends */
  const appendAny = (strings: VectorStrings, from: number, count: number): number => {
    const { words, mask } = strings;
    let at = end;
    for (let i = 0, word = from * STRING_WORDS; i < count; i++, word += STRING_WORDS) {
      if (isValid(mask, from + i)) at += words[word] as number;
      offsets[rows + i + 1] = at;
    }
    // Three words are written for each that lies in the vector, however short it is.
    reserveBytes(at + INLINE_BYTES);
    const view = new DataView(values.buffer);
    for (let i = 0, word = from * STRING_WORDS; i < count; i++, word += STRING_WORDS) {
      if (isValid(mask, from + i) && (words[word] as number) <= INLINE_BYTES) {
        writeInline(view, offsets[rows + i] as number, words, word);
      }
    }
    // The longer ones after them: what was written behind a short one is theirs.
    copyLong(strings, from, count, offsets.subarray(rows), values, reader);
    return at;
  };
  return {
    get rows() {
      return rows;
    },
    get end() {
      return end;
    },
    append(strings, from, count) {
      reserveRows(count);
      reserveBytes(end + (count + 1) * INLINE_BYTES);
      end = copyInline(strings, from, count, offsets, rows, values) ?? appendAny(strings, from, count);
      rows += count;
    },
    appendNulls(count) {
      reserveRows(count);
      offsets.fill(end, rows + 1, rows + 1 + count);
      rows += count;
    },
    take() {
      const taken = { offsets: offsets.subarray(0, rows + 1), data: values.subarray(0, end) };
      rows = 0;
      end = 0;
      return taken;
    },
  };
}

/** Three words whatever the length: what is too much is overwritten by the next, and lies behind the last. */
function writeInline(target: DataView, at: number, words: Uint32Array, word: number): void {
  target.setUint32(at, words[word + 1] as number, true);
  target.setUint32(at + 4, words[word + 2] as number, true);
  target.setUint32(at + 8, words[word + 3] as number, true);
}

/** Strings that all lie in the vector. @returns where the last one ends; undefined where one does not */
function copyInline(
  { words, mask }: VectorStrings,
  from: number,
  count: number,
  offsets: Int32Array,
  first: number,
  values: Uint8Array,
): number | undefined {
  const target = new DataView(values.buffer);
  let at = offsets[first] as number;
  for (let i = 0, word = from * STRING_WORDS; i < count; i++, word += STRING_WORDS) {
    if (mask === null || isValid(mask, from + i)) {
      const length = words[word] as number;
      if (length > INLINE_BYTES) return undefined;
      writeInline(target, at, words, word);
      at += length;
    }
    offsets[first + i + 1] = at;
  }
  return at;
}
