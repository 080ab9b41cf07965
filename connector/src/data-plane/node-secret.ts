import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { FoedusError } from '../errors.ts';

const SECRET_BYTES = 32;

/**
 * Reads the secret at `path`, or makes one there: 32 bytes of the operating system's CSPRNG, readable by the owner
 * only. Of two processes that start together both get the same one, and a crash never leaves half a secret.
 *
 * @throws FoedusError `bad-secret` when the file holds something else
 */
export function loadOrCreateSecret(path: string): Buffer {
  if (!exists(path)) create(path);
  const secret = readFileSync(path);
  if (secret.length === SECRET_BYTES) return secret;
  throw new FoedusError(
    'bad-secret',
    `The secret ${path} has ${secret.length} bytes instead of ${SECRET_BYTES}. Restore it from a backup, or remove it: the node then makes a new one, and what was derived from the old one changes.`,
  );
}

function exists(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw new FoedusError('bad-secret', `The secret ${path} cannot be read. Let this program's user read it.`, {
      cause: error,
    });
  }
}

function create(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeSync(file, randomBytes(SECRET_BYTES));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    // A link fails when the name is taken: the first of several processes wins, whole.
    linkSync(draft, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
