/** What the tests of the data plane share: Parquet files made for a test, and the bytes that a plan lets out of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Plan } from '@foedus/usage-policies';
import { tableFromIPC, type Table } from 'apache-arrow';
import { startScan, type RunningScan, type ScanOptions } from './arrow-stream.ts';
import { maskingKeyFor, type MaskingKey } from './masking-key.ts';
import { openEngine, parquetColumns } from './parquet.ts';
import { scanQuery } from './scan-query.ts';

/** The node's masking secret in tests, and the agreement that masks are made under. */
export const SECRET = Buffer.alloc(32, 7);
export const AGREEMENT = 'urn:agreement:1';

export async function openScans() {
  const folder = mkdtempSync(join(tmpdir(), 'foedus-data-plane-'));
  const instance = await DuckDBInstance.create(':memory:');
  const writer = await instance.connect();
  const engine = await openEngine();
  const reader = await engine.connect();
  const defaultKey = maskingKeyFor(SECRET, AGREEMENT);
  let files = 0;

  /** Writes what `select` gives to a Parquet file of its own. */
  const parquet = async (select: string, options = ''): Promise<string> => {
    const path = join(folder, `${files++}.parquet`);
    await writer.run(`COPY (${select}) TO '${path}' (FORMAT parquet${options})`);
    return path;
  };
  const start = async (
    path: string,
    plan: Partial<Plan> = {},
    options: Partial<ScanOptions> = {},
    key: MaskingKey = defaultKey,
  ): Promise<RunningScan> => {
    const whole: Plan = { columns: 'all', masks: {}, rowFilter: null, ...plan };
    const scan = scanQuery(path, await parquetColumns(reader, path), whole, key);
    return await startScan(engine, scan, { signal: new AbortController().signal, ...options });
  };
  const bytesOf = async (path: string, plan: Partial<Plan> = {}): Promise<Buffer<ArrayBuffer>> =>
    Buffer.from(await new Response((await start(path, plan)).body).arrayBuffer());
  const tableOf = async (path: string, plan: Partial<Plan> = {}): Promise<Table> =>
    tableFromIPC(await bytesOf(path, plan));
  const columnOf = async (path: string, name: string, plan: Partial<Plan> = {}): Promise<unknown[]> => [
    ...((await tableOf(path, plan)).getChild(name) ?? []),
  ];
  return {
    folder,
    writer,
    parquet,
    start,
    bytesOf,
    tableOf,
    columnOf,
    close: () => {
      instance.closeSync();
      engine.closeSync();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The code of the error that `work` fails with, or `permitted`. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'permitted',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
}
