import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { lstat, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateError } from './error.ts';

/** Every key of a data space: ECDSA on P-256 with SHA-256 (ES256 in signatures). */
export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

export async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
}

/** @returns the private key as PEM, PKCS#8 */
export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

/** A positive serial number of 20 bytes with 158 random bits (RFC 5280, 4.1.2.2: at most 20 bytes, never negative). */
export function randomSerial(): string {
  const bytes = randomBytes(20);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

export interface NewFile {
  readonly name: string;
  readonly content: string;
  /** Readable by the owner alone. */
  readonly secret: boolean;
}

/**
 * Writes all files into `directory` (created when missing), or none when one of them exists.
 *
 * @throws CertificateError `already-exists`
 */
export async function writeNewFiles(directory: string, files: readonly NewFile[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const { name } of files) {
    const path = join(directory, name);
    const exists = await lstat(path).then(
      () => true,
      () => false,
    );
    if (exists) {
      throw new CertificateError(
        'already-exists',
        `${path} exists already and is not overwritten. Choose another folder, or move the old files away first.`,
      );
    }
  }
  const written: string[] = [];
  try {
    for (const { name, content, secret } of files) {
      const path = join(directory, name);
      // Through a file of its own and a rename: a crash leaves no half-written key that later looks like a whole one.
      const partial = `${path}.${randomBytes(6).toString('hex')}.part`;
      written.push(partial);
      await writeFile(partial, content, { flag: 'wx', mode: secret ? 0o600 : 0o644 });
      await rename(partial, path);
      written.push(path);
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true });
    throw error;
  }
}
