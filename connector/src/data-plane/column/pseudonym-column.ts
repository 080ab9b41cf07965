import type duckdb from '@duckdb/node-bindings';
import * as arrow from 'apache-arrow';
import type { CarriedType } from './carried-type.ts';
import type { ColumnBuilder, DataProperties } from './column-builder.ts';
import { createValidity, isValid } from './column-validity.ts';
import { createIntegerText } from './integer-text.ts';
import {
  createPseudonyms,
  PSEUDONYM_BYTES,
  PSEUDONYM_WORDS,
  pseudonymOffsets,
  startsOf,
  STRINGS_AT_ONCE,
} from './pseudonyms.ts';
import { createStringBuffer } from './string-buffer.ts';
import { readStrings } from './string-copy.ts';
import type { VectorReader } from './vector-reader.ts';

/** A vector's values that pseudonyms are made of. */
interface Source {
  readonly mask: Uint8Array | null;
  /** Makes those of `rows` values from `from` on. @returns how many were not NULL */
  readonly portion: (from: number, rows: number) => number;
}

/** Text or integers in whose place only pseudonyms leave: no batch ever has the values themselves. */
export function pseudonymColumn(
  name: string,
  type: Extract<CarriedType, { layout: 'pseudonym' }>,
  reader: VectorReader,
  capacity: number,
): ColumnBuilder {
  const pseudonyms = createPseudonyms(type.key.pseudonyms);
  const validity = createValidity(capacity);
  /** What values pass through that the vector only points to. */
  const values = createStringBuffer(name, reader, STRINGS_AT_ONCE);
  const text = createIntegerText(type.of === 'signed');
  let words = new Int32Array(capacity * PSEUDONYM_WORDS);
  let count = 0;
  /** Of rows none of which is NULL: most batches are such. */
  let regular = new Int32Array(0);
  const offsetsOf = (rows: number): Int32Array => {
    if (validity.nulls > 0) return pseudonymOffsets(rows, validity.isNull);
    if (regular.length <= rows) regular = Int32Array.from({ length: rows + 1 }, (_, row) => row * PSEUDONYM_BYTES);
    return regular.subarray(0, rows + 1);
  };
  const reserve = (more: number): void => {
    const size = (count + more) * PSEUDONYM_WORDS;
    if (size <= words.length) return;
    const larger = new Int32Array(Math.max(size, words.length * 2));
    larger.set(words);
    words = larger;
  };
  const ofText = (vector: duckdb.Vector, size: number): Source => {
    const strings = readStrings(reader, vector, size);
    const portion = (from: number, rows: number): number => {
      const made = pseudonyms.ofStrings(strings, from, rows, words, count * PSEUDONYM_WORDS);
      if (made !== undefined) return made;
      values.append(strings, from, rows);
      const { offsets, data } = values.take();
      const starts = startsOf(offsets, (row) => !isValid(strings.mask, from + row));
      pseudonyms.ofValues(data, starts, starts.length - 1, words, count * PSEUDONYM_WORDS);
      // Values have no business in a buffer that is used again.
      data.fill(0);
      return starts.length - 1;
    };
    return { mask: strings.mask, portion };
  };
  const ofIntegers = (vector: duckdb.Vector, size: number): Source => {
    const bytes = reader.values(vector, size * 8);
    const mask = reader.validity(vector, size);
    const integers = { words: new Int32Array(bytes.buffer, bytes.byteOffset, size * 2), mask, text };
    const portion = (from: number, rows: number): number =>
      pseudonyms.ofIntegers(integers, from, rows, words, count * PSEUDONYM_WORDS);
    return { mask, portion };
  };
  return {
    get bytes() {
      return count * PSEUDONYM_BYTES;
    },
    get rows() {
      return validity.rows;
    },
    open(vector, size) {
      const { mask, portion } = type.of === 'text' ? ofText(vector, size) : ofIntegers(vector, size);
      return (from, rows) => {
        reserve(rows);
        for (let at = 0; at < rows; at += STRINGS_AT_ONCE) {
          count += portion(from + at, Math.min(STRINGS_AT_ONCE, rows - at));
        }
        validity.append(mask, from, rows, () => undefined);
      };
    },
    appendNulls: (rows) => validity.appendNulls(rows),
    take() {
      const length = validity.rows;
      const valueOffsets = offsetsOf(length);
      const data = new Uint8Array(words.buffer, 0, count * PSEUDONYM_BYTES);
      count = 0;
      return arrow.makeData({ type: type.arrow, length, ...validity.take(), valueOffsets, data } as DataProperties);
    },
  };
}
