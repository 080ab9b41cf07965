import type { DuckDBDataChunk } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import * as arrow from 'apache-arrow';
import { FoedusError } from '../errors.ts';
import type { CarriedType } from './carried-type.ts';

/** Rows of a record batch: large enough that its header does not count, small enough to hold many at once. */
export const BATCH_ROWS = 16_384;
/** A batch with long values is closed earlier. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** Offsets of an Arrow string column are 32-bit. */
const LARGEST_OFFSET = 2 ** 31 - 1;
/** Bytes of DuckDB's string: length, then 12 bytes of value, or a prefix and a pointer. */
const STRING_BYTES = 16;
const INLINE_BYTES = 12;

/** Gathers chunks into one record batch. */
export interface BatchBuilder {
  readonly rows: number;
  /** True when the next chunk belongs into another batch. */
  readonly full: boolean;
  append(chunk: DuckDBDataChunk): void;
  /** The record batch so far; the builder is empty afterwards. */
  take(): arrow.RecordBatch;
}

/** makeData is typed for each Arrow type apart; here the type is known only at run time. */
type ColumnProperties = Parameters<typeof arrow.makeData>[0];

/** One column of the batch under construction. */
interface ColumnBuilder {
  readonly bytes: number;
  append(vector: duckdb.Vector, rows: number): void;
  take(): arrow.Data;
}

/**
 * Builds Arrow record batches from DuckDB's chunks, a whole vector at a time.
 *
 * DuckDB leaves in the slots of NULLs and of filtered rows whatever was there before: values that nobody was granted.
 * So exactly `rowCount` values are copied, the slots of NULLs are zeroed, and every batch has fresh buffers.
 */
export function createBatchBuilder(columns: readonly { name: string; type: CarriedType }[]): {
  schema: arrow.Schema;
  builder: BatchBuilder;
} {
  const fields = columns.map(({ name, type }) => new arrow.Field(name, type.arrow, true));
  const schema = new arrow.Schema(fields);
  const struct = new arrow.Struct(fields);
  const vectorSize = duckdb.vector_size();
  let rows = 0;
  let builders = columns.map(({ name, type }) => columnBuilder(name, type));
  return {
    schema,
    builder: {
      get rows() {
        return rows;
      },
      get full() {
        return rows + vectorSize > BATCH_ROWS || builders.reduce((sum, { bytes }) => sum + bytes, 0) >= BATCH_BYTES;
      },
      append(chunk) {
        const count = chunk.rowCount;
        for (const [i, builder] of builders.entries()) {
          builder.append(duckdb.data_chunk_get_vector(chunk.chunk, i), count);
        }
        rows += count;
      },
      take() {
        const children = builders.map((builder) => builder.take());
        const batch = new arrow.RecordBatch(
          schema,
          arrow.makeData({ type: struct, length: rows, nullCount: 0, children }),
        );
        rows = 0;
        builders = columns.map(({ name, type }) => columnBuilder(name, type));
        return batch;
      },
    },
  };
}

function columnBuilder(name: string, type: CarriedType): ColumnBuilder {
  if (type.layout === 'fixed') return fixedColumn(type.arrow, type.width);
  return type.layout === 'bool' ? boolColumn() : bytesColumn(name, type.arrow);
}

/** Which rows are not NULL: a byte each while gathering, a bit each in the batch, nothing when all are there. */
function createValidity() {
  const flags = new Uint8Array(BATCH_ROWS);
  let nulls = 0;
  return {
    /** Notes the rows of a vector at `at`, and calls `onNull` with the index, within the batch, of every NULL. */
    append(vector: duckdb.Vector, at: number, rows: number, onNull: (index: number) => void): void {
      flags.fill(1, at, at + rows);
      // The bindings answer null, not an empty array, when nothing in the vector is NULL.
      const mask = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null;
      if (mask === null) return;
      for (let i = 0; i < rows; i++) {
        if (((mask[i >> 3] as number) >> (i & 7)) & 1) continue;
        flags[at + i] = 0;
        nulls += 1;
        onNull(at + i);
      }
    },
    isNull: (index: number): boolean => flags[index] === 0,
    take: (rows: number): { nullCount: number; nullBitmap: Uint8Array | null } => ({
      nullCount: nulls,
      nullBitmap: nulls === 0 ? null : packed(flags, rows),
    }),
  };
}

/** @returns one bit for each of the first `rows` bytes, least significant first, as Arrow has it */
function packed(flags: Uint8Array, rows: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  for (let i = 0; i < rows; i++) bits[i >> 3] = (bits[i >> 3] as number) | ((flags[i] as number) << (i & 7));
  return bits;
}

function fixedColumn(type: arrow.DataType, width: number): ColumnBuilder {
  const values = new Uint8Array(BATCH_ROWS * width);
  const validity = createValidity();
  let rows = 0;
  return {
    get bytes() {
      return rows * width;
    },
    append(vector, count) {
      values.set(duckdb.vector_get_data(vector, count * width), rows * width);
      validity.append(vector, rows, count, (index) => values.fill(0, index * width, (index + 1) * width));
      rows += count;
    },
    take() {
      const data = new type.ArrayType(values.buffer, 0, (rows * width) / type.ArrayType.BYTES_PER_ELEMENT);
      return arrow.makeData({ type, length: rows, data, ...validity.take(rows) } as ColumnProperties);
    },
  };
}

function boolColumn(): ColumnBuilder {
  const values = new Uint8Array(BATCH_ROWS);
  const validity = createValidity();
  let rows = 0;
  return {
    get bytes() {
      return rows;
    },
    append(vector, count) {
      values.set(duckdb.vector_get_data(vector, count), rows);
      validity.append(vector, rows, count, (index) => {
        values[index] = 0;
      });
      rows += count;
    },
    take() {
      const type = new arrow.Bool();
      return arrow.makeData({ type, length: rows, data: packed(values, rows), ...validity.take(rows) });
    },
  };
}

function bytesColumn(name: string, type: arrow.DataType): ColumnBuilder {
  const offsets = new Int32Array(BATCH_ROWS + 1);
  const validity = createValidity();
  let values = new Uint8Array(64 * 1024);
  let end = 0;
  let rows = 0;
  const reserve = (more: number): void => {
    if (end + more <= values.length) return;
    if (end + more > LARGEST_OFFSET) {
      throw new FoedusError('too-large', `The values of the column "${name}" are too long to be sent.`);
    }
    const larger = new Uint8Array(Math.min(LARGEST_OFFSET, Math.max(values.length * 2, end + more)));
    larger.set(values.subarray(0, end));
    values = larger;
  };
  return {
    get bytes() {
      return end;
    },
    append(vector, count) {
      validity.append(vector, rows, count, () => undefined);
      const strings = duckdb.vector_get_data(vector, count * STRING_BYTES);
      const view = new DataView(strings.buffer, strings.byteOffset, strings.byteLength);
      for (let i = 0; i < count; i++) {
        if (!validity.isNull(rows + i)) {
          const at = i * STRING_BYTES;
          const length = view.getUint32(at, true);
          reserve(length);
          if (length <= INLINE_BYTES) {
            for (let k = 0; k < length; k++) values[end + k] = strings[at + 4 + k] as number;
          } else {
            const pointer = strings.byteOffset + at + 8;
            values.set(duckdb.get_data_from_pointer(strings.buffer as ArrayBuffer, pointer, length), end);
          }
          end += length;
        }
        offsets[rows + i + 1] = end;
      }
      rows += count;
    },
    take() {
      return arrow.makeData({
        type,
        length: rows,
        valueOffsets: offsets.subarray(0, rows + 1),
        data: values.subarray(0, end),
        ...validity.take(rows),
      } as ColumnProperties);
    },
  };
}
