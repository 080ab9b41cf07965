import { RecordBatchReader, type RecordBatch } from 'apache-arrow';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';

/** What has been read so far. */
export interface ReadCount {
  rows: number;
  bytes: number;
}

/** A stream of record batches with a running count of what has been read. */
export interface ArrowBatches extends AsyncIterable<RecordBatch> {
  readonly count: Readonly<ReadCount>;
}

/** Continuation marker and length zero: the end of an Arrow IPC stream (columnar format 1.5, IPC streaming format). */
const END_OF_STREAM = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

const problemSchema = z.object({ code: z.string(), message: z.string() });
/** What an error answer may be read of. */
const LARGEST_PROBLEM = 64 * 1024;

/**
 * Reads the answer of a provider's data endpoint as Arrow record batches, as they come.
 *
 * @param response of a GET on the endpoint of a data address
 * @returns batches that can be iterated once, with the rows and bytes counted while iterating
 * @throws FoedusError with the provider's `code` and `message` when it refused; while iterating, `cut-stream` when the
 *   answer ended before the provider said that it was whole
 */
export async function readArrowStream(response: Response): Promise<ArrowBatches> {
  if (!response.ok) throw await refusal(response);
  const { body } = response;
  if (body === null) throw cut();
  const count: ReadCount = { rows: 0, bytes: 0 };
  return { count, [Symbol.asyncIterator]: () => batches(body, count) };
}

async function* batches(body: ReadableStream<Uint8Array>, count: ReadCount): AsyncGenerator<RecordBatch, void> {
  let tail = Buffer.alloc(0);
  let exhausted = false;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      count.bytes += piece.byteLength;
      tail = Buffer.concat([tail, piece.subarray(-END_OF_STREAM.length)]).subarray(-END_OF_STREAM.length);
      yield piece;
    }
    exhausted = true;
  };
  try {
    const reader = await RecordBatchReader.from(counted());
    await reader.open();
    for await (const batch of reader) {
      count.rows += batch.numRows;
      yield batch;
    }
  } catch (cause) {
    throw cut(cause);
  }
  // The reader takes the end of its input for the end of the stream. It stops before that only at the marker.
  if (exhausted && !tail.equals(END_OF_STREAM)) throw cut();
}

function cut(cause?: unknown): FoedusError {
  return new FoedusError(
    'cut-stream',
    'The data ended before it was whole: the provider stopped it, or the connection broke. Discard what came and fetch it again.',
    { cause },
  );
}

async function refusal(response: Response): Promise<FoedusError> {
  const text = (await response.text()).slice(0, LARGEST_PROBLEM);
  try {
    const { code, message } = problemSchema.parse(JSON.parse(text));
    return new FoedusError(code, message);
  } catch {
    return new FoedusError('unavailable', `The provider answered ${response.status}: ${text.slice(0, 200)}`);
  }
}
