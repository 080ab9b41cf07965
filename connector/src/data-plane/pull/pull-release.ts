import { byteStream, compressed, limited, type ContentEncoding } from '../format/body.ts';
import type { Format } from '../format/formats.ts';
import type { Granted } from '../granted-data.ts';
import { primed, type Meter } from '../metering.ts';
import { PARQUET } from '../format/parquet-output.ts';
import type { ScanOptions } from '../scan/row-stream.ts';
import { openFile } from '../source/whole-file.ts';

/** What leaves, ready to be sent. */
export interface Release {
  readonly status: 200 | 206 | 416;
  readonly headers: Record<string, string>;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Resolves when nothing reads the data set any more. */
  readonly ended: Promise<void>;
  /** Stops reading before anything has been sent. */
  abandon(): Promise<void>;
}

/** How a consumer wants its answer. */
export interface Wanted {
  readonly format: Format;
  readonly encoding: ContentEncoding;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

type Rows = Extract<Granted, { kind: 'rows' }>;
type File = Extract<Granted, { kind: 'file' }>;

/** Rows in the format that was asked for, each part charged before it leaves. @throws what the first charge throws */
export async function releaseRows(
  { rows, byteLimit }: Rows,
  wanted: Wanted,
  meter: Meter,
  signal: AbortSignal,
): Promise<Release> {
  const dispose = async (): Promise<void> => await rows[Symbol.asyncDispose]();
  const encoded = compressed(wanted.format.encode(rows.schema, rows.batches), wanted.encoding);
  let pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>;
  try {
    pieces = await primed(meter.charged(limited(encoded, byteLimit)));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    status: 200,
    headers: {
      'content-type': wanted.format.mediaType,
      vary: 'accept, accept-encoding',
      ...(wanted.encoding !== 'identity' && { 'content-encoding': wanted.encoding }),
    },
    body: byteStream(pieces, signal, dispose),
    ended: rows.ended,
    abandon: dispose,
  };
}

/** The Parquet file that all is granted of: as a file, or the part of it that the consumer still lacks. */
export async function releaseFile(
  { path, rows }: File,
  wanted: Wanted,
  meter: Meter,
  scanOptions: ScanOptions,
): Promise<Release> {
  const file = await openFile(path, wanted, scanOptions);
  const { size, etag, range } = file;
  const headers = { 'content-type': PARQUET, 'accept-ranges': 'bytes', etag };
  if (range === 'unsatisfiable') {
    await file.close();
    const ended = Promise.resolve();
    return {
      status: 416,
      headers: { ...headers, 'content-range': `bytes */${size}` },
      body: null,
      ended,
      abandon: () => ended,
    };
  }
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  // Of a part of a file nobody knows the rows: they are charged with its beginning.
  if (range === undefined || range.start === 0) meter.read(rows);
  const pieces = meter.charged(file.pieces());
  const close = async (): Promise<void> => {
    await pieces.return(undefined);
    await file.close();
    resolve();
  };
  const length = range === undefined ? size : range.end + 1 - range.start;
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...headers,
      'content-length': String(length),
      ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
    },
    body: byteStream(pieces, scanOptions.signal, close),
    ended,
    abandon: close,
  };
}
