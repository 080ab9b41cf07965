import duckdb from '@duckdb/node-bindings';
import * as arrow from 'apache-arrow';
import { FoedusError } from '../errors.ts';
import type { CarriedType } from './carried-type.ts';
import type { ColumnBuilder, DataProperties } from './column-builder.ts';
import { createValidity, isValid, validityOf } from './column-validity.ts';

/** Offsets of an Arrow string column are 32-bit. */
const LARGEST_OFFSET = 2 ** 31 - 1;
/** DuckDB's string in words of 4 bytes: length, then 12 bytes of value, or a prefix and a pointer. */
const STRING_WORDS = 4;
const INLINE_BYTES = 12;
/**
 * Strings whose bytes lie so close behind each other are read at once. Both ends of the gap are in pages that exist,
 * and between them there is no room for another page.
 */
const LARGEST_GAP = 16;
const FIRST_BYTES = 64 * 1024;

/** Text and bytes; as a dictionary, or all of the same length, where the type says so. */
export function bytesColumn(
  name: string,
  type: Extract<CarriedType, { layout: 'bytes' | 'dictionary' | 'fixed-bytes' }>,
  capacity: number,
): ColumnBuilder {
  let offsets = new Int32Array(capacity + 1);
  const validity = createValidity(capacity);
  let values = new Uint8Array(FIRST_BYTES);
  let end = 0;
  const reserveRows = (more: number): void => {
    const size = validity.rows + more + 1;
    if (size <= offsets.length) return;
    const larger = new Int32Array(Math.max(size, offsets.length * 2));
    larger.set(offsets);
    offsets = larger;
  };
  const reserveBytes = (size: number): void => {
    if (size <= values.length) return;
    if (size > LARGEST_OFFSET) {
      throw new FoedusError('too-large', `The values of the column "${name}" are too long to be sent.`);
    }
    const larger = new Uint8Array(Math.min(LARGEST_OFFSET, Math.max(values.length * 2, size)));
    larger.set(values.subarray(0, end));
    values = larger;
  };
  return {
    get bytes() {
      return end;
    },
    get rows() {
      return validity.rows;
    },
    open(vector, size) {
      const strings = duckdb.vector_get_data(vector, size * STRING_WORDS * 4);
      const words = new Uint32Array(strings.buffer, strings.byteOffset, size * STRING_WORDS);
      const mask = validityOf(vector, size);
      return (from, count) => {
        reserveRows(count);
        const first = validity.rows;
        let long = 0;
        let at = end;
        for (let i = 0; i < count; i++) {
          if (isValid(mask, from + i)) {
            const length = words[(from + i) * STRING_WORDS] as number;
            if (length > INLINE_BYTES) long++;
            at += length;
            if (at > LARGEST_OFFSET) reserveBytes(at);
          }
          offsets[first + i + 1] = at;
        }
        reserveBytes(at);
        const start = offsets.subarray(first);
        if (long < count) copyInline(strings, words, mask, from, count, start, values);
        if (long > 0) copyLong(strings, words, mask, from, count, start, values);
        end = at;
        validity.append(mask, from, count, () => undefined);
      };
    },
    appendNulls(count) {
      reserveRows(count);
      offsets.fill(end, validity.rows + 1, validity.rows + 1 + count);
      validity.appendNulls(count);
    },
    take() {
      const length = validity.rows;
      const valueOffsets = offsets.subarray(0, length + 1);
      const data = values.subarray(0, end);
      end = 0;
      if (type.layout === 'fixed-bytes') {
        const fixed = sameLength(name, type.width, length, valueOffsets, data, validity.isNull);
        return arrow.makeData({ type: type.arrow, length, ...validity.take(), data: fixed } as DataProperties);
      }
      if (type.layout === 'bytes') {
        return arrow.makeData({ type: type.arrow, length, ...validity.take(), valueOffsets, data } as DataProperties);
      }
      const { indices, dictionary } = encoded(type.values, length, valueOffsets, data, validity.isNull);
      return arrow.makeData({
        type: type.arrow,
        length,
        ...validity.take(),
        data: indices,
        dictionary,
      } as DataProperties);
    },
  };
}

/** Copies the strings that lie in the vector itself. `offsets[i]`: where string i begins in `target`. */
function copyInline(
  strings: Uint8Array,
  words: Uint32Array,
  mask: Uint8Array | null,
  from: number,
  count: number,
  offsets: Int32Array,
  target: Uint8Array,
): void {
  for (let i = 0; i < count; i++) {
    const row = from + i;
    const length = words[row * STRING_WORDS] as number;
    if (length > INLINE_BYTES || !isValid(mask, row)) continue;
    const source = row * STRING_WORDS * 4 + 4;
    const to = offsets[i] as number;
    for (let k = 0; k < length; k++) target[to + k] = strings[source + k] as number;
  }
}

/** Copies the strings that the vector points to: neighbours at once, and none twice that several rows share. */
function copyLong(
  strings: Uint8Array,
  words: Uint32Array,
  mask: Uint8Array | null,
  from: number,
  count: number,
  offsets: Int32Array,
  target: Uint8Array,
): void {
  const seen = new Map<number, number>();
  /** Rows of the run of neighbours under way. */
  let run: number[] = [];
  let runStart = 0;
  let runEnd = 0;
  const finish = (): void => {
    if (run.length === 0) return;
    const firstRow = run[0] as number;
    const pointer = strings.byteOffset + (from + firstRow) * STRING_WORDS * 4 + 8;
    const bytes = duckdb.get_data_from_pointer(strings.buffer as ArrayBuffer, pointer, runEnd - runStart);
    for (const i of run) {
      const at = pointerOf(words, from + i) - runStart;
      const to = offsets[i] as number;
      target.set(bytes.subarray(at, at + (offsets[i + 1] as number) - to), to);
    }
    run = [];
  };
  for (let i = 0; i < count; i++) {
    const row = from + i;
    const length = words[row * STRING_WORDS] as number;
    if (length <= INLINE_BYTES || !isValid(mask, row)) continue;
    const pointer = pointerOf(words, row);
    const gap = pointer - runEnd;
    if (run.length > 0 && gap >= 0 && gap <= LARGEST_GAP) {
      run.push(i);
      runEnd = pointer + length;
      continue;
    }
    const earlier = seen.get(pointer);
    if (earlier !== undefined && (offsets[earlier + 1] as number) - (offsets[earlier] as number) === length) {
      // The earlier one may still wait in the run.
      if (run.includes(earlier)) finish();
      target.copyWithin(offsets[i] as number, offsets[earlier] as number, (offsets[earlier] as number) + length);
      continue;
    }
    finish();
    run = [i];
    runStart = pointer;
    runEnd = pointer + length;
    seen.set(pointer, i);
  }
  finish();
}

/** An address below 2^53, as all that processors use are. */
function pointerOf(words: Uint32Array, row: number): number {
  return (words[row * STRING_WORDS + 2] as number) + (words[row * STRING_WORDS + 3] as number) * 2 ** 32;
}

function sameLength(
  name: string,
  width: number,
  rows: number,
  offsets: Int32Array,
  data: Uint8Array,
  isNull: (row: number) => boolean,
): Uint8Array {
  const fixed = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    if (isNull(row)) continue;
    const value = data.subarray(offsets[row], offsets[row + 1]);
    if (value.length !== width) {
      throw new FoedusError('unavailable', `A value of the column "${name}" has not the length that all have.`);
    }
    fixed.set(value, row * width);
  }
  return fixed;
}

/** The distinct values of this batch and nothing else: a dictionary of the file would tell of rows that do not leave. */
function encoded(
  type: arrow.Utf8,
  rows: number,
  offsets: Int32Array,
  data: Uint8Array,
  isNull: (row: number) => boolean,
): { indices: Int32Array; dictionary: arrow.Vector<arrow.Utf8> } {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const codes = new Map<string, number>();
  const indices = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    if (isNull(row)) continue;
    const value = text.toString('latin1', offsets[row], offsets[row + 1]);
    let code = codes.get(value);
    if (code === undefined) codes.set(value, (code = codes.size));
    indices[row] = code;
  }
  const valueOffsets = new Int32Array(codes.size + 1);
  let end = 0;
  for (const [value, code] of codes) valueOffsets[code + 1] = end += value.length;
  const bytes = Buffer.alloc(end);
  for (const [value, code] of codes) bytes.write(value, valueOffsets[code] ?? 0, 'latin1');
  const values = arrow.makeData({ type, length: codes.size, nullCount: 0, valueOffsets, data: bytes });
  return { indices, dictionary: new arrow.Vector([values]) };
}
