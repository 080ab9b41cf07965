import duckdb from '@duckdb/node-bindings';
import * as arrow from 'apache-arrow';
import { FoedusError } from '../../errors.ts';
import type { ColumnBuilder, DataProperties } from './column-builder.ts';
import { createValidity, isValid } from './column-validity.ts';
import type { VectorReader } from './vector-reader.ts';

/** Bytes of an entry of DuckDB's list vector: offset and length in the child vector, 8 bytes each. */
const ENTRY_WORDS = 4;

/**
 * Lists of any length, and maps, which are lists of entries.
 *
 * The child vector also holds the items of rows that were filtered out: only the ranges of rows that are there are
 * copied.
 */
export function listColumn(
  type: arrow.DataType,
  child: ColumnBuilder,
  reader: VectorReader,
  capacity: number,
): ColumnBuilder {
  let offsets = new Int32Array(capacity + 1);
  const validity = createValidity(capacity);
  const reserve = (more: number): void => {
    const size = validity.rows + more + 1;
    if (size <= offsets.length) return;
    const larger = new Int32Array(Math.max(size, offsets.length * 2));
    larger.set(offsets);
    offsets = larger;
  };
  return {
    get bytes() {
      return validity.rows * 4 + child.bytes;
    },
    get rows() {
      return validity.rows;
    },
    open(vector, size) {
      const mask = reader.validity(vector, size);
      const items = itemsOf(vector, size, child, reader);
      return (from, count) => {
        reserve(count);
        const first = validity.rows;
        items.each(mask, from, count, (row, copied) => {
          offsets[first + row + 1] = copied;
        });
        validity.append(mask, from, count, () => undefined);
      };
    },
    appendNulls(count) {
      reserve(count);
      offsets.fill(child.rows, validity.rows + 1, validity.rows + 1 + count);
      validity.appendNulls(count);
    },
    take() {
      const length = validity.rows;
      const valueOffsets = offsets.subarray(0, length + 1);
      return arrow.makeData({ type, length, valueOffsets, child: child.take(), ...validity.take() } as DataProperties);
    },
  };
}

/** Lists that all have `size` items. NULL takes up their room too. */
export function fixedListColumn(
  name: string,
  type: arrow.DataType,
  child: ColumnBuilder,
  size: number,
  reader: VectorReader,
  capacity: number,
): ColumnBuilder {
  const validity = createValidity(capacity);
  return {
    get bytes() {
      return child.bytes;
    },
    get rows() {
      return validity.rows;
    },
    open(vector, rows) {
      const mask = reader.validity(vector, rows);
      const entries = entriesOf(vector, rows, reader);
      let copy: ((from: number, count: number) => void) | undefined;
      return (from, count) => {
        for (let row = from; row < from + count; row++) {
          if (!isValid(mask, row)) {
            child.appendNulls(size);
            continue;
          }
          if (lengthOf(entries, row) !== size) {
            throw new FoedusError('unavailable', `A list of the column "${name}" has not the length that all have.`);
          }
          copy ??= child.open(duckdb.list_vector_get_child(vector), duckdb.list_vector_get_size(vector));
          copy(offsetOf(entries, row), size);
        }
        validity.append(mask, from, count, () => undefined);
      };
    },
    appendNulls(count) {
      child.appendNulls(count * size);
      validity.appendNulls(count);
    },
    take() {
      const length = validity.rows;
      return arrow.makeData({ type, length, child: child.take(), ...validity.take() } as DataProperties);
    },
  };
}

/** Structs. What lies in the children of a struct that is NULL is not copied. */
export function structColumn(
  type: arrow.DataType,
  children: readonly ColumnBuilder[],
  reader: VectorReader,
  capacity: number,
): ColumnBuilder {
  const validity = createValidity(capacity);
  return {
    get bytes() {
      return children.reduce((sum, { bytes }) => sum + bytes, 0);
    },
    get rows() {
      return validity.rows;
    },
    open(vector, size) {
      const mask = reader.validity(vector, size);
      const copies = children.map((child, i) => child.open(duckdb.struct_vector_get_child(vector, i), size));
      return (from, count) => {
        for (let at = from; at < from + count;) {
          const valid = isValid(mask, at);
          let end = at + 1;
          if (mask === null) end = from + count;
          while (end < from + count && isValid(mask, end) === valid) end++;
          for (const [i, copy] of copies.entries()) {
            if (valid) copy(at, end - at);
            else children[i]?.appendNulls(end - at);
          }
          at = end;
        }
        validity.append(mask, from, count, () => undefined);
      };
    },
    appendNulls(count) {
      for (const child of children) child.appendNulls(count);
      validity.appendNulls(count);
    },
    take() {
      const length = validity.rows;
      const data = children.map((child) => child.take());
      return arrow.makeData({ type, length, children: data, ...validity.take() } as DataProperties);
    },
  };
}

/** Copies items of lists into a child: neighbouring ranges at once. */
function itemsOf(vector: duckdb.Vector, size: number, child: ColumnBuilder, reader: VectorReader) {
  const entries = entriesOf(vector, size, reader);
  let copy: ((from: number, count: number) => void) | undefined;
  const copyRange = (from: number, count: number): void => {
    if (count === 0) return;
    copy ??= child.open(duckdb.list_vector_get_child(vector), duckdb.list_vector_get_size(vector));
    copy(from, count);
  };
  return {
    /** Calls `noted` with each row, counted from 0, and the number of items in the child after it. */
    each(mask: Uint8Array | null, from: number, count: number, noted: (row: number, copied: number) => void): void {
      let start = 0;
      let pending = 0;
      for (let row = 0; row < count; row++) {
        const length = isValid(mask, from + row) ? lengthOf(entries, from + row) : 0;
        if (length > 0) {
          const offset = offsetOf(entries, from + row);
          if (pending > 0 && offset !== start + pending) {
            copyRange(start, pending);
            pending = 0;
          }
          if (pending === 0) start = offset;
          pending += length;
        }
        noted(row, child.rows + pending);
      }
      copyRange(start, pending);
    },
  };
}

function entriesOf(vector: duckdb.Vector, size: number, reader: VectorReader): Uint32Array {
  const bytes = reader.values(vector, size * ENTRY_WORDS * 4);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, size * ENTRY_WORDS);
}

const word = (entries: Uint32Array, at: number): number =>
  (entries[at] as number) + (entries[at + 1] as number) * 2 ** 32;
const offsetOf = (entries: Uint32Array, row: number): number => word(entries, row * ENTRY_WORDS);
const lengthOf = (entries: Uint32Array, row: number): number => word(entries, row * ENTRY_WORDS + 2);
