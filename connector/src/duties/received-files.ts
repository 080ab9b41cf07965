import { randomUUID } from 'node:crypto';
import { lstat, unlink } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { FoedusError } from '../errors.ts';
import type { Database } from '../store/database.ts';
import type { ReceivedFile } from './model.ts';

/** What was deleted, as evidence. */
export interface DeletedFiles {
  readonly deleted: readonly { path: string; bytes: number; at: string }[];
  /** Why some could not be, in words. */
  readonly problems: readonly string[];
}

/** Files with received data that this node knows of, so that it can delete them. */
export interface ReceivedFiles {
  /**
   * Notes a file that is there now.
   *
   * @throws FoedusError `bad-request` where there is no such file
   */
  record(agreementId: string, path: string): Promise<ReceivedFile>;
  /** Notes those that are not noted yet, or not any more since they were deleted. */
  recordAll(agreementId: string, paths: readonly string[]): Promise<void>;
  ofAgreement(agreementId: string): ReceivedFile[];
  /** Deletes those that are still the files that were recorded. One that is gone already counts as deleted. */
  deleteAll(agreementId: string): Promise<DeletedFiles>;
}

interface Row {
  readonly device: string;
  readonly inode: string;
  readonly body: string;
}

/** @returns the files over the tables of the migration `duties` */
export function createReceivedFiles(database: Database, clock: () => Date): ReceivedFiles {
  const { sql } = database;
  const insert = sql.prepare(
    'INSERT INTO received_file (id, agreement_id, path, device, inode, body) VALUES (?, ?, ?, ?, ?, ?)',
  );
  // The same place, written anew: the file that was there is gone.
  const forget = sql.prepare(
    "DELETE FROM received_file WHERE agreement_id = ? AND path = ? AND body ->> 'deletedAt' IS NULL",
  );
  const byAgreement = sql.prepare(
    'SELECT device, inode, body FROM received_file WHERE agreement_id = ? ORDER BY sequence',
  );
  const save = sql.prepare('UPDATE received_file SET body = ? WHERE id = ?');
  const rows = (agreementId: string): Row[] => byAgreement.all(agreementId) as unknown as Row[];
  const read = ({ body }: Row): ReceivedFile => JSON.parse(body) as ReceivedFile;

  const record: ReceivedFiles['record'] = async (agreementId, path) => {
    const found = isAbsolute(path) ? await lstat(path, { bigint: true }).catch(() => undefined) : undefined;
    if (!found?.isFile()) {
      throw new FoedusError(
        'bad-request',
        `path: ${path} is no file that this node sees. Give the absolute path of a file on its machine.`,
      );
    }
    const file: ReceivedFile = {
      id: `urn:uuid:${randomUUID()}`,
      agreementId,
      path,
      bytes: Number(found.size),
      recordedAt: clock().toISOString(),
    };
    database.transaction(() => {
      forget.run(agreementId, path);
      insert.run(file.id, agreementId, path, String(found.dev), String(found.ino), JSON.stringify(file));
    });
    return file;
  };

  return {
    record,
    recordAll: async (agreementId, paths) => {
      const noted = rows(agreementId).map(read);
      for (const path of paths) {
        if (!noted.some((file) => file.path === path && file.deletedAt === undefined)) await record(agreementId, path);
      }
    },
    ofAgreement: (agreementId) => rows(agreementId).map(read),
    deleteAll: async (agreementId) => {
      const deleted: DeletedFiles['deleted'][number][] = [];
      const problems: string[] = [];
      for (const row of rows(agreementId)) {
        const file = read(row);
        if (file.deletedAt !== undefined) continue;
        const problem = await remove(file.path, row);
        if (problem !== undefined) {
          problems.push(problem);
          continue;
        }
        const at = clock().toISOString();
        save.run(JSON.stringify({ ...file, deletedAt: at } satisfies ReceivedFile), file.id);
        deleted.push({ path: file.path, bytes: file.bytes, at });
      }
      return { deleted, problems };
    },
  };
}

/** @returns why the file could not be deleted */
async function remove(path: string, { device, inode }: Row): Promise<string | undefined> {
  try {
    const found = await lstat(path, { bigint: true });
    if (!found.isFile() || String(found.dev) !== device || String(found.ino) !== inode) {
      return `${path} is another file now than the one that was received. Delete what was received by hand.`;
    }
    await unlink(path);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return `${path} cannot be deleted: ${(error as Error).message}.`;
  }
}
