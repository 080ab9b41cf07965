import type { DuckDBDataChunk } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import * as arrow from 'apache-arrow';
import type { CarriedType } from './carried-type.ts';
import { createColumn } from './column-builder.ts';
import { createChunkRelease, createVectorReader } from './vector-reader.ts';

/** Rows of a record batch: large enough that its header does not count, small enough to hold many at once. */
export const BATCH_ROWS = 16_384;
/** A batch with long values is closed earlier. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** Gathers chunks into one record batch. */
export interface BatchBuilder {
  readonly rows: number;
  /** True when the next chunk belongs into another batch. */
  readonly full: boolean;
  append(chunk: DuckDBDataChunk): void;
  /** Bytes of the last chunk's values; 0 before the first. */
  readonly lastBytes: number;
  /** The record batch so far; the builder is empty afterwards. */
  take(): arrow.RecordBatch;
}

/** The schema of what leaves. */
export function schemaOf(columns: readonly { name: string; type: CarriedType }[]): arrow.Schema {
  return new arrow.Schema(columns.map(({ name, type }) => new arrow.Field(name, type.arrow, true)));
}

/**
 * Builds Arrow record batches from DuckDB's chunks, a whole vector at a time.
 *
 * DuckDB leaves in the slots of NULLs and of filtered rows whatever was there before: values that nobody was granted.
 * So exactly `rowCount` values are copied, and the slots of NULLs are zeroed. The buffers are used again: a batch is
 * good until the next one is asked for.
 */
export function createBatchBuilder(columns: readonly { name: string; type: CarriedType }[]): {
  schema: arrow.Schema;
  builder: BatchBuilder;
} {
  const schema = schemaOf(columns);
  const struct = new arrow.Struct(schema.fields);
  const vectorSize = duckdb.vector_size();
  let rows = 0;
  let lastBytes = 0;
  const reader = createVectorReader();
  const releaseChunk = createChunkRelease();
  const builders = columns.map(({ name, type }) => createColumn(name, type, reader, BATCH_ROWS));
  const gathered = (): number => builders.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    schema,
    builder: {
      get rows() {
        return rows;
      },
      get lastBytes() {
        return lastBytes;
      },
      get full() {
        return rows + vectorSize > BATCH_ROWS || gathered() >= BATCH_BYTES;
      },
      append(chunk) {
        const count = chunk.rowCount;
        const before = gathered();
        try {
          for (const [i, builder] of builders.entries()) {
            builder.open(duckdb.data_chunk_get_vector(chunk.chunk, i), count)(0, count);
          }
        } finally {
          reader.release();
        }
        // Asked after the last read: the chunk, and what its vectors point to, lives until here at least.
        rows += chunk.rowCount;
        lastBytes = gathered() - before;
        releaseChunk(lastBytes);
      },
      take() {
        const children = builders.map((builder) => builder.take());
        const batch = new arrow.RecordBatch(
          schema,
          arrow.makeData({ type: struct, length: rows, nullCount: 0, children }),
        );
        rows = 0;
        return batch;
      },
    },
  };
}
