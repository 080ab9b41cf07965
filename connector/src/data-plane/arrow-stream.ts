import { ResultReturnType, type DuckDBConnection, type DuckDBInstance, type DuckDBResult } from '@duckdb/node-api';
import * as arrow from 'apache-arrow';
import { createBatchBuilder } from './batch-builder.ts';
import type { Scan } from './scan-query.ts';

export const ARROW_STREAM = 'application/vnd.apache.arrow.stream';

/** hono and Node move bodies fastest in pieces of this size; the default of 64 KiB halves the rate. */
const PIECE_BYTES = 256 * 1024;

/** A scan that has begun: its first batch has been read, so a file that cannot be read is known before any charge. */
export interface RunningScan extends AsyncDisposable {
  /**
   * The result as an Arrow IPC stream. It ends with the end-of-stream marker only after the last batch; a scan that
   * fails or is aborted ends in an error, never in a clean end. One batch is read for what the reader takes.
   */
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves when nothing reads the file any more, however it ended. */
  readonly ended: Promise<void>;
}

export interface ScanOptions {
  /** Ends the scan at the next chunk, with the signal's reason as the stream's error. */
  readonly signal: AbortSignal;
  /** Called before each batch leaves, with its number of rows. Throws to end the stream. */
  readonly beforeBatch?: (rows: number) => void;
}

/** Runs a scan on a connection of its own. @throws what DuckDB says when the file cannot be read */
export async function startScan(engine: DuckDBInstance, scan: Scan, options: ScanOptions): Promise<RunningScan> {
  const connection = await engine.connect();
  const { schema, builder } = createBatchBuilder(scan.columns);
  const source = batches(connection, scan, builder, options.signal);
  const interrupt = (): void => connection.interrupt();
  options.signal.addEventListener('abort', interrupt, { once: true });
  const { promise: ended, resolve: tellEnded } = Promise.withResolvers<void>();
  let released: Promise<unknown> | undefined;
  const release = async (): Promise<void> => {
    options.signal.removeEventListener('abort', interrupt);
    // Waits for the chunk that is being read: a connection must not be closed under it.
    released ??= source.return(undefined).finally(() => {
      connection.closeSync();
      tellEnded();
    });
    await released;
  };
  let first: IteratorResult<arrow.RecordBatch, undefined>;
  try {
    first = await source.next();
  } catch (error) {
    await release();
    throw error;
  }
  const all = async function* (): AsyncGenerator<arrow.RecordBatch, undefined> {
    for (let next = first; !next.done; next = await source.next()) {
      options.beforeBatch?.(next.value.numRows);
      yield next.value;
    }
  };
  return { body: byteStream(ipcPieces(schema, all()), options.signal, release), ended, [Symbol.asyncDispose]: release };
}

type Builder = ReturnType<typeof createBatchBuilder>['builder'];

async function* batches(
  connection: DuckDBConnection,
  scan: Scan,
  builder: Builder,
  signal: AbortSignal,
): AsyncGenerator<arrow.RecordBatch, undefined> {
  signal.throwIfAborted();
  try {
    const result = await connection.stream(scan.sql, [...scan.values], [...scan.types]);
    checkTypes(result, scan);
    for (;;) {
      const chunk = await result.fetchChunk();
      signal.throwIfAborted();
      if (chunk === null || chunk.rowCount === 0) {
        checkFinished(result);
        break;
      }
      builder.append(chunk);
      if (builder.full) yield builder.take();
    }
    if (builder.rows > 0) yield builder.take();
  } catch (error) {
    // DuckDB reports an interrupted query; the reason to interrupt it says more.
    signal.throwIfAborted();
    throw error;
  }
}

/**
 * DuckDB's C API answers a failed fetch like the end of the result, and the bindings do not hand on its error message.
 * What tells them apart is the result's type: a result that failed has none.
 */
function checkFinished(result: DuckDBResult): void {
  if (result.returnType !== ResultReturnType.QUERY_RESULT) throw new Error('the scan failed before its end');
}

/** Raw buffers are read by the type that was planned: a file that changed in between must not be read as another. */
function checkTypes(result: DuckDBResult, scan: Scan): void {
  const fits =
    result.columnCount === scan.columns.length &&
    scan.columns.every((column, i) => result.columnTypeId(i) === column.type.id);
  if (!fits) throw new Error('the data set changed while it was opened');
}

/** The Arrow IPC stream of a schema and its batches, in pieces of PIECE_BYTES; the marker of its end comes last. */
async function* ipcPieces(
  schema: arrow.Schema,
  source: AsyncIterable<arrow.RecordBatch>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  const written: Uint8Array[] = [];
  const sink = new (class extends arrow.AsyncByteQueue {
    override write(bytes: Uint8Array): void {
      written.push(bytes);
    }
  })();
  const writer = new arrow.RecordBatchStreamWriter({ autoDestroy: false });
  writer.reset(sink, schema);
  let piece = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  const pieces = function* (): Generator<Uint8Array<ArrayBuffer>> {
    for (const bytes of written.splice(0)) {
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + PIECE_BYTES - filled);
        piece.set(part, filled);
        at += part.length;
        filled += part.length;
        if (filled < PIECE_BYTES) continue;
        yield piece;
        // The stream takes the buffer with the piece: each needs its own.
        piece = new Uint8Array(PIECE_BYTES);
        filled = 0;
      }
    }
  };
  for await (const batch of source) {
    writer.write(batch);
    yield* pieces();
  }
  writer.finish();
  yield* pieces();
  if (filled > 0) yield piece.subarray(0, filled);
}

function byteStream(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>,
  signal: AbortSignal,
  release: () => Promise<void>,
): ReadableStream<Uint8Array> {
  let abort = (): void => undefined;
  const end = async (): Promise<void> => {
    signal.removeEventListener('abort', abort);
    await release();
  };
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      // At once, also when nobody reads just now.
      abort = () => {
        controller.error(signal.reason);
        void end();
      };
      signal.addEventListener('abort', abort, { once: true });
    },
    async pull(controller) {
      try {
        const { done, value } = await pieces.next();
        signal.throwIfAborted();
        if (!done) return controller.enqueue(value);
      } catch (error) {
        await end();
        throw error;
      }
      await end();
      controller.close();
      // A reader that brought its own buffer waits for it back.
      controller.byobRequest?.respond(0);
    },
    async cancel() {
      await pieces.return(undefined);
      await end();
    },
  });
}
