import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Asset } from '../management/model.ts';
import { createCopyStore } from './source/arrow-import.ts';
import { createSources } from './source/data-source.ts';
import { openEngine } from './scan/engine.ts';
import { maskingKeyFor } from './column/masking-key.ts';
import type { RowStream } from './scan/row-stream.ts';
import { openFile } from './source/whole-file.ts';
import type { Claims, GrantedPlan, Narrowing } from './scan/scan-plan.ts';

/** Scans of data sets without a connector around them: for measurements and tests. */
export interface Scanner extends AsyncDisposable {
  /** @param plan absent: everything */
  scan(source: Asset['source'], plan?: Partial<GrantedPlan>, asked?: Narrowing, claims?: Claims): Promise<RowStream>;
}

/** @param folder where copies are kept of what the engine cannot read where it lies */
export function createScanner({ folder }: { folder: string }): Scanner {
  let engine: Promise<DuckDBInstance> | undefined;
  const open = createSources({
    engine: () => (engine ??= openEngine()),
    copies: createCopyStore(join(folder, 'copies'), 20 * 1024 ** 3),
  });
  const key = maskingKeyFor(new Uint8Array(32), 'urn:foedus:scanner');
  return {
    async scan(source, plan = {}, asked = {}, claims = {}) {
      const opened = await open(source);
      const granted: GrantedPlan = { columns: 'all', masks: {}, rowFilter: null, ...plan };
      return await opened.scan({ granted, asked, claims }, key, { signal: new AbortController().signal });
    },
    async [Symbol.asyncDispose]() {
      (await engine)?.closeSync();
    },
  };
}

/** A file as it leaves where all of it is granted. */
export async function readWholeFile(path: string): Promise<AsyncIterable<Uint8Array>> {
  const file = await openFile(path, { range: undefined, ifRange: undefined }, { signal: new AbortController().signal });
  return file.pieces();
}
