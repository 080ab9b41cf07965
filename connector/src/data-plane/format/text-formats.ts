import type { Data, RecordBatch, Schema } from 'apache-arrow';
import { createPieces } from './arrow-stream.ts';
import { cellsOf } from './cells.ts';

export const CSV = 'text/csv';
export const NDJSON = 'application/x-ndjson';

/** Rows that are written at once. */
const ROWS_AT_ONCE = 1_024;

type Pieces = AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>;

/**
 * CSV (RFC 4180) in UTF-8 with a header line. NULL is an empty field, empty text is `""`. Lists, structs and maps are
 * JSON, bytes base64.
 */
export function csvPieces(schema: Schema, source: AsyncIterable<RecordBatch>): Pieces {
  const header = `${schema.names.map((name) => quoted(String(name))).join(',')}\r\n`;
  return textPieces(header, source, (batch) => {
    const columns = batch.data.children.map(csvField);
    return (row) => `${columns.map((column) => column(row)).join(',')}\r\n`;
  });
}

/** A JSON object a line, UTF-8. Of a map, a list of `{"key","value"}`. */
export function ndjsonPieces(schema: Schema, source: AsyncIterable<RecordBatch>): Pieces {
  const keys = schema.names.map((name, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  return textPieces('', source, (batch) => {
    const columns = batch.data.children.map(cellsOf);
    return (row) => `${columns.map((column, i) => `${keys[i]}${column.json(row)}`).join('')}}\n`;
  });
}

async function* textPieces(
  header: string,
  source: AsyncIterable<RecordBatch>,
  writer: (batch: RecordBatch) => (row: number) => string,
): Pieces {
  const pieces = createPieces();
  yield* pieces.add(Buffer.from(header));
  for await (const batch of source) {
    const write = writer(batch);
    for (let from = 0; from < batch.numRows; from += ROWS_AT_ONCE) {
      const to = Math.min(batch.numRows, from + ROWS_AT_ONCE);
      let text = '';
      for (let row = from; row < to; row++) text += write(row);
      yield* pieces.add(Buffer.from(text));
    }
  }
  yield* pieces.rest();
  return undefined;
}

function csvField(data: Data): (row: number) => string {
  const cells = cellsOf(data);
  return (row) => {
    const text = cells.text(row);
    if (text === null) return '';
    return text === '' || /[",\r\n]/.test(text) ? quoted(text) : text;
  };
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
