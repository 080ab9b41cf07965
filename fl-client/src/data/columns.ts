/** Reads from a Parquet file what a session plan names, and nothing else, through DuckDB. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { FoedusError } from '@foedus/connector/errors';
import type { Feature, SessionPlan } from '@foedus/fl-core';

/** One value a row. */
export type FeatureColumn =
  /** int32 [n]: 0-based hour, ISO weekday (Monday 0) or month; −1 for null. */
  | { readonly kind: 'index'; readonly values: Int32Array }
  /** float64 [n]: NaN for null. */
  | { readonly kind: 'number'; readonly values: Float64Array }
  /** int32 [n] into `dictionary`, the distinct values; −1 for null. */
  | { readonly kind: 'category'; readonly codes: Int32Array; readonly dictionary: readonly string[] };

/** The columns of a plan, row by row in the file's order. */
export interface ColumnTable {
  readonly rows: number;
  /** float64 [n]: the label's column as it is in the file; NaN for null. */
  readonly label: Float64Array;
  /** In the order of the plan's features. */
  readonly features: readonly FeatureColumn[];
}

export type DataPlan = Pick<SessionPlan, 'label' | 'features'>;

const NUMERIC = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;
const TIMESTAMP = /^(TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|DATE)$/;
const CATEGORY = /^(VARCHAR|ENUM.*|BOOLEAN|UUID|U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT))$/;

/**
 * Memory: 8 bytes a row for the label and each number, 4 for each other feature.
 *
 * @param parquetPath an existing local file
 * @throws FoedusError `unreadable-data` when the file cannot be read; `missing-column` and `wrong-column-type` when it
 *   does not hold what the plan names. Nothing is downloaded: DuckDB's extensions are off.
 */
export async function readColumns(parquetPath: string, plan: DataPlan): Promise<ColumnTable> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  try {
    const types = await columnTypes(connection, parquetPath);
    const label: Feature = { kind: 'number', column: plan.label.column, center: 0, scale: 1 };
    const wanted = [label, ...plan.features];
    const expressions = wanted.map((feature) => expressionOf(feature, types, parquetPath));
    const [first, ...features] = await scan(connection, parquetPath, wanted, expressions);
    if (first?.kind !== 'number') throw new TypeError('The label is always read as a number.');
    return { rows: first.values.length, label: first.values, features };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function columnTypes(connection: DuckDBConnection, path: string): Promise<Map<string, string>> {
  try {
    const described = await connection.runAndReadAll('DESCRIBE SELECT * FROM read_parquet($1)', [path]);
    return new Map(described.getRows().map((row) => [String(row[0]), String(row[1])]));
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
    throw new FoedusError('unreadable-data', `The Parquet file ${path} cannot be read: ${reason}`, { cause });
  }
}

function expressionOf(feature: Feature, types: ReadonlyMap<string, string>, path: string): string {
  const { column } = feature;
  const type = types.get(column);
  if (type === undefined) {
    throw new FoedusError(
      'missing-column',
      `The session plan needs the column "${column}", but ${path} has only: ${[...types.keys()].join(', ')}. ` +
        'Train on another data set, or ask the coordinator for another plan.',
      { details: { column } },
    );
  }
  const name = `"${column.replaceAll('"', '""')}"`;
  const [expected, words] = {
    'time-part': [TIMESTAMP, 'a timestamp or date'] as const,
    number: [NUMERIC, 'a number'] as const,
    'hashed-category': [CATEGORY, 'text, a whole number or a boolean'] as const,
  }[feature.kind];
  if (!expected.test(type)) {
    throw new FoedusError(
      'wrong-column-type',
      `The session plan uses the column "${column}" as ${words}, but in ${path} it has the type ${type}.`,
      { details: { column, type } },
    );
  }
  if (feature.kind === 'number') return `CAST(${name} AS DOUBLE)`;
  if (feature.kind === 'hashed-category') return `CAST(${name} AS VARCHAR)`;
  // A time with a zone is taken in UTC; one without as it is written.
  const time = type === 'TIMESTAMP WITH TIME ZONE' ? `make_timestamp(epoch_us(${name}))` : name;
  const [part, first] = { hour: ['hour', 0], weekday: ['isodow', 1], month: ['month', 1] }[feature.part];
  return `CAST(${part}(${time}) - ${first} AS INTEGER)`;
}

/** One pass over the file; every chunk is copied into columns that were allocated by the file's own row count. */
async function scan(
  connection: DuckDBConnection,
  path: string,
  wanted: readonly Feature[],
  expressions: readonly string[],
): Promise<FeatureColumn[]> {
  const counted = await connection.runAndReadAll('SELECT count(*)::INTEGER FROM read_parquet($1)', [path]);
  const rows = Number(counted.getRows()[0]?.[0] ?? 0);
  const writers = wanted.map((feature) => writerOf(feature, rows));
  const result = await connection.stream(`SELECT ${expressions.join(', ')} FROM read_parquet($1)`, [path]);
  let offset = 0;
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    if (offset + chunk.rowCount > rows) break;
    for (const [i, writer] of writers.entries()) writer.write(chunk.getColumnValues(i), offset);
    offset += chunk.rowCount;
  }
  if (offset !== rows) {
    throw new FoedusError('unreadable-data', `${path} was changed while it was read. Try again when it is complete.`);
  }
  return writers.map((writer) => writer.column);
}

interface ColumnWriter {
  readonly column: FeatureColumn;
  write(values: readonly unknown[], offset: number): void;
}

function writerOf(feature: Feature, rows: number): ColumnWriter {
  if (feature.kind === 'number') {
    const values = new Float64Array(rows);
    return {
      column: { kind: 'number', values },
      write: (chunk, offset) =>
        values.set(
          Float64Array.from(chunk, (v) => (typeof v === 'number' ? v : NaN)),
          offset,
        ),
    };
  }
  const codes = new Int32Array(rows);
  if (feature.kind === 'time-part') {
    return {
      column: { kind: 'index', values: codes },
      write: (chunk, offset) =>
        codes.set(
          Int32Array.from(chunk, (v) => (typeof v === 'number' ? v : -1)),
          offset,
        ),
    };
  }
  const dictionary: string[] = [];
  const codeOf = new Map<string, number>();
  const code = (value: unknown): number => {
    if (typeof value !== 'string') return -1;
    let known = codeOf.get(value);
    if (known === undefined) {
      known = dictionary.push(value) - 1;
      codeOf.set(value, known);
    }
    return known;
  };
  return {
    column: { kind: 'category', codes, dictionary },
    write: (chunk, offset) => codes.set(Int32Array.from(chunk, code), offset),
  };
}
