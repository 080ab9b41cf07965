import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  KeyUsage,
  KeyUsageFlags,
  SubjectAlternativeName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
} from '@peculiar/asn1-x509';
import { X509Certificate } from 'node:crypto';
import { FoedusError } from '../errors.ts';

/** The certificates that a participant trusts to name others: usually the one of the data space's authority. */
export type Trust = readonly X509Certificate[];

/** RFC 9336 and RFC 5280: purposes that allow a certificate to sign a document. */
const SIGNING_PURPOSES = new Set(['1.3.6.1.5.5.7.3.36', '2.5.29.37.0']);
/** Critical extensions that are understood here; RFC 5280, 4.2: with any other one the certificate is refused. */
const UNDERSTOOD = new Set<string>([id_ce_basicConstraints, id_ce_extKeyUsage, id_ce_keyUsage, id_ce_subjectAltName]);
/** Longest chain that is followed, the signer's certificate included. */
export const MAX_CHAIN = 5;

/** Certificates from elsewhere that are kept, the most recently used ones: a few kilobytes each. */
const MOST_KEPT = 512;
const kept = new Map<string, X509Certificate>();

/**
 * Reads a certificate, or takes the one that was read from the same bytes before, with all that is known of it: who it
 * names and which authority has signed it do not change. Whether it is valid now is asked anew each time.
 *
 * @param der DER in base64
 * @throws Error for anything else
 */
export function certificateOf(der: string): X509Certificate {
  const certificate = kept.get(der) ?? new X509Certificate(Buffer.from(der, 'base64'));
  kept.delete(der);
  kept.set(der, certificate);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return certificate;
}

interface Facts {
  /** Every SAN of type URI, byte for byte. */
  readonly uris: readonly string[];
  readonly digitalSignature: boolean;
  /** Extended key usage; null: any. */
  readonly purposes: readonly string[] | null;
  /** How many authorities may stand below this one; null: any number. */
  readonly pathLength: number | null;
  readonly unknownCritical: readonly string[];
}

const factsKnown = new WeakMap<X509Certificate, Facts>();

/**
 * Reads the extensions from DER. Node prints the alternative names as one string, and its `keyUsage` is the extended
 * one: neither is exact enough to decide who somebody is.
 *
 * @throws FoedusError `bad-certificate`
 */
function factsOf(certificate: X509Certificate): Facts {
  const cached = factsKnown.get(certificate);
  if (cached) return cached;
  const facts = parse(certificate);
  factsKnown.set(certificate, facts);
  return facts;
}

function parse(certificate: X509Certificate): Facts {
  try {
    const extensions = AsnConvert.parse(certificate.raw, Certificate).tbsCertificate.extensions ?? [];
    const ids = extensions.map((extension) => extension.extnID);
    if (new Set(ids).size !== ids.length) throw new Error('an extension occurs twice');
    const read = <T>(id: string, type: new () => T): T | undefined => {
      const found = extensions.find((extension) => extension.extnID === id);
      return found && AsnConvert.parse(found.extnValue, type);
    };
    const names = read(id_ce_subjectAltName, SubjectAlternativeName);
    const usage = read(id_ce_keyUsage, KeyUsage);
    const purposes = read(id_ce_extKeyUsage, ExtendedKeyUsage);
    return {
      uris: [...(names ?? [])].flatMap((name) => name.uniformResourceIdentifier ?? []),
      digitalSignature: usage !== undefined && (usage.toNumber() & KeyUsageFlags.digitalSignature) !== 0,
      purposes: purposes ? [...purposes] : null,
      pathLength: read(id_ce_basicConstraints, BasicConstraints)?.pathLenConstraint ?? null,
      unknownCritical: extensions.filter((e) => e.critical && !UNDERSTOOD.has(e.extnID)).map((e) => e.extnID),
    };
  } catch (cause) {
    throw new FoedusError('bad-certificate', `A certificate cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The participant that a certificate names: its one SAN of type URI.
 *
 * @throws FoedusError `bad-certificate` when it names none or several
 */
export function participantOf(certificate: X509Certificate): string {
  const { uris } = factsOf(certificate);
  if (uris.length !== 1) {
    throw new FoedusError(
      'bad-certificate',
      `The certificate "${certificate.subject}" names ${uris.length} participants; it must hold exactly one URI (the participant id) among its alternative names. Issue it anew with \`foedus certs issue\`.`,
    );
  }
  return uris[0]!;
}

/**
 * Reads one or more PEM certificates.
 *
 * @param source what the PEM came from, for the message
 * @throws FoedusError `bad-certificate`
 */
export function readTrustAnchors(pem: string, source = 'the trust anchors'): Trust {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) {
    throw new FoedusError('bad-certificate', `There is no PEM certificate in ${source}.`);
  }
  return blocks.map((block) => {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(block);
    } catch (cause) {
      throw new FoedusError('bad-certificate', `A certificate in ${source} cannot be read.`, { cause });
    }
    if (!certificate.ca) {
      throw new FoedusError(
        'bad-certificate',
        `"${certificate.subject}" in ${source} is not the certificate of an authority.`,
      );
    }
    return certificate;
  });
}

/**
 * Follows a chain from `chain[0]` to a trust anchor (RFC 5280, 6.1, without policies and name constraints, which are
 * refused when critical): signatures, validity at `at`, CA flags, path lengths. The order of `chain` is binding.
 *
 * @throws FoedusError `bad-certificate`
 */
export function verifyChain(chain: readonly X509Certificate[], trust: Trust, at: Date): void {
  if (chain.length === 0 || chain.length > MAX_CHAIN) {
    throw new FoedusError('bad-certificate', `A chain has 1 to ${MAX_CHAIN} certificates, not ${chain.length}.`);
  }
  for (const [below, certificate] of chain.entries()) {
    checkValidity(certificate, at);
    const anchor = trust.find((candidate) => issued(candidate, certificate, below));
    if (anchor) {
      checkValidity(anchor, at);
      return;
    }
    const next = chain[below + 1];
    if (!next) break;
    if (!issued(next, certificate, below)) {
      throw new FoedusError('bad-certificate', `"${next.subject}" has not issued "${certificate.subject}".`);
    }
  }
  throw new FoedusError(
    'bad-certificate',
    `No trusted authority has issued the certificate "${chain[0]!.subject}". Is it from this data space, and are the trust anchors the right ones?`,
  );
}

const issuers = new WeakMap<X509Certificate, WeakMap<X509Certificate, boolean>>();

/** Whether `authority` has signed `certificate`: computed once for each pair, since it never changes. */
function signed(authority: X509Certificate, certificate: X509Certificate): boolean {
  const known = issuers.get(certificate) ?? new WeakMap<X509Certificate, boolean>();
  issuers.set(certificate, known);
  // checkIssued compares names and key identifiers and wants keyCertSign; the signature is a check of its own.
  const result =
    known.get(authority) ?? (certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
  known.set(authority, result);
  return result;
}

/** @param below how many authorities already stand between `certificate` and the end of the chain */
function issued(authority: X509Certificate, certificate: X509Certificate, below: number): boolean {
  if (!authority.ca || !signed(authority, certificate)) return false;
  const { pathLength, unknownCritical } = factsOf(authority);
  return unknownCritical.length === 0 && (pathLength === null || pathLength >= below);
}

function checkValidity(certificate: X509Certificate, at: Date): void {
  const { validFromDate, validToDate, subject } = certificate;
  if (at < validFromDate || at > validToDate) {
    throw new FoedusError(
      'bad-certificate',
      `The certificate "${subject}" is valid from ${validFromDate.toISOString()} to ${validToDate.toISOString()}, not at ${at.toISOString()}.`,
    );
  }
  const { unknownCritical } = factsOf(certificate);
  if (unknownCritical.length > 0) {
    throw new FoedusError(
      'bad-certificate',
      `The certificate "${subject}" has critical extensions that are not understood here: ${unknownCritical.join(', ')}.`,
    );
  }
}

/** @throws FoedusError `bad-certificate` unless the certificate may sign documents */
export function checkMaySign(certificate: X509Certificate): void {
  const { digitalSignature, purposes } = factsOf(certificate);
  if (!digitalSignature || (purposes !== null && !purposes.some((purpose) => SIGNING_PURPOSES.has(purpose)))) {
    throw new FoedusError(
      'bad-certificate',
      `The certificate "${certificate.subject}" is not meant for signing documents.`,
    );
  }
}
