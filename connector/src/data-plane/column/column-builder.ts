import type duckdb from '@duckdb/node-bindings';
import * as arrow from 'apache-arrow';
import { bytesColumn } from './bytes-column.ts';
import type { CarriedType } from './carried-type.ts';
import { createValidity, packed } from './column-validity.ts';
import { fixedListColumn, listColumn, structColumn } from './nested-column.ts';
import { pseudonymColumn } from './pseudonym-column.ts';
import { copyCut } from './time-cut.ts';
import type { VectorReader } from './vector-reader.ts';

/** One column of the batch under construction, or a child of one. */
export interface ColumnBuilder {
  /** Bytes gathered so far. */
  readonly bytes: number;
  readonly rows: number;
  /** Reads a vector of `size` values. @returns what appends `count` of them from `from` on */
  open(vector: duckdb.Vector, size: number): (from: number, count: number) => void;
  appendNulls(count: number): void;
  /** The values so far, good until the next ones are appended; the builder is empty afterwards. */
  take(): arrow.Data;
}

/** makeData is typed for each Arrow type apart; here the type is known only at run time. */
export type DataProperties = Parameters<typeof arrow.makeData>[0];

/**
 * A column of a type.
 *
 * @param reader what it reads vectors with; whoever appends releases it
 * @param capacity values that it is made for; it grows where more come
 */
export function createColumn(name: string, type: CarriedType, reader: VectorReader, capacity: number): ColumnBuilder {
  const child = (of: CarriedType): ColumnBuilder => createColumn(name, of, reader, capacity);
  switch (type.layout) {
    case 'fixed':
      return fixedColumn(type.arrow, reader, type.width, type.width, capacity, copyBytes(type.width));
    case 'scaled':
      return fixedColumn(type.arrow, reader, 8, type.width, capacity, divide(type.divisor, type.width));
    case 'cut':
      return fixedColumn(type.arrow, reader, 8, 8, capacity, (source, from, count, target, at, mask) =>
        copyCut(type, source, from, count, target, at, mask),
      );
    case 'decimal':
      return fixedColumn(type.arrow, reader, type.width, 16, capacity, widen(type.width));
    case 'bool':
      return boolColumn(reader, capacity);
    case 'bytes':
    case 'dictionary':
    case 'fixed-bytes':
      return bytesColumn(name, type, reader, capacity);
    case 'pseudonym':
      return pseudonymColumn(name, type, reader, capacity);
    case 'null':
      return nullColumn();
    case 'list':
    case 'map':
      return listColumn(type.arrow, child(type.child), reader, capacity);
    case 'fixed-list':
      return fixedListColumn(name, type.arrow, child(type.child), type.size, reader, capacity);
    case 'struct':
      return structColumn(type.arrow, type.children.map(child), reader, capacity);
    default:
      return type satisfies never;
  }
}

/** Writes `count` values from `source` on to `target`, whose first free byte is `at`. */
type Copy = (
  source: Uint8Array,
  from: number,
  count: number,
  target: Uint8Array,
  at: number,
  mask: Uint8Array | null,
) => void;

const copyBytes =
  (width: number): Copy =>
  (source, from, count, target, at) =>
    target.set(source.subarray(from * width, (from + count) * width), at);

const divide =
  (divisor: bigint, width: 4 | 8): Copy =>
  (source, from, count, target, at) => {
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    const out = new DataView(target.buffer, target.byteOffset, target.byteLength);
    for (let i = 0; i < count; i++) {
      const value = view.getBigInt64((from + i) * 8, true) / divisor;
      if (width === 8) out.setBigInt64(at + i * 8, value, true);
      else out.setInt32(at + i * 4, Number(value), true);
    }
  };

/** Two's complement of fewer bytes as that of 16, four bytes at a time. */
function widen(width: 2 | 4 | 8 | 16): Copy {
  if (width === 16) return copyBytes(16);
  return (source, from, count, target, at) => {
    const words = new Int32Array(target.buffer, target.byteOffset + at, count * 4);
    const narrow = width === 2 ? Int16Array : Int32Array;
    const values = new narrow(
      source.buffer as ArrayBuffer,
      source.byteOffset,
      source.byteLength / narrow.BYTES_PER_ELEMENT,
    );
    const step = width === 8 ? 2 : 1;
    for (let i = 0, value = from * step, word = 0; i < count; i++, value += step, word += 4) {
      const high = values[value + step - 1] as number;
      const sign = high >> 31;
      words[word] = values[value] as number;
      words[word + 1] = width === 8 ? high : sign;
      words[word + 2] = sign;
      words[word + 3] = sign;
    }
  };
}

/** Values of `read` bytes in DuckDB and `width` bytes in Arrow. */
function fixedColumn(
  type: arrow.DataType,
  reader: VectorReader,
  read: number,
  width: number,
  capacity: number,
  copy: Copy,
): ColumnBuilder {
  let values = new Uint8Array(capacity * width);
  const validity = createValidity(capacity);
  const reserve = (more: number): void => {
    const size = (validity.rows + more) * width;
    if (size <= values.length) return;
    const larger = new Uint8Array(Math.max(size, values.length * 2));
    larger.set(values);
    values = larger;
  };
  const zero = (index: number): void => void values.fill(0, index * width, (index + 1) * width);
  return {
    get bytes() {
      return validity.rows * width;
    },
    get rows() {
      return validity.rows;
    },
    open(vector, size) {
      const source = reader.values(vector, size * read);
      const mask = reader.validity(vector, size);
      return (from, count) => {
        reserve(count);
        copy(source, from, count, values, validity.rows * width, mask);
        validity.append(mask, from, count, zero);
      };
    },
    appendNulls(count) {
      reserve(count);
      // Here may be values of the batch before.
      values.fill(0, validity.rows * width, (validity.rows + count) * width);
      validity.appendNulls(count);
    },
    take() {
      const { rows } = validity;
      const data = new type.ArrayType(values.buffer, 0, (rows * width) / type.ArrayType.BYTES_PER_ELEMENT);
      return arrow.makeData({ type, length: rows, data, ...validity.take() } as DataProperties);
    },
  };
}

function boolColumn(reader: VectorReader, capacity: number): ColumnBuilder {
  const bytes = fixedColumn(new arrow.Uint8(), reader, 1, 1, capacity, copyBytes(1));
  return {
    ...bytes,
    get bytes() {
      return bytes.bytes;
    },
    get rows() {
      return bytes.rows;
    },
    take() {
      const { values, length, nullCount, nullBitmap } = bytes.take() as arrow.Data<arrow.Uint8>;
      return arrow.makeData({ type: new arrow.Bool(), length, nullCount, nullBitmap, data: packed(values, length) });
    },
  };
}

function nullColumn(): ColumnBuilder {
  let rows = 0;
  const append = (count: number): void => void (rows += count);
  return {
    bytes: 0,
    get rows() {
      return rows;
    },
    open: () => (_from, count) => append(count),
    appendNulls: append,
    take() {
      const data = arrow.makeData({ type: new arrow.Null(), length: rows });
      rows = 0;
      return data;
    },
  };
}
