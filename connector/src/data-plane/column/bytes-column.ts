import * as arrow from 'apache-arrow';
import { FoedusError } from '../../errors.ts';
import type { CarriedType } from './carried-type.ts';
import type { ColumnBuilder, DataProperties } from './column-builder.ts';
import { createValidity, isValid } from './column-validity.ts';
import { createPseudonyms, pseudonymColumn } from './pseudonyms.ts';
import { INLINE_BYTES, STRING_WORDS, copyLong } from './string-copy.ts';
import type { VectorReader } from './vector-reader.ts';

/** Offsets of an Arrow string column are 32-bit. */
const LARGEST_OFFSET = 2 ** 31 - 1;
const FIRST_BYTES = 64 * 1024;

/** Text and bytes; as a dictionary, all of the same length, or as pseudonyms, where the type says so. */
export function bytesColumn(
  name: string,
  type: Extract<CarriedType, { layout: 'bytes' | 'dictionary' | 'fixed-bytes' | 'pseudonym' }>,
  reader: VectorReader,
  capacity: number,
): ColumnBuilder {
  let offsets = new Int32Array(capacity + 1);
  const validity = createValidity(capacity);
  let values = new Uint8Array(FIRST_BYTES);
  let end = 0;
  const pseudonymsOf = type.layout === 'pseudonym' ? createPseudonyms(type.key.pseudonyms) : undefined;
  const reserveRows = (more: number): void => {
    const size = validity.rows + more + 1;
    if (size <= offsets.length) return;
    const larger = new Int32Array(Math.max(size, offsets.length * 2));
    larger.set(offsets);
    offsets = larger;
  };
  /** Room for `size` bytes; what has been written stays. */
  const reserveBytes = (size: number): DataView => {
    if (size > LARGEST_OFFSET) {
      throw new FoedusError('too-large', `The values of the column "${name}" are too long to be sent.`);
    }
    if (size > values.length) {
      const larger = new Uint8Array(Math.min(LARGEST_OFFSET, Math.max(values.length * 2, size)));
      larger.set(values);
      values = larger;
    }
    return new DataView(values.buffer);
  };
  return {
    get bytes() {
      return end;
    },
    get rows() {
      return validity.rows;
    },
    open(vector, size) {
      const bytes = reader.values(vector, size * STRING_WORDS * 4);
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, size * STRING_WORDS);
      const mask = reader.validity(vector, size);
      const strings = { bytes, words, mask };
      return (from, count) => {
        reserveRows(count);
        const first = validity.rows;
        let at = end;
        let long = false;
        let view = reserveBytes(at + (count + 1) * INLINE_BYTES);
        for (let i = 0, word = from * STRING_WORDS; i < count; i++, word += STRING_WORDS) {
          if (mask === null || isValid(mask, from + i)) {
            const length = words[word] as number;
            if (length > INLINE_BYTES) {
              long = true;
              view = reserveBytes(at + length + (count - i) * INLINE_BYTES);
            } else {
              // Three words whatever the length: what is too much is overwritten by the next, and lies behind the last.
              view.setUint32(at, words[word + 1] as number, true);
              view.setUint32(at + 4, words[word + 2] as number, true);
              view.setUint32(at + 8, words[word + 3] as number, true);
            }
            at += length;
          }
          offsets[first + i + 1] = at;
        }
        if (long) copyLong(strings, from, count, offsets.subarray(first), values, reader);
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
      if (pseudonymsOf !== undefined) {
        const masked = pseudonymColumn(pseudonymsOf, length, valueOffsets, data, validity.isNull);
        // What they stand for has no business in a buffer that is used again.
        data.fill(0);
        return arrow.makeData({ type: type.arrow, length, ...validity.take(), ...masked } as DataProperties);
      }
      if (type.layout === 'fixed-bytes') {
        const fixed = sameLength(name, type.width, length, valueOffsets, data, validity.isNull);
        return arrow.makeData({ type: type.arrow, length, ...validity.take(), data: fixed } as DataProperties);
      }
      if (type.layout !== 'dictionary') {
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
