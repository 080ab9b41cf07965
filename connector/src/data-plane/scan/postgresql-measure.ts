import type { Client } from 'pg';
import { arrowName, type Measured, type MeasuredColumn } from './measure.ts';
import { tableType, type TableColumn } from './postgresql-dialect.ts';
import { quotedName } from '../column/carried-type.ts';

/** Rows that are looked at. */
const SAMPLE_ROWS = 100_000;
const VALUES = 1_000;
const LONGEST_VALUE = 200;
/** The server gives up after so long: it has other work to do. */
const TIMEOUT_MS = 60_000;

const NUMBERS = new Set(['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']);
const TIMES = new Set(['date', 'time', 'timestamp', 'timestamptz']);
const TEXTS = new Set(['text', 'varchar', 'bpchar', 'citext', 'name', 'uuid', 'inet', 'cidr']);

/**
 * Measures a table: rows exactly, all else of its first 100,000 rows, whose different values are counted.
 *
 * @throws what the server says, also when it takes longer than a minute
 */
export async function measureTable(
  client: Client,
  { schema, table }: { schema: string; table: string },
  columns: readonly TableColumn[],
): Promise<Measured> {
  await client.query(`SET statement_timeout = ${TIMEOUT_MS}`);
  const from = `${quotedName(schema)}.${quotedName(table)}`;
  const first = (limit: number): string => `(SELECT * FROM ${from} LIMIT ${limit}) AS sampled`;
  const ask = async (text: string): Promise<(string | null)[]> =>
    (await client.query<(string | null)[]>({ text, rowMode: 'array' })).rows[0] ?? [];
  const [rows] = await ask(`SELECT count(*)::text FROM ${from}`);
  const measured: MeasuredColumn[] = [];
  let looked = 0;
  for (const column of columns) {
    const name = quotedName(column.name);
    const kind = kindOf(column);
    const ordered = kind === 'number' || kind === 'time';
    const shown = (measure: string): string => (ordered ? `${measure}(${name})::text` : 'NULL');
    const different = kind === 'other' ? 'NULL' : `count(DISTINCT ${name}::text)::text`;
    const [count, filled, distinct, min, max] = await ask(
      `SELECT count(*)::text, count(${name})::text, ${different}, ${shown('min')}, ${shown('max')} FROM ${first(SAMPLE_ROWS)}`,
    );
    looked = Number(count);
    const text = kind === 'other' ? 'NULL' : `left(${name}::text, ${LONGEST_VALUE})`;
    const values = await client.query<(string | null)[]>({
      text: `SELECT ${text} FROM ${first(VALUES)} WHERE ${name} IS NOT NULL`,
      rowMode: 'array',
    });
    const type = tableType(column);
    measured.push({
      name: column.name,
      type: column.shownType,
      arrow: type === undefined ? null : arrowName(type.arrow),
      kind,
      nulls: looked - Number(filled),
      distinct: distinct === null || distinct === undefined ? null : Number(distinct),
      ...(typeof min === 'string' && { min }),
      ...(typeof max === 'string' && { max }),
      values: values.rows.flatMap(([value]) => (typeof value === 'string' ? [value] : [])),
    });
  }
  const all = looked === Number(rows);
  return { rows: Number(rows), sample: { rows: looked, method: all ? 'all' : 'first' }, columns: measured };
}

function kindOf({ typeName }: TableColumn): MeasuredColumn['kind'] {
  if (NUMBERS.has(typeName)) return 'number';
  if (TIMES.has(typeName)) return 'time';
  return TEXTS.has(typeName) ? 'text' : 'other';
}
