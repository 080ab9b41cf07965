import {
  DataType,
  Field,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimeUnit,
  TimestampMillisecond,
  makeData,
  tableToIPC,
  type Timestamp,
} from 'apache-arrow';
import { createPieces } from './arrow-stream.ts';

export const PARQUET = 'application/vnd.apache.parquet';

/** A row group is held in memory until it is whole. */
const ROW_GROUP_ROWS = 65_536;

/**
 * Parquet, a row group at a time. The footer comes only after the last batch, so a file that was cut off cannot be
 * opened. Zones, units and dictionaries are kept by Arrow's schema in the metadata. Statistics are of what leaves.
 */
export async function* parquetPieces(
  schema: Schema,
  source: AsyncIterable<RecordBatch>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  const wasm = await import('parquet-wasm/node');
  const properties = new wasm.WriterPropertiesBuilder()
    .setCompression(wasm.Compression.SNAPPY)
    .setMaxRowGroupSize(ROW_GROUP_ROWS)
    .setCreatedBy('foedus')
    .build();
  const { schema: target, convert: toTarget } = withoutSeconds(schema);
  const tableOf = (batches: RecordBatch[]) =>
    wasm.Table.fromIPCStream(tableToIPC(new Table(target, batches.map(toTarget)), 'stream'));
  const converted = (batch: RecordBatch) => {
    const table = tableOf([batch]);
    const [only] = table.recordBatches();
    table.free();
    if (only === undefined) throw new Error('a batch was lost on its way to Parquet');
    return only;
  };
  const pieces = createPieces();
  const iterator = withRows(source);
  const first = await iterator.next();
  if (first.done) {
    yield* pieces.add(wasm.writeParquet(tableOf([]), properties));
    yield* pieces.rest();
    return undefined;
  }
  // The writer cannot take an error: it would bring down the process. So its input always ends cleanly, and what it
  // writes after a failure is thrown away.
  let failure: { readonly error: unknown } | undefined;
  let waiting: ReturnType<typeof converted> | undefined = converted(first.value);
  const batches = new ReadableStream(
    {
      async pull(controller) {
        if (waiting !== undefined) {
          // Always: the writer learns the schema from it.
          controller.enqueue(waiting);
          waiting = undefined;
          return;
        }
        try {
          const next = failure === undefined ? await iterator.next() : undefined;
          if (next?.done === false && failure === undefined) return controller.enqueue(converted(next.value));
        } catch (error) {
          failure ??= { error };
        }
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const written = ((await wasm.transformParquetStream(batches, properties)) as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await written.read();
      if (failure !== undefined) throw failure.error;
      if (done) break;
      yield* pieces.add(value);
    }
    yield* pieces.rest();
  } finally {
    failure ??= { error: new Error('nobody reads the file any more') };
    await iterator.return(undefined);
    // Lets the writer come to its end, which frees its memory.
    while (!(await written.read()).done);
  }
  return undefined;
}

async function* withRows(source: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch, undefined> {
  for await (const batch of source) if (batch.numRows > 0) yield batch;
  return undefined;
}

/** Parquet's coarsest unit is the millisecond (logical type TIMESTAMP): seconds become milliseconds. */
function withoutSeconds(schema: Schema): { schema: Schema; convert: (batch: RecordBatch) => RecordBatch } {
  const inSeconds = (type: unknown): type is Timestamp => DataType.isTimestamp(type) && type.unit === TimeUnit.SECOND;
  if (!schema.fields.some(({ type }) => inSeconds(type))) return { schema, convert: (batch) => batch };
  const fields = schema.fields.map((field) =>
    inSeconds(field.type)
      ? new Field(field.name, new TimestampMillisecond(field.type.timezone), field.nullable)
      : field,
  );
  const target = new Schema(fields);
  return {
    schema: target,
    convert: (batch) => {
      const children = batch.data.children.map((data, i) => {
        if (!inSeconds(data.type)) return data;
        const values = (data.values as BigInt64Array).subarray(0, data.length).map((seconds) => seconds * 1000n);
        const { length, nullCount, nullBitmap } = data;
        const type = fields[i]?.type as TimestampMillisecond;
        return makeData({ type, length, nullCount, nullBitmap, data: values });
      });
      const struct = new Struct(fields);
      return new RecordBatch(target, makeData({ type: struct, length: batch.numRows, nullCount: 0, children }));
    },
  };
}
