import * as arrow from 'apache-arrow';
import { FoedusError } from '../../errors.ts';
import type { CarriedType } from './carried-type.ts';
import type { ColumnBuilder, DataProperties } from './column-builder.ts';
import { createValidity } from './column-validity.ts';
import { createStringBuffer } from './string-buffer.ts';
import { readStrings } from './string-copy.ts';
import type { VectorReader } from './vector-reader.ts';

/** Text and bytes; as a dictionary, or all of the same length, where the type says so. */
export function bytesColumn(
  name: string,
  type: Extract<CarriedType, { layout: 'bytes' | 'dictionary' | 'fixed-bytes' }>,
  reader: VectorReader,
  capacity: number,
): ColumnBuilder {
  const validity = createValidity(capacity);
  const buffer = createStringBuffer(name, reader, capacity);
  return {
    get bytes() {
      return buffer.end;
    },
    get rows() {
      return buffer.rows;
    },
    open(vector, size) {
      const strings = readStrings(reader, vector, size);
      return (from, count) => {
        buffer.append(strings, from, count);
        validity.append(strings.mask, from, count, () => undefined);
      };
    },
    appendNulls(count) {
      buffer.appendNulls(count);
      validity.appendNulls(count);
    },
    take() {
      const length = buffer.rows;
      const { offsets: valueOffsets, data } = buffer.take();
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
