/**
 * The updates of one session that may still have to be sent, on this node's disk. An update is written before it is
 * charged and kept until its round is known to be over: whatever crashes, the same bytes go out again, never others
 * under the same charge.
 */
import { documentHash } from '@foedus/fl-core';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface StoredUpdate {
  readonly round: number;
  /** What it belongs to, SHA-256, hex: what `madeFrom` gives, or the hash of the terms of a round under masks. */
  readonly of: string;
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

export interface UpdateFiles {
  find(round: number): Promise<StoredUpdate | undefined>;
  /** On return the update survives a power cut. @returns it, without reading it again */
  write(round: number, of: string, bytes: Uint8Array<ArrayBuffer>): Promise<StoredUpdate>;
  /** Deletes all but the update of `round`; null: all. */
  keepOnly(round: number | null): Promise<void>;
}

/**
 * What something was made from that lies on the disk: a session that is described anew may have another plan, under which
 * the same bytes would be charged at another price.
 *
 * @param planHash SHA-256 of the plan, hex
 * @param modelHash SHA-256 of the parameters that were trained or evaluated, hex
 * @returns SHA-256, hex
 */
export const madeFrom = (planHash: string, modelHash: string): string => documentHash({ planHash, modelHash });

/**
 * `update` as it is sent without secure aggregation; `masked` input and `answer` to the unmasking with it; the
 * `evaluation` of a model.
 */
type Kind = 'update' | 'masked' | 'answer' | 'evaluation';

interface File {
  readonly round: number;
  readonly of: string;
  readonly path: string;
}

/**
 * One for each folder and kind at a time: the folder is listed once, and what is written and deleted from then on is known.
 *
 * @param folder of this session under this agreement alone; created when first needed
 */
export function createUpdateFiles(folder: string, kind: Kind): UpdateFiles {
  const fileName = new RegExp(`^(\\d{1,16})-([0-9a-f]{64})\\.${kind}$`);
  let known: readonly File[] | null = null;
  const list = async (): Promise<readonly File[]> => (known ??= await read());
  const read = async (): Promise<File[]> => {
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names.flatMap((name) => {
      const [, round, of] = fileName.exec(name) ?? [];
      return of === undefined ? [] : [{ round: Number(round), of, path: join(folder, name) }];
    });
  };
  const stored = ({ round, of, path }: File): StoredUpdate => ({
    round,
    of,
    read: async () => new Uint8Array(await readFile(path)),
  });
  return {
    async find(round) {
      const found = (await list()).find((update) => update.round === round);
      return found && stored(found);
    },
    async write(round, of, bytes) {
      const path = join(folder, `${round}-${of}.${kind}`);
      const others = (await list()).filter((file) => file.path !== path);
      // Until it is done, and when it fails, only the folder itself says what is there.
      known = null;
      await writeDurably(path, bytes);
      known = [...others, { round, of, path }];
      return { round, of, read: async () => bytes };
    },
    async keepOnly(round) {
      const all = await list();
      const others = all.filter((file) => file.round !== round);
      if (others.length === 0) return;
      known = null;
      for (const { path } of others) await rm(path, { force: true });
      known = all.filter((file) => file.round === round);
    },
  };
}

/** Writes beside, syncs, renames, syncs the folder: `path` has the old content or all of the new, also after a power cut. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const folder = join(path, '..');
  const beside = `${path}.${randomBytes(6).toString('hex')}.new`;
  const create = () => open(beside, 'wx', 0o600);
  const file = await create().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return await create();
  });
  try {
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(beside, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await unlink(beside).catch(() => undefined);
    throw error;
  }
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
