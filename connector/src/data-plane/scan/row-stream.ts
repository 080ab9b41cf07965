import { setImmediate } from 'node:timers/promises';
import {
  ResultReturnType,
  type DuckDBConnection,
  type DuckDBDataChunk,
  type DuckDBInstance,
  type DuckDBResult,
} from '@duckdb/node-api';
import type { RecordBatch, Schema } from 'apache-arrow';
import { createBatchBuilder } from '../column/batch-builder.ts';
import { carriedType, type CarriedType } from '../column/carried-type.ts';
import type { Parameter } from './duckdb-dialect.ts';
import type { ScanText } from './scan-query.ts';

/** A scan that has begun: its first batch has been read, so a source that cannot be read is known before any charge. */
export interface RowStream extends AsyncDisposable {
  readonly schema: Schema;
  /** To be iterated once; a batch is good until the next one is asked for. A scan that fails or is aborted ends in an error, never in a clean end. */
  readonly batches: AsyncIterable<RecordBatch>;
  /** Resolves when nothing reads the source any more, however it ended. */
  readonly ended: Promise<void>;
}

export interface ScanOptions {
  /** Ends the scan at the next chunk, with the signal's reason as the stream's error. */
  readonly signal: AbortSignal;
  /** Called before each batch leaves, with its number of rows. Throws to end the stream. */
  readonly beforeBatch?: (rows: number) => void;
}

/** Where batches come from, and what has to happen when nobody reads them any more. */
export interface BatchSource {
  readonly schema: Schema;
  readonly batches: AsyncGenerator<RecordBatch, undefined>;
  /** Breaks off a read that is under way. */
  interrupt(): void;
  close(): void | Promise<void>;
}

/** Reads the first batch of a source. @throws what the source throws, after closing it */
export async function beginRows(source: BatchSource, options: ScanOptions): Promise<RowStream> {
  const interrupt = (): void => source.interrupt();
  options.signal.addEventListener('abort', interrupt, { once: true });
  const { promise: ended, resolve: tellEnded } = Promise.withResolvers<void>();
  let released: Promise<unknown> | undefined;
  const closing = async (): Promise<void> => {
    try {
      // Waits for the chunk that is being read: a connection must not be closed under it.
      await source.batches.return(undefined);
    } finally {
      await source.close();
      tellEnded();
    }
  };
  const release = async (): Promise<void> => {
    options.signal.removeEventListener('abort', interrupt);
    released ??= closing();
    await released;
  };
  let first: IteratorResult<RecordBatch, undefined>;
  try {
    first = await source.batches.next();
  } catch (error) {
    await release();
    throw error;
  }
  const all = async function* (): AsyncGenerator<RecordBatch, undefined> {
    for (let next = first; !next.done; next = await source.batches.next()) {
      options.signal.throwIfAborted();
      options.beforeBatch?.(next.value.numRows);
      yield next.value;
    }
  };
  return { schema: source.schema, batches: all(), ended, [Symbol.asyncDispose]: release };
}

/** A query that is ready to be run in the engine. */
export interface EngineScan extends ScanText<CarriedType> {
  readonly parameters: readonly Parameter[];
}

/** Runs a scan on a connection of its own. @throws what DuckDB says when the source cannot be read */
export async function engineRows(engine: DuckDBInstance, scan: EngineScan, options: ScanOptions): Promise<RowStream> {
  const connection = await engine.connect();
  const { schema, builder } = createBatchBuilder(scan.columns);
  return await beginRows(
    {
      schema,
      batches: batches(connection, scan, builder, options.signal),
      interrupt: () => connection.interrupt(),
      close: () => connection.closeSync(),
    },
    options,
  );
}

type Builder = ReturnType<typeof createBatchBuilder>['builder'];

async function* batches(
  connection: DuckDBConnection,
  { sql, columns, parameters }: EngineScan,
  builder: Builder,
  signal: AbortSignal,
): AsyncGenerator<RecordBatch, undefined> {
  signal.throwIfAborted();
  try {
    const values = parameters.map(({ value }) => value);
    const types = parameters.map(({ type }) => type);
    const result = await connection.stream(sql, values, types);
    checkTypes(result, columns);
    const chunks = chunksAhead(result, builder);
    try {
      for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) {
        signal.throwIfAborted();
        builder.append(chunk);
        if (builder.full) yield builder.take();
      }
    } finally {
      // A connection must not be closed under a fetch.
      await chunks.settled();
    }
    signal.throwIfAborted();
    checkFinished(result);
    if (builder.rows > 0) yield builder.take();
  } catch (error) {
    // DuckDB reports an interrupted query; the reason to interrupt it says more.
    signal.throwIfAborted();
    throw error;
  }
}

/** Chunks that may wait to be converted, and bytes of them, as large as the last one was. */
const MOST_WAITING = 16;
const MOST_WAITING_BYTES = 8 * 1024 * 1024;

/**
 * The chunks of a result, read ahead.
 *
 * The engine scans some chunks at one fetch and hands them out at once at the next ones. So that it scans while chunks
 * are converted, those are taken first, and what waits is converted while a fetch takes its time.
 */
function chunksAhead(result: DuckDBResult, builder: Builder) {
  const most = (): number => Math.min(MOST_WAITING, Math.max(1, MOST_WAITING_BYTES / builder.lastBytes));
  const waiting: DuckDBDataChunk[] = [];
  let failure: { readonly error: unknown } | undefined;
  let ended = false;
  /** Under way; undefined where it has arrived. */
  let fetch: Promise<void> | undefined;
  const take = (chunk: DuckDBDataChunk | null): void => {
    if (chunk === null || chunk.rowCount === 0) ended = true;
    else waiting.push(chunk);
  };
  const ahead = (): void => {
    if (fetch !== undefined || ended || failure !== undefined || waiting.length >= most()) return;
    fetch = result
      .fetchChunk()
      .then(take, (error: unknown) => (failure = { error }))
      .then(() => (fetch = undefined));
  };
  return {
    /** The next chunk; null after the last one. @throws what the engine says */
    async next(): Promise<DuckDBDataChunk | null> {
      for (;;) {
        ahead();
        const before = waiting.length;
        if (before === 0) await fetch;
        else if (fetch !== undefined) await setImmediate();
        if (waiting.length > before && waiting.length < most()) continue;
        const chunk = waiting.shift();
        if (chunk !== undefined) return chunk;
        if (failure !== undefined) throw failure.error;
        if (ended) return null;
      }
    },
    /** Resolves when no fetch is under way. */
    async settled(): Promise<void> {
      await fetch;
    },
  };
}

/**
 * DuckDB's C API answers a failed fetch like the end of the result, and the bindings do not hand on its error message.
 * What tells them apart is the result's type: a result that failed has none.
 */
function checkFinished(result: DuckDBResult): void {
  if (result.returnType !== ResultReturnType.QUERY_RESULT) throw new Error('the scan failed before its end');
}

/** Raw buffers are read by the type that was planned: a file that changed in between must not be read as another. */
function checkTypes(result: DuckDBResult, columns: EngineScan['columns']): void {
  const fits =
    result.columnCount === columns.length &&
    columns.every(
      ({ type }, i) => result.columnTypeId(i) === type.id && carriedType(result.columnType(i))?.sql === type.sql,
    );
  if (!fits) throw new Error('the data set changed while it was opened');
}
