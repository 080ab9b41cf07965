import { join } from 'node:path';
import { createCopyStore } from '../data-plane/source/arrow-import.ts';
import { createSources, type DataSource } from '../data-plane/source/data-source.ts';
import { openEngine } from '../data-plane/scan/engine.ts';
import type { Asset } from '../management/model.ts';

const MOST_COPIED_BYTES = 20 * 1024 ** 3;

/**
 * Opens a data set for a look at it, with an engine of its own that is gone afterwards: a node that only publishes
 * keeps its memory.
 *
 * @throws FoedusError, or what the source says when it cannot be read
 */
export async function withDataSet<T>(
  { source }: Asset,
  dataDir: string,
  work: (source: DataSource) => Promise<T>,
): Promise<T> {
  let engine: ReturnType<typeof openEngine> | undefined;
  const open = createSources({
    engine: () => (engine ??= openEngine()),
    copies: createCopyStore(join(dataDir, 'data-plane', 'copies'), MOST_COPIED_BYTES),
  });
  try {
    return await work(await open(source));
  } finally {
    (await engine)?.closeSync();
  }
}
