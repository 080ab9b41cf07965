import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FoedusError } from '../errors.ts';
import { checkMaySign, participantOf, readTrustAnchors, verifyChain, type Trust } from './certificate.ts';
import { signDocument, verifySignature } from './signature.ts';

/** Absolute paths of a participant's PEM files, as `foedus certs issue` writes them. */
export interface IdentityFiles {
  readonly tlsKey: string;
  /** The certificate, and after it any certificates between it and a trust anchor. */
  readonly tlsCertificate: string;
  readonly signingKey: string;
  readonly signingCertificate: string;
  /** One or more certificates of authorities. */
  readonly trustAnchors: string;
}

/** Who this node is, and whom it believes. */
export interface Identity {
  /** An IRI, e.g. `did:web:bdl.example`: the SAN URI of both certificates. */
  readonly participantId: string;
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly trust: Trust;
  /** @returns detached compact JWS, ES256, x5c, over the RFC 8785 form */
  sign(document: unknown): Promise<string>;
  /** Verifies a detached signature as of now. @throws FoedusError `bad-signature` */
  verify(jws: string, document: unknown, expectedSigner: string): Promise<void>;
  /** `sign` and `verify` at once, some 0.1 ms each: for what happens within a transaction. */
  readonly now: {
    sign(document: unknown): string;
    verify(jws: string, document: unknown, expectedSigner: string): void;
  };
}

/**
 * Reads keys and certificates and makes sure that they belong together: each key to its certificate, both to the
 * participant, all issued by a trust anchor and valid now.
 *
 * @throws FoedusError `bad-identity`
 */
export async function loadIdentity(participantId: string, files: IdentityFiles): Promise<Identity> {
  const ca = await read(files.trustAnchors, 'identity.trustAnchors');
  const trust = setting('identity.trustAnchors', () => readTrustAnchors(ca, files.trustAnchors));
  const open = async (name: 'tls' | 'signing') => {
    const cert = await read(files[`${name}Certificate`], `identity.${name}Certificate`);
    const key = await read(files[`${name}Key`], `identity.${name}Key`);
    return setting(`identity.${name}Certificate`, () => ({ cert, key, ...check(participantId, cert, key, trust) }));
  };
  const tls = await open('tls');
  const signing = await open('signing');
  setting('identity.signingCertificate', () => checkMaySign(signing.chain[0]!));
  setting('identity.signingKey', () => checkCurve(signing.privateKey));
  const now: Identity['now'] = {
    sign: (document) => signDocument(signing.privateKey, signing.chain, document),
    verify: (jws, document, expectedSigner) => {
      verifySignature(jws, document, { expectedSigner, trust, at: new Date() });
    },
  };
  return {
    participantId,
    tls: { key: tls.key, cert: tls.cert, ca },
    trust,
    sign: async (document) => now.sign(document),
    verify: async (jws, document, expectedSigner) => now.verify(jws, document, expectedSigner),
    now,
  };
}

function check(
  participantId: string,
  cert: string,
  key: string,
  trust: Trust,
): { chain: X509Certificate[]; privateKey: KeyObject } {
  const blocks = cert.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map((block) => new X509Certificate(block));
  const certificate = chain[0];
  if (!certificate) throw new FoedusError('bad-certificate', 'The file holds no PEM certificate.');
  const privateKey = createPrivateKey(key);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new FoedusError('bad-certificate', 'The private key does not belong to the certificate.');
  }
  const named = participantOf(certificate);
  if (named !== participantId) {
    throw new FoedusError(
      'bad-certificate',
      `The certificate names ${named}, but this node's participantId is ${participantId}.`,
    );
  }
  verifyChain(chain, trust, new Date());
  return { chain, privateKey };
}

/** ES256 is ECDSA on P-256 and nothing else (RFC 7518, section 3.4). */
function checkCurve({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): void {
  const found = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType;
  if (found === 'prime256v1') return;
  throw new FoedusError(
    'bad-certificate',
    `The key for signing is ${found}, and signatures are made with P-256. Issue it anew with \`foedus certs issue\`.`,
  );
}

async function read(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new FoedusError(
      'bad-identity',
      `${name}: the file ${path} cannot be read. \`foedus certs issue\` makes keys and certificates.`,
      { cause },
    );
  }
}

function setting<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new FoedusError('bad-identity', `${name}: ${(cause as Error).message}`, { cause });
  }
}
