import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { RecordBatchReader, type RecordBatch } from 'apache-arrow';
import { parquetPieces } from '../format/parquet-output.ts';

/** Copies of data sets that the engine cannot read where they lie. */
export interface CopyStore {
  /**
   * The path of the copy under a name, made by `make` where it is not there yet. `make` writes to the path that it is
   * given; only a whole copy is found by others.
   */
  copy(name: string, extension: string, make: (path: string) => Promise<void>): Promise<string>;
}

/**
 * Copies below a folder, the ones that were not used longest removed first when they take more than `mostBytes`.
 *
 * @param mostBytes of all copies together; one that is larger alone is kept until the next
 */
export function createCopyStore(folder: string, mostBytes: number): CopyStore {
  const making = new Map<string, Promise<string>>();
  const evict = async (except: string): Promise<void> => {
    const found: { path: string; size: number; used: number }[] = [];
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const stats = await stat(path).catch(() => undefined);
      if (stats?.isFile()) found.push({ path, size: stats.size, used: stats.mtimeMs });
    }
    let total = found.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of found.sort((a, b) => a.used - b.used)) {
      if (total <= mostBytes) return;
      if (path === except || path.endsWith('.part')) continue;
      // A scan that has opened it reads on: the file goes when nobody has it open.
      await rm(path, { force: true });
      total -= size;
    }
  };
  return {
    async copy(name, extension, make) {
      const path = join(folder, `${createHash('sha256').update(name).digest('hex')}.${extension}`);
      const running = making.get(path);
      if (running !== undefined) return await running;
      const work = async (): Promise<string> => {
        const now = new Date();
        if (
          await utimes(path, now, now).then(
            () => true,
            () => false,
          )
        )
          return path;
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const part = join(folder, `${randomUUID()}.part`);
        try {
          await make(part);
          await rename(part, path);
        } finally {
          await rm(part, { force: true });
        }
        await evict(path);
        return path;
      };
      const promise = work().finally(() => making.delete(path));
      making.set(path, promise);
      return await promise;
    },
  };
}

/** A name that changes with the file's content. */
export async function versionOf(path: string): Promise<string> {
  const { ino, size, mtimeNs } = await stat(path, { bigint: true });
  return `${path}\n${ino} ${size} ${mtimeNs}`;
}

/** Writes an Arrow IPC file or stream as Parquet, a batch at a time. @throws what Arrow says of a damaged file */
export async function arrowToParquet(from: string, to: string): Promise<void> {
  const reader = await RecordBatchReader.from(createReadStream(from, { highWaterMark: 1024 * 1024 }));
  await reader.open();
  const file = await open(to, 'wx', 0o600);
  try {
    const batches = reader as unknown as AsyncIterable<RecordBatch>;
    for await (const piece of parquetPieces(reader.schema, batches)) await file.write(piece);
  } finally {
    await file.close();
  }
}
