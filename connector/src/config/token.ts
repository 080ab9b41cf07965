import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FoedusError } from '../errors.ts';

/**
 * Reads the token that lets an operator in.
 *
 * @throws FoedusError `bad-config` when the file is missing or holds no token
 */
export async function readToken(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new FoedusError(
      'bad-config',
      `The token file ${file} cannot be read. The program that it belongs to writes it at its first start.`,
      { cause },
    );
  }
  const token = text.trim();
  if (!/^[\x21-\x7e]{16,1000}$/.test(token)) {
    throw new FoedusError(
      'bad-config',
      `The token file ${file} holds no token: one line of 16 to 1000 visible ASCII characters. Delete it to get a new one.`,
    );
  }
  return token;
}

/**
 * Like readToken, but makes a token (256 random bits, base64url; mode 0600) when the file is missing. Several programs
 * may do this at once: all get the same token.
 *
 * @throws FoedusError `bad-config`
 */
export async function ensureToken(file: string): Promise<string> {
  const partial = `${file}.${randomBytes(6).toString('hex')}.part`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(partial, `${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 });
    // A link appears whole and never replaces: nobody reads half a token, and the first one wins.
    await link(partial, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new FoedusError('bad-config', `The token file ${file} cannot be written: ${(error as Error).message}`, {
        cause: error,
      });
    }
  } finally {
    await rm(partial, { force: true });
  }
  return await readToken(file);
}
