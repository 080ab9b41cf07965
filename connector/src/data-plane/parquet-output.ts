import { Table, tableToIPC, type RecordBatch, type Schema } from 'apache-arrow';
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
  const tableOf = (batches: RecordBatch[]) =>
    wasm.Table.fromIPCStream(tableToIPC(new Table(schema, batches), 'stream'));
  const converted = (batch: RecordBatch) => {
    const table = tableOf([batch]);
    const [only] = table.recordBatches();
    table.free();
    if (only === undefined) throw new Error('a batch was lost on its way to Parquet');
    return only;
  };
  const pieces = createPieces();
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) {
    yield* pieces.add(wasm.writeParquet(tableOf([]), properties));
    yield* pieces.rest();
    return undefined;
  }
  // The writer cannot take an error: it would bring down the process. So its input always ends cleanly, and what it
  // writes after a failure is thrown away.
  let failure: { readonly error: unknown } | undefined;
  let waiting: RecordBatch | undefined = first.value;
  const batches = new ReadableStream(
    {
      async pull(controller) {
        try {
          const batch = waiting ?? (failure === undefined ? (await iterator.next()).value : undefined);
          waiting = undefined;
          if (batch !== undefined && failure === undefined) return controller.enqueue(converted(batch));
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
    await iterator.return?.();
    // Lets the writer come to its end, which frees its memory.
    while (!(await written.read()).done);
  }
  return undefined;
}
