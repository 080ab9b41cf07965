import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import { DuckDBInstance, type DuckDBConnection, type DuckDBType } from '@duckdb/node-api';
import { FoedusError } from '../errors.ts';
import { carriedType } from './carried-type.ts';

/** A column of a Parquet file as DuckDB sees it. */
export interface ParquetColumn {
  readonly name: string;
  /** Written out with `String()` for messages. */
  readonly type: DuckDBType;
}

export interface ParquetDescription {
  readonly rows: number;
  /** `carried`: this node can send the column as it is; others only masked. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly carried: boolean }[];
}

/**
 * The table function that reads one Parquet file; its path is the query's first parameter. Neither the folders on
 * the path nor the name of the file may become columns: a policy speaks of what is in the file.
 */
export const READ_PARQUET = 'read_parquet($1, hive_partitioning = false, filename = false, file_row_number = false)';

/**
 * A DuckDB in memory that reads local files and nothing else: no extension is fetched, nothing spills to the disk,
 * and no query can change these settings.
 */
export function openEngine(): Promise<DuckDBInstance> {
  return DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
    temp_directory: '',
    // Would fill the memory with pages of files that are read once.
    enable_external_file_cache: 'false',
    memory_limit: '1GB',
    threads: String(Math.min(4, availableParallelism())),
    lock_configuration: 'true',
  });
}

/**
 * @returns `path` for READ_PARQUET's parameter: the file of exactly this name, whatever glob characters are in it
 * @throws FoedusError `bad-request` for a path that is not absolute
 */
export function parquetSource(path: string): string {
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new FoedusError('bad-request', `"${path}" is not an absolute path. Give the Parquet file's whole path.`);
  }
  return path.replaceAll(/[[*?]/g, '[$&]');
}

/** The file's real columns, in its order. @throws what DuckDB says when it cannot read the file */
export async function parquetColumns(connection: DuckDBConnection, path: string): Promise<ParquetColumn[]> {
  const result = await connection.run(`SELECT * FROM ${READ_PARQUET} LIMIT 0`, [parquetSource(path)]);
  return result.columnNames().map((name, i) => ({ name, type: result.columnType(i) }));
}

/**
 * Reads a Parquet file's schema and number of rows, for whoever publishes it.
 *
 * @param path absolute path
 * @throws FoedusError `bad-request` when it cannot be read as Parquet
 */
export async function describeParquet(path: string): Promise<ParquetDescription> {
  const source = parquetSource(path);
  const engine = await openEngine();
  try {
    const connection = await engine.connect();
    const columns = await parquetColumns(connection, path);
    const counted = await connection.runAndReadAll('SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata($1)', [
      source,
    ]);
    return {
      rows: Number(counted.getRows()[0]?.[0] ?? 0),
      columns: columns.map(({ name, type }) => ({
        name,
        type: String(type),
        carried: carriedType(type) !== undefined,
      })),
    };
  } catch (cause) {
    throw new FoedusError(
      'bad-request',
      `${path} cannot be read as a Parquet file. Check that it is there, whole, and readable by the node.`,
      { cause },
    );
  } finally {
    engine.closeSync();
  }
}
