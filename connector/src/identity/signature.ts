import type { KeyObject, X509Certificate } from 'node:crypto';
import { CompactSign, compactVerify } from 'jose';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { canonicalise } from './canonical.ts';
import { MAX_CHAIN, certificateOf, checkMaySign, participantOf, verifyChain, type Trust } from './certificate.ts';

const MAX_LENGTH = 64 * 1024;

/** RFC 7515 header. Anything else in it (`jwk`, `jku`, `crit`, `b64` …) could change what is verified: refused. */
const headerSchema = z.strictObject({
  alg: z.literal('ES256'),
  x5c: z
    .array(
      z
        .string()
        .max(16_384)
        .regex(/^[A-Za-z0-9+/]+={0,2}$/),
    )
    .min(1)
    .max(MAX_CHAIN),
  kid: z.string().max(500).optional(),
  typ: z.string().max(100).optional(),
});

/** A signature that was found good: by whom and with which certificate. */
export interface VerifiedSignature {
  /** Participant id. */
  readonly signer: string;
  /** SHA-256 of the signing certificate in DER, 64 hex digits. */
  readonly fingerprint: string;
  readonly validFrom: Date;
  readonly validTo: Date;
}

/** @returns compact JWS with detached payload (RFC 7515, appendix F) over the RFC 8785 form of `document` */
export async function signDocument(
  key: KeyObject,
  chain: readonly X509Certificate[],
  document: unknown,
): Promise<string> {
  const x5c = chain.map((certificate) => certificate.raw.toString('base64'));
  const jws = await new CompactSign(canonicalise(document)).setProtectedHeader({ alg: 'ES256', x5c }).sign(key);
  const [header, , signature] = jws.split('.');
  return `${header}..${signature}`;
}

/**
 * Verifies a detached signature: algorithm, certificate chain to a trust anchor at `at`, the certificate's purpose,
 * who it names, and the signature over the RFC 8785 form of `document`.
 *
 * @param expectedSigner the participant id that the certificate must name, exactly
 * @throws FoedusError `bad-signature`; the message says which of these failed
 */
export async function verifySignature(
  jws: string,
  document: unknown,
  { expectedSigner, trust, at }: { expectedSigner: string; trust: Trust; at: Date },
): Promise<VerifiedSignature> {
  const bad = (why: string, cause?: unknown): FoedusError =>
    new FoedusError('bad-signature', `The signature of ${expectedSigner} is not valid: ${why}`, { cause });

  const [header, payload, signature, ...rest] = jws.length > MAX_LENGTH ? [] : jws.split('.');
  if (!header || payload !== '' || !signature || rest.length > 0) {
    throw bad('it is not a compact JWS with detached payload.');
  }
  const chain = readChain(header, bad);
  const certificate = chain[0]!;
  try {
    verifyChain(chain, trust, at);
    checkMaySign(certificate);
    const signer = participantOf(certificate);
    if (signer !== expectedSigner) throw bad(`it was made by ${signer}.`);
  } catch (error) {
    throw error instanceof FoedusError && error.code !== 'bad-signature' ? bad(error.message, error) : error;
  }
  const whole = `${header}.${Buffer.from(canonicalise(document)).toString('base64url')}.${signature}`;
  try {
    await compactVerify(whole, certificate.publicKey, { algorithms: ['ES256'] });
  } catch (cause) {
    throw bad('it does not belong to this document, which was changed after it was signed.', cause);
  }
  return {
    signer: expectedSigner,
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
  };
}

function readChain(header: string, bad: (why: string, cause?: unknown) => FoedusError): X509Certificate[] {
  try {
    const parsed = headerSchema.parse(JSON.parse(Buffer.from(header, 'base64url').toString('utf8')));
    return parsed.x5c.map(certificateOf);
  } catch (cause) {
    throw bad('its header must hold alg "ES256" and the signing certificate as x5c, and nothing else.', cause);
  }
}
