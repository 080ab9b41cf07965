import { BOOLEAN, DuckDBListValue, LIST, VARCHAR, type DuckDBConnection } from '@duckdb/node-api';
import { RecordBatchReader, type DataType } from 'apache-arrow';
import type { EngineColumn, Relation } from '../scan/duckdb-dialect.ts';
import type { FileFormat } from './source-files.ts';

/** How the files of a source are read. */
export interface FileReading {
  /** Folders named `column=value` become columns (Hive's partitioning). */
  readonly partitioned?: boolean;
  /** Of CSV. @default ',' */
  readonly delimiter?: string;
  /** Of CSV: the first line names the columns. @default true */
  readonly header?: boolean;
}

/**
 * The table function that reads files as one table. Where folders are no partitions, neither the folders on the path
 * nor the name of a file may become columns: a policy speaks of what is in the file.
 *
 * @param files absolute paths, at least one; all have the same columns
 */
export function fileRelation(
  format: Exclude<FileFormat, 'arrow'>,
  files: readonly string[],
  { partitioned = false, delimiter = ',', header = true }: FileReading = {},
): Relation {
  const paths = { value: new DuckDBListValue(files.map(exactly)), type: LIST(VARCHAR) };
  const partitions = `hive_partitioning = ${partitioned}, filename = false`;
  if (format === 'parquet') {
    return {
      sql: `read_parquet($1, ${partitions}, file_row_number = false)`,
      parameters: [paths],
      row: 'data.file_index, data.file_row_number',
    };
  }
  return {
    sql: `read_csv($1, ${partitions}, auto_detect = true, header = $2, delim = $3)`,
    parameters: [paths, { value: header, type: BOOLEAN }, { value: delimiter, type: VARCHAR }],
    row: 'data',
  };
}

/** The file of exactly this name, whatever glob characters are in it. */
function exactly(path: string): string {
  return path.replaceAll(/[[*?]/g, '[$&]');
}

/**
 * The relation's real columns, in its order.
 *
 * @param parquet one of its files, if they are Parquet: its writer's Arrow schema keeps zones, units and dictionaries
 * @throws what DuckDB says when it cannot read the files
 */
export async function relationColumns(
  connection: DuckDBConnection,
  { sql, parameters }: Pick<Relation, 'sql' | 'parameters'>,
  parquet?: string,
): Promise<EngineColumn[]> {
  const values = parameters.map(({ value }) => value);
  const types = parameters.map(({ type }) => type);
  const result = await connection.run(`SELECT * FROM ${sql} LIMIT 0`, values, types);
  const hints = parquet === undefined ? new Map<string, DataType>() : await arrowTypes(connection, parquet);
  const cut = parquet === undefined ? new Set<string>() : await cutColumns(connection, parquet);
  return result.columnNames().map((name, i) => {
    const type = result.columnType(i);
    const hint = hints.get(name);
    if (cut.has(name)) return { name, type, shownType: `${String(type)} of nanoseconds`, cut: true };
    return { name, type, shownType: String(type), ...(hint && { hint }) };
  });
}

/** Types of the schema that Arrow's writers keep in a Parquet file's metadata, by column. */
async function arrowTypes(connection: DuckDBConnection, file: string): Promise<Map<string, DataType>> {
  const found = await connection.runAndReadAll(
    "SELECT decode(value) FROM parquet_kv_metadata($1) WHERE decode(key) = 'ARROW:schema'",
    [exactly(file)],
  );
  const encoded = found.getRows()[0]?.[0];
  if (typeof encoded !== 'string') return new Map();
  try {
    const reader = RecordBatchReader.from(Buffer.from(encoded, 'base64')).open();
    return new Map(reader.schema.fields.map(({ name, type }) => [name, type as DataType]));
  } catch {
    // Metadata of another version: the file's own types are enough.
    return new Map();
  }
}

/**
 * Columns of which the engine would cut the nanoseconds off, without a word: times of day, and moments with a zone
 * (logical types TIME and TIMESTAMP of unit NANOS). What is in a list or struct counts for the whole column.
 */
async function cutColumns(connection: DuckDBConnection, file: string): Promise<Set<string>> {
  const found = await connection.runAndReadAll('SELECT name, num_children, logical_type FROM parquet_schema($1)', [
    exactly(file),
  ]);
  const rows = found.getRows().map(([name, children, type]) => ({
    name: String(name),
    children: Number(children ?? 0),
    cut: /^Time(?:Type|stampType\(isAdjustedToUTC=1).*NANOS=Nano/.test(String(type)),
  }));
  const columns = new Set<string>();
  // The schema is a tree, its nodes in depth-first order, the root first.
  let at = 1;
  const subtree = (): boolean => {
    const node = rows[at++];
    let cut = node?.cut ?? false;
    for (let child = 0; child < (node?.children ?? 0); child++) cut = subtree() || cut;
    return cut;
  };
  while (at < rows.length) {
    const { name } = rows[at] as { name: string };
    if (subtree()) columns.add(name);
  }
  return columns;
}
