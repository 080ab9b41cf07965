import { FoedusError } from '@foedus/connector/errors';
import { readTrustAnchors, type Trust } from '@foedus/connector/identity';
import { readFile } from 'node:fs/promises';

/**
 * Reads trust anchors from a PEM file.
 *
 * @throws FoedusError `bad-config` when it cannot be read, `bad-certificate` when it holds none
 */
export async function trustIn(file: string): Promise<Trust> {
  const pem = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FoedusError('bad-config', `The trust anchors ${file} cannot be read.`, { cause });
  });
  return readTrustAnchors(pem, file);
}
