/** What the tests of the data plane share: Parquet files made for a test, and the bytes that a plan lets out of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC, type Table } from 'apache-arrow';
import { arrowPieces } from './format/arrow-stream.ts';
import { createCopyStore } from './source/arrow-import.ts';
import { byteStream } from './format/body.ts';
import { createSources } from './source/data-source.ts';
import { openEngine } from './scan/engine.ts';
import type { Encoder } from './format/formats.ts';
import { maskingKeyFor, type MaskingKey } from './column/masking-key.ts';
import type { ScanOptions } from './scan/row-stream.ts';
import type { Claims, GrantedPlan, Narrowing } from './scan/scan-plan.ts';
import type { Asset } from '../management/model.ts';

/** The node's masking secret in tests, and the agreement that masks are made under. */
export const SECRET = Buffer.alloc(32, 7);
export const AGREEMENT = 'urn:agreement:1';

export interface TestPlan extends Partial<GrantedPlan> {
  readonly asked?: Narrowing;
  readonly claims?: Claims;
  readonly encode?: Encoder;
}

interface RunningScan {
  readonly body: ReadableStream<Uint8Array>;
  readonly ended: Promise<void>;
}

export async function openScans() {
  const folder = mkdtempSync(join(tmpdir(), 'foedus-data-plane-'));
  const instance = await DuckDBInstance.create(':memory:');
  const writer = await instance.connect();
  const engine = await openEngine();
  const open = createSources({ engine: async () => engine, copies: createCopyStore(join(folder, 'copies'), 1e9) });
  const defaultKey = maskingKeyFor(SECRET, AGREEMENT);
  let files = 0;

  /** Writes what `select` gives to a Parquet file of its own. */
  const parquet = async (select: string, options = ''): Promise<string> => {
    const path = join(folder, `${files++}.parquet`);
    await writer.run(`COPY (${select}) TO '${path}' (FORMAT parquet${options})`);
    return path;
  };
  /** Scans a Parquet file, or whatever source. What is neither grant nor narrowing is not restricted. */
  const start = async (
    source: string | Asset['source'],
    plan: TestPlan = {},
    options: Partial<ScanOptions> = {},
    key: MaskingKey = defaultKey,
  ): Promise<RunningScan> => {
    const { asked = {}, claims = {}, encode = arrowPieces, ...grant } = plan;
    const granted: GrantedPlan = { columns: 'all', masks: {}, rowFilter: null, ...grant };
    const signal = options.signal ?? new AbortController().signal;
    const opened = await open(typeof source === 'string' ? { type: 'parquet', path: source } : source);
    const rows = await opened.scan({ granted, asked, claims }, key, { ...options, signal });
    const dispose = async (): Promise<void> => await rows[Symbol.asyncDispose]();
    return { body: byteStream(encode(rows.schema, rows.batches), signal, dispose), ended: rows.ended };
  };
  const bytesOf = async (source: string | Asset['source'], plan: TestPlan = {}): Promise<Buffer<ArrayBuffer>> =>
    Buffer.from(await new Response((await start(source, plan)).body).arrayBuffer());
  const tableOf = async (source: string | Asset['source'], plan: TestPlan = {}): Promise<Table> =>
    tableFromIPC(await bytesOf(source, plan));
  const columnOf = async (source: string | Asset['source'], name: string, plan: TestPlan = {}): Promise<unknown[]> => [
    ...((await tableOf(source, plan)).getChild(name) ?? []),
  ];
  return {
    folder,
    writer,
    parquet,
    open,
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
