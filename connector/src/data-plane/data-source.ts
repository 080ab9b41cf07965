import type { DuckDBInstance } from '@duckdb/node-api';
import type { Asset } from '../management/model.ts';
import type { SourceColumn } from './dialect.ts';
import { duckdbDialect, type EngineColumn, type Relation } from './duckdb-dialect.ts';
import { fileRelation, relationColumns, type FileReading } from './file-relation.ts';
import type { MaskingKey } from './masking-key.ts';
import { engineRows, type EngineScan, type RowStream, type ScanOptions } from './row-stream.ts';
import type { ScanPlan } from './scan-plan.ts';
import { scanQuery } from './scan-query.ts';
import { sourceFiles, type FileFormat } from './source-files.ts';

/** A data set that is open to be scanned. */
export interface DataSource {
  readonly columns: readonly SourceColumn[];
  /**
   * Executes a plan inside the scan.
   *
   * @throws FoedusError `not-permitted` where plan and data set do not fit; what the source says when it cannot be read
   */
  scan(plan: ScanPlan, key: MaskingKey, options: ScanOptions): Promise<RowStream>;
  /** The one file that the data set is, if it is one Parquet file: it may leave as it is where all of it is granted. */
  readonly file?: string;
}

/** Whatever source an asset has, opened: each time anew, since files come and go. */
export type OpenSource = (source: Asset['source']) => Promise<DataSource>;

/** A data set in files of this machine, scanned by the engine. */
export async function openFiles(
  engine: DuckDBInstance,
  format: Exclude<FileFormat, 'arrow'>,
  files: readonly string[],
  reading: FileReading,
): Promise<DataSource> {
  const relation = fileRelation(format, files, reading);
  const parquet = format === 'parquet' ? files[0] : undefined;
  const connection = await engine.connect();
  let columns: EngineColumn[];
  try {
    columns = await relationColumns(connection, relation, parquet);
  } finally {
    connection.closeSync();
  }
  return {
    columns,
    scan: (plan, key, options) => engineRows(engine, planned(relation, columns, plan, key), options),
    ...(parquet !== undefined && files.length === 1 && reading.partitioned !== true && { file: parquet }),
  };
}

function planned(relation: Relation, columns: readonly EngineColumn[], plan: ScanPlan, key: MaskingKey): EngineScan {
  const { dialect, parameters } = duckdbDialect(relation);
  const text = scanQuery(columns, plan, key, dialect);
  return { ...text, parameters };
}

/** What opens the sources of assets. */
export function createSources(engine: () => Promise<DuckDBInstance>): OpenSource {
  return async (source) => {
    const files = await sourceFiles(source.type, source);
    return await openFiles(await engine(), source.type, files, {});
  };
}
