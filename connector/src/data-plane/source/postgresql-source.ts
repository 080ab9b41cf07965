import { readFile } from 'node:fs/promises';
import { Field, RecordBatch, Schema, Struct, makeData } from 'apache-arrow';
import { Client } from 'pg';
import Cursor from 'pg-cursor';
import { FoedusError } from '../../errors.ts';
import type { Asset } from '../../management/model.ts';
import type { DataSource } from './data-source.ts';
import {
  postgresqlDialect,
  tableType,
  wireText,
  type TableColumn,
  type TableType,
} from '../scan/postgresql-dialect.ts';
import { createPseudonyms } from '../column/pseudonyms.ts';
import { beginRows, type BatchSource, type ScanOptions } from '../scan/row-stream.ts';
import { scanQuery, type ScanText } from '../scan/scan-query.ts';
import { textColumn } from '../column/text-column.ts';

type Table = Extract<Asset['source'], { type: 'postgresql' }>;

type Row = (string | null)[];

const ROWS_AT_ONCE = 8_192;
const CONNECT_MS = 10_000;

/** All values come as text: what they are is known from the scan. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** A table of a PostgreSQL server: the plan is one parameterised query there, read through a cursor. */
export async function openTable(source: Table): Promise<DataSource> {
  const uri = (await readFile(source.connectionFile, 'utf8')).trim();
  const client = await connect(uri);
  let columns: TableColumn[];
  try {
    columns = await tableColumns(client, source);
  } finally {
    await client.end();
  }
  return {
    columns: columns.map((column) => ({ ...column, carried: tableType(column) !== undefined })),
    async scan(plan, key, options) {
      const { dialect, parameters } = postgresqlDialect(source.schema, source.table);
      const text = scanQuery(columns, plan, key, dialect);
      return await beginRows(await tableRows(uri, text, parameters, options), options);
    },
    async measure(signal) {
      const { measureTable } = await import('../scan/postgresql-measure.ts');
      const connected = await connect(uri);
      const interrupt = (): void => void connected.end().catch(() => undefined);
      signal.addEventListener('abort', interrupt, { once: true });
      try {
        return await measureTable(connected, source, columns);
      } finally {
        signal.removeEventListener('abort', interrupt);
        await connected.end().catch(() => undefined);
      }
    },
  };
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, connectionTimeoutMillis: CONNECT_MS });
  // What breaks the connection also fails the query under way, which is where it is handled.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query("SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'; SET default_transaction_read_only = on");
  } catch (cause) {
    await client.end().catch(() => undefined);
    throw new FoedusError('unavailable', 'The database of the data set cannot be reached.', { cause });
  }
  return client;
}

const NUMERIC_HEADER = 4;

async function tableColumns(client: Client, { schema, table }: Table): Promise<TableColumn[]> {
  const { rows } = await client.query<{ name: string; shown: string; type: string; modifier: number }>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS shown, t.typname AS type,
       a.atttypmod AS modifier
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [schema, table],
  );
  if (rows.length === 0) throw new FoedusError('bad-request', `There is no table ${schema}.${table} with columns.`);
  return rows.map(({ name, shown, type, modifier }) => {
    const bounds = modifier - NUMERIC_HEADER;
    const decimal =
      type === 'numeric' && modifier >= NUMERIC_HEADER
        ? { precision: bounds >> 16, scale: ((bounds & 0x7ff) ^ 1024) - 1024 }
        : undefined;
    return { name, shownType: shown, typeName: type, ...(decimal && { decimal }) };
  });
}

async function tableRows(
  uri: string,
  { sql, columns }: ScanText<TableType>,
  parameters: readonly unknown[],
  { signal }: ScanOptions,
): Promise<BatchSource> {
  const client = await connect(uri);
  const schema = new Schema(columns.map(({ name, type }) => new Field(name, type.arrow, true)));
  const shown = columns.map(({ type }, i) => wireText({ sql: `result.c${i}`, type }));
  const names = columns.map((_, i) => `c${i}`).join(', ');
  const text = `SELECT ${shown.join(', ')} FROM (${sql}) AS result (${names})`;
  return {
    schema,
    batches: batches(client, text, parameters, createBatch(schema, columns), signal),
    // Ends the read that is under way with an error.
    interrupt: () => void client.end().catch(() => undefined),
    close: async () => await client.end().catch(() => undefined),
  };
}

async function* batches(
  client: Client,
  text: string,
  parameters: readonly unknown[],
  batchOf: (rows: readonly Row[]) => RecordBatch,
  signal: AbortSignal,
): AsyncGenerator<RecordBatch, undefined> {
  try {
    const cursor = client.query(new Cursor<Row>(text, [...parameters], { rowMode: 'array', types: AS_TEXT }));
    for (;;) {
      const rows = await cursor.read(ROWS_AT_ONCE);
      signal.throwIfAborted();
      if (rows.length === 0) break;
      yield batchOf(rows);
    }
    await cursor.close();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  return undefined;
}

function createBatch(schema: Schema, columns: ScanText<TableType>['columns']): (rows: readonly Row[]) => RecordBatch {
  const struct = new Struct(schema.fields);
  const pseudonyms = columns.map(({ type }) => type.pseudonyms && createPseudonyms(type.pseudonyms.pseudonyms));
  return (rows) => {
    const children = schema.fields.map(({ type }, i) =>
      textColumn(
        type,
        rows.map((row) => row[i] ?? null),
        pseudonyms[i],
      ),
    );
    return new RecordBatch(schema, makeData({ type: struct, length: rows.length, nullCount: 0, children }));
  };
}
