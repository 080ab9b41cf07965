/**
 * The newest head of the own ledger under each agreement, kept beside it: a store that was put back from a backup is found
 * out by it even where the coordinator, who gains by that, hands none back.
 */
import { hash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type SignedHead, signedHeadSchema } from '@foedus/connector/operator-client';

export interface KeptHeads {
  /** undefined: none is kept, or what is kept cannot be read. */
  get(agreementId: string): Promise<SignedHead | undefined>;
  keep(agreementId: string, head: SignedHead): Promise<void>;
}

/** @param folder created when first needed */
export function createKeptHeads(folder: string): KeptHeads {
  const pathOf = (agreementId: string): string => join(folder, `${hash('sha256', agreementId, 'hex')}.json`);
  return {
    async get(agreementId) {
      try {
        return signedHeadSchema.parse(JSON.parse(await readFile(pathOf(agreementId), 'utf8')));
      } catch {
        return undefined;
      }
    },
    async keep(agreementId, head) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = pathOf(agreementId);
      const beside = `${path}.${randomBytes(6).toString('hex')}.new`;
      // Not waited for until it is on the disk: a power cut may leave an older one, which still proves what it says.
      try {
        await writeFile(beside, JSON.stringify(head), { mode: 0o600 });
        await rename(beside, path);
      } finally {
        await rm(beside, { force: true });
      }
    },
  };
}
