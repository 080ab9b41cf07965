import { availableParallelism } from 'node:os';
import { DuckDBInstance } from '@duckdb/node-api';

/**
 * A DuckDB in memory that reads local files and nothing else: no extension is fetched, nothing spills to the disk,
 * times are of UTC, and no query can change these settings.
 */
export async function openEngine(): Promise<DuckDBInstance> {
  const engine = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
    temp_directory: '',
    // Would fill the memory with pages of files that are read once.
    enable_external_file_cache: 'false',
    memory_limit: '1GB',
    threads: String(Math.min(4, availableParallelism())),
  });
  const connection = await engine.connect();
  try {
    // Known only once the extension for time zones is there, so it cannot be among the settings above.
    await connection.run("SET GLOBAL TimeZone = 'UTC'");
    await connection.run('SET GLOBAL lock_configuration = true');
  } finally {
    connection.closeSync();
  }
  return engine;
}
