import type { DuckDBInstance } from '@duckdb/node-api';
import type { Asset } from '../../management/model.ts';
import { arrowToParquet, versionOf, type CopyStore } from './arrow-import.ts';
import type { SourceColumn } from '../scan/dialect.ts';
import { duckdbDialect, sentType, type EngineColumn, type Relation } from '../scan/duckdb-dialect.ts';
import { fileRelation, relationColumns, type FileReading } from './file-relation.ts';
import type { MaskingKey } from '../column/masking-key.ts';
import { measureRelation, type Measured } from '../scan/measure.ts';
import { engineRows, type EngineScan, type RowStream, type ScanOptions } from '../scan/row-stream.ts';
import type { ScanPlan } from '../scan/scan-plan.ts';
import { scanQuery } from '../scan/scan-query.ts';
import { sourceFiles, type FileFormat } from './source-files.ts';

/** A data set that is open to be scanned. */
export interface DataSource {
  /** `carried`: the column can be sent as it is; others only masked. */
  readonly columns: readonly (SourceColumn & { readonly carried: boolean })[];
  /**
   * Executes a plan inside the scan.
   *
   * @throws FoedusError `not-permitted` where plan and data set do not fit; what the source says when it cannot be read
   */
  scan(plan: ScanPlan, key: MaskingKey, options: ScanOptions): Promise<RowStream>;
  /** Looks at what the columns hold. @throws what the source says when it cannot be read */
  measure(signal: AbortSignal): Promise<Measured>;
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
    columns: columns.map((column) => ({ ...column, carried: sentType(column) !== undefined })),
    scan: (plan, key, options) => engineRows(engine, planned(relation, columns, plan, key), options),
    measure: (signal) => measureRelation(engine, relation, columns, signal),
    ...(parquet !== undefined && files.length === 1 && reading.partitioned !== true && { file: parquet }),
  };
}

function planned(relation: Relation, columns: readonly EngineColumn[], plan: ScanPlan, key: MaskingKey): EngineScan {
  const { dialect, parameters } = duckdbDialect(relation);
  const text = scanQuery(columns, plan, key, dialect);
  return { ...text, parameters };
}

export interface SourcesOptions {
  readonly engine: () => Promise<DuckDBInstance>;
  /** Where copies are kept of what the engine cannot read where it lies. */
  readonly copies: CopyStore;
}

/** What opens the sources of assets. */
export function createSources({ engine, copies }: SourcesOptions): OpenSource {
  const asParquet = async (path: string): Promise<string> =>
    await copies.copy(await versionOf(path), 'parquet', async (to) => await arrowToParquet(path, to));
  const opened = async (format: FileFormat, paths: readonly string[], reading: FileReading): Promise<DataSource> => {
    if (format !== 'arrow') return await openFiles(await engine(), format, paths, reading);
    const converted: string[] = [];
    for (const path of paths) converted.push(await asParquet(path));
    const { file: _copy, ...source } = await openFiles(await engine(), 'parquet', converted, {});
    return source;
  };
  return async (source) => {
    if (source.type === 'postgresql') {
      const { openTable } = await import('./postgresql-source.ts');
      return await openTable(source);
    }
    if (source.type === 's3') {
      const { copyObjects } = await import('./s3-source.ts');
      const objects = await copyObjects(source, copies);
      const paths = objects.map(({ path }) => path);
      return await opened(source.format, paths, csvReading(source));
    }
    const paths = await sourceFiles(source.type, source);
    const reading = source.type === 'csv' ? csvReading(source) : {};
    const partitioned = 'partitioned' in source ? (source.partitioned ?? false) : false;
    return await opened(source.type, paths, { ...reading, partitioned });
  };
}

function csvReading({
  delimiter,
  header,
}: {
  delimiter?: string | undefined;
  header?: boolean | undefined;
}): FileReading {
  return { ...(delimiter !== undefined && { delimiter }), ...(header !== undefined && { header }) };
}
