import { DataType, RecordBatchReader, type RecordBatch } from 'apache-arrow';
import { once } from 'node:events';
import { open, rename, rm } from 'node:fs/promises';
import { FoedusError } from '@foedus/connector/errors';

export interface Received {
  readonly rows: number;
  readonly bytes: number;
  readonly columns: readonly string[];
  /** The first rows, as text. */
  readonly firstRows: readonly (readonly string[])[];
}

const SHOWN = 8;

/** Continuation marker and length zero: the end of an Arrow IPC stream. Without it, it was cut. */
const END_OF_STREAM = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** Standard output instead of a file. */
export const STDOUT = '-';

/**
 * Saves an Arrow IPC stream as it comes and looks at it on the way; memory holds one record batch at a time. The file
 * appears under its name when the stream is whole.
 *
 * @param file `-`: standard output, as it comes
 * @param onProgress rows and bytes so far
 * @throws FoedusError `unavailable` when the stream breaks off, `bad-request` when it is no Arrow stream
 */
export async function receiveArrow(
  body: ReadableStream<Uint8Array>,
  file: string,
  onProgress: (rows: number, bytes: number) => void,
): Promise<Received> {
  const partial = `${file}.part`;
  const out = file === STDOUT ? undefined : await open(partial, 'w');
  let tail = Buffer.alloc(0);
  let bytes = 0;
  let broken: unknown;
  async function* saved(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) {
        await (out?.write(chunk) ?? toStdout(chunk));
        bytes += chunk.length;
        tail = Buffer.concat([tail, chunk.subarray(-END_OF_STREAM.length)]).subarray(-END_OF_STREAM.length);
        yield chunk;
      }
    } catch (error) {
      broken = error;
      throw error;
    }
  }
  try {
    const reader = await RecordBatchReader.from(saved());
    await reader.open();
    const columns = reader.schema.fields.map(({ name }) => name); // the reader forgets its schema at the end
    let rows = 0;
    const firstRows: string[][] = [];
    for await (const batch of reader) {
      for (let row = 0; firstRows.length < SHOWN && row < batch.numRows; row += 1) firstRows.push(rowText(batch, row));
      rows += batch.numRows;
      onProgress(rows, bytes);
    }
    // The reader takes the end of its input for the end of the stream.
    if (!tail.equals(END_OF_STREAM)) {
      broken = new Error('there is no marker of the end');
      throw broken;
    }
    await out?.close();
    if (out !== undefined) await rename(partial, file);
    return { rows, bytes, columns, firstRows };
  } catch (cause) {
    await out?.close();
    if (out !== undefined) await rm(partial, { force: true });
    throw broken === undefined
      ? new FoedusError('bad-request', `What came is no Arrow stream: ${(cause as Error).message}`, { cause })
      : new FoedusError('unavailable', 'The stream broke off before its end. Fetch again.', { cause });
  }
}

/** As fast as whoever reads it. */
async function toStdout(chunk: Uint8Array): Promise<void> {
  if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
}

function rowText(batch: RecordBatch, row: number): string[] {
  return batch.schema.fields.map((field, column) => {
    const value: unknown = batch.getChildAt(column)?.get(row);
    if (value === null || value === undefined) return '';
    if (DataType.isDecimal(field.type)) return decimalText(value as Uint32Array, field.type.scale);
    if (typeof value === 'object') return JSON.stringify(value);
    return /^(Timestamp|Date)/.test(String(field.type))
      ? new Date(Number(value)).toISOString().slice(0, 19).replace('T', ' ')
      : `${value as string | number | bigint | boolean}`;
  });
}

/** Arrow keeps decimals as whole numbers of their smallest unit. */
function decimalText(value: Uint32Array, scale: number): string {
  // Arrow's array for decimals overrides toString: the digits of the whole number, with its sign.
  const unscaled = value.toString();
  const sign = unscaled.startsWith('-') ? '-' : '';
  const digits = unscaled.slice(sign.length).padStart(scale + 1, '0');
  return scale === 0 ? unscaled : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
