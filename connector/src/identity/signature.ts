import { sign, verify, type KeyObject, type X509Certificate } from 'node:crypto';
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

/** RFC 7518, section 3.4: R and S in 32 bytes each, not DER. */
const dsaEncoding = 'ieee-p1363';
const SIGNATURE_BYTES = 64;

/**
 * Signs at once, in the calling thread: that takes less time than to hand it to another one and come back.
 *
 * @param key on the curve P-256
 * @returns compact JWS with detached payload (RFC 7515, appendix F) over the RFC 8785 form of `document`
 * @throws FoedusError `bad-request` for what has no canonical form
 */
export function signDocument(key: KeyObject, chain: readonly X509Certificate[], document: unknown): string {
  const header = headerOf(chain);
  const signature = sign('sha256', signed(header, document), { key, dsaEncoding });
  return `${header}..${signature.toString('base64url')}`;
}

const headers = new WeakMap<readonly X509Certificate[], string>();

/** Of whatever is signed with the same certificate. */
function headerOf(chain: readonly X509Certificate[]): string {
  const known = headers.get(chain);
  if (known !== undefined) return known;
  const x5c = chain.map((certificate) => certificate.raw.toString('base64'));
  const header = Buffer.from(JSON.stringify({ alg: 'ES256', x5c })).toString('base64url');
  headers.set(chain, header);
  return header;
}

/** What is signed: RFC 7515, section 5.1. */
function signed(header: string, document: unknown): Buffer {
  return Buffer.from(`${header}.${Buffer.from(canonicalise(document)).toString('base64url')}`);
}

/**
 * Verifies a detached signature: algorithm, certificate chain to a trust anchor at `at`, the certificate's purpose,
 * who it names, and the signature over the RFC 8785 form of `document`.
 *
 * @param expectedSigner the participant id that the certificate must name, exactly
 * @throws FoedusError `bad-signature`; the message says which of these failed
 */
export function verifySignature(
  jws: string,
  document: unknown,
  { expectedSigner, trust, at }: { expectedSigner: string; trust: Trust; at: Date },
): VerifiedSignature {
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
  if (!verifyEs256(signature, signed(header, document), certificate.publicKey)) {
    throw bad('it does not belong to this document, which was changed after it was signed.');
  }
  return {
    signer: expectedSigner,
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
  };
}

/** RFC 7518, section 3.4. The signature has one spelling only: what a lenient decoder would pass over is refused. */
function verifyEs256(text: string, data: Buffer, key: KeyObject): boolean {
  const signature = Buffer.from(text, 'base64url');
  return (
    signature.length === SIGNATURE_BYTES &&
    signature.toString('base64url') === text &&
    key.asymmetricKeyType === 'ec' &&
    key.asymmetricKeyDetails?.namedCurve === 'prime256v1' &&
    // With the key in an object of options Node throws and catches an error first, half as long as all the rest.
    verify('sha256', data, key, derOf(signature))
  );
}

/** R and S as DER has them (RFC 3279, section 2.2.3): two integers, each without zeros in front but one that keeps it positive. */
function derOf(signature: Buffer): Buffer {
  const integer = (bytes: Buffer): Buffer => {
    let from = 0;
    while (from < bytes.length - 1 && bytes[from] === 0) from += 1;
    const rest = bytes.subarray(from);
    const positive = rest[0]! >= 0x80 ? [0] : [];
    return Buffer.concat([Buffer.of(0x02, rest.length + positive.length, ...positive), rest]);
  };
  const half = SIGNATURE_BYTES / 2;
  const both = Buffer.concat([integer(signature.subarray(0, half)), integer(signature.subarray(half))]);
  return Buffer.concat([Buffer.of(0x30, both.length), both]);
}

/** Headers of this length at most are kept, the most recently used ones: those of partners, which sign all they say with one certificate. */
const LONGEST_KEPT = 8_192;
const MOST_KEPT = 1_024;
const chains = new Map<string, X509Certificate[]>();

function chainIn(header: string): X509Certificate[] {
  return headerSchema.parse(JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))).x5c.map(certificateOf);
}

function readChain(header: string, bad: (why: string, cause?: unknown) => FoedusError): X509Certificate[] {
  try {
    // What a header holds does not change; whether its chain is valid and trusted is asked anew each time.
    const known = chains.get(header);
    chains.delete(header);
    const parsed = known ?? chainIn(header);
    if (header.length <= LONGEST_KEPT) chains.set(header, parsed);
    if (chains.size > MOST_KEPT) chains.delete(chains.keys().next().value!);
    return parsed;
  } catch (cause) {
    throw bad('its header must hold alg "ES256" and the signing certificate as x5c, and nothing else.', cause);
  }
}
