import { X509Certificate, createPrivateKey, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateError } from './error.ts';
import { generateKeys, keyAlgorithm, privateKeyPem, randomSerial, signingAlgorithm, writeNewFiles } from './key.ts';
import * as x509 from './x509.ts';

x509.cryptoProvider.set(webcrypto);

const DAY = 86_400_000;
/** Certificates are valid from a little before they are made, for participants whose clock is behind. */
const CLOCK_TOLERANCE = 5 * 60_000;

export interface AuthorityOptions {
  /** Folder for `ca.crt` and `ca.key`; created when missing. */
  readonly directory: string;
  /** Common name, for instance `Mobility data space CA`; 1 to 64 characters. */
  readonly name: string;
  /** @default 3650 */
  readonly validDays?: number;
  /** Start of the validity. @default the current time */
  readonly now?: Date;
}

/** A certificate authority: what signs the certificates of all participants of one data space. */
export interface Authority {
  /** PEM of the authority's certificate: the trust anchor that every participant gets. */
  readonly certificatePem: string;
  readonly certificate: x509.X509Certificate;
  readonly privateKey: webcrypto.CryptoKey;
}

/**
 * Makes a certificate authority: a self-signed certificate (RFC 5280: CA, path length 0) and its key.
 *
 * Writes `ca.crt` and `ca.key` (mode 0600, PEM PKCS#8) and overwrites nothing.
 *
 * @throws CertificateError `already-exists`, `bad-input`
 */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const { directory, name } = options;
  if (name.trim() === '' || name.length > 64) {
    throw new CertificateError('bad-input', 'The name of a certificate authority has 1 to 64 characters.');
  }
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [name] }],
    ...validity(options.now ?? new Date(), options.validDays ?? 3650),
    signingAlgorithm,
    keys: keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificatePem = `${certificate.toString('pem')}\n`;
  await writeNewFiles(directory, [
    { name: 'ca.crt', content: certificatePem, secret: false },
    { name: 'ca.key', content: await privateKeyPem(keys.privateKey), secret: true },
  ]);
  return { certificatePem, certificate, privateKey: keys.privateKey };
}

/**
 * Opens the authority in `directory`, to issue further certificates.
 *
 * @throws CertificateError `bad-authority` when the files are missing, unreadable or do not belong together
 */
export async function openAuthority(directory: string): Promise<Authority> {
  try {
    const certificatePem = await readFile(join(directory, 'ca.crt'), 'utf8');
    const key = createPrivateKey(await readFile(join(directory, 'ca.key'), 'utf8'));
    const parsed = new X509Certificate(certificatePem);
    if (!parsed.ca) throw new Error('ca.crt is not the certificate of an authority');
    if (!parsed.checkPrivateKey(key)) throw new Error('ca.key is not the key of ca.crt');
    const der = key.export({ format: 'der', type: 'pkcs8' });
    const privateKey = await webcrypto.subtle.importKey('pkcs8', der, keyAlgorithm, true, ['sign']);
    return { certificatePem, certificate: new x509.X509Certificate(certificatePem), privateKey };
  } catch (cause) {
    throw new CertificateError(
      'bad-authority',
      `There is no usable certificate authority in ${directory}: ${(cause as Error).message}. ` +
        'Make one with `foedus certs init`, or name the folder that holds ca.crt and ca.key.',
      { cause },
    );
  }
}

/** @throws CertificateError `bad-input` */
export function validity(now: Date, validDays: number): { notBefore: Date; notAfter: Date } {
  if (!(validDays > 0 && validDays <= 36_500)) {
    throw new CertificateError('bad-input', `A certificate is valid for 1 to 36500 days, not ${validDays}.`);
  }
  return {
    notBefore: new Date(now.getTime() - CLOCK_TOLERANCE),
    notAfter: new Date(now.getTime() + validDays * DAY),
  };
}
