import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { validity, type Authority } from './authority.ts';
import { CertificateError } from './error.ts';
import { generateKeys, privateKeyPem, randomSerial, signingAlgorithm, writeNewFiles } from './key.ts';
import * as x509 from './x509.ts';

/** RFC 9336: the certificate signs documents; with this purpose alone it cannot open a TLS connection. */
const DOCUMENT_SIGNING = '1.3.6.1.5.5.7.3.36';

export interface ParticipantOptions {
  /** The participant's id, an absolute IRI in ASCII such as `did:web:bdl.example`: becomes the SAN URI of both. */
  readonly participantId: string;
  /** Folder for the five files; created when missing. */
  readonly directory: string;
  /** Host names and IP addresses that the TLS certificate is good for. @default ['localhost', '127.0.0.1'] */
  readonly hosts?: readonly string[];
  /** Never beyond the authority's own end. @default 397 */
  readonly validDays?: number;
  /** Start of the validity. @default the current time */
  readonly now?: Date;
}

export interface ParticipantCertificates {
  readonly tlsCertificatePem: string;
  readonly signingCertificatePem: string;
}

/**
 * Issues a participant's two certificates, each with a key of its own: one for TLS (server and client), one for
 * signing agreements and enrolments.
 *
 * Writes `tls.crt`, `tls.key`, `signing.crt`, `signing.key` (keys: mode 0600, PEM PKCS#8) and a copy of `ca.crt`;
 * overwrites nothing.
 *
 * @throws CertificateError `already-exists`, `bad-input`
 */
export async function issueParticipant(
  authority: Authority,
  options: ParticipantOptions,
): Promise<ParticipantCertificates> {
  const { participantId, directory, hosts = ['localhost', '127.0.0.1'] } = options;
  if (!/^[a-z][a-z0-9+.-]*:[!#-&(-+\--[\]-~]{1,2000}$/i.test(participantId)) {
    throw new CertificateError(
      'bad-input',
      `"${participantId}" is no participant id. It is an absolute IRI in ASCII without spaces, quotes, commas or backslashes, for instance did:web:bdl.example.`,
    );
  }
  const uri = { type: 'url', value: participantId } as const;
  const common = { authority, participantId, now: options.now ?? new Date(), validDays: options.validDays ?? 397 };
  const tls = await issue({
    ...common,
    names: [...hosts.map(hostName), uri],
    purposes: [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
  });
  const signing = await issue({ ...common, names: [uri], purposes: [DOCUMENT_SIGNING] });
  await writeNewFiles(directory, [
    { name: 'ca.crt', content: authority.certificatePem, secret: false },
    { name: 'tls.key', content: tls.keyPem, secret: true },
    { name: 'tls.crt', content: tls.certificatePem, secret: false },
    { name: 'signing.key', content: signing.keyPem, secret: true },
    { name: 'signing.crt', content: signing.certificatePem, secret: false },
  ]);
  return { tlsCertificatePem: tls.certificatePem, signingCertificatePem: signing.certificatePem };
}

function hostName(host: string): x509.JsonGeneralName {
  if (isIP(host) !== 0) return { type: 'ip', value: host };
  if (/^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i.test(host) && host.length <= 253) {
    return { type: 'dns', value: host };
  }
  throw new CertificateError(
    'bad-input',
    `"${host}" is neither a host name nor an IP address. Examples: connector.bdl.example, 192.0.2.7`,
  );
}

async function issue(request: {
  authority: Authority;
  participantId: string;
  now: Date;
  validDays: number;
  names: x509.JsonGeneralNames;
  purposes: string[];
}): Promise<{ certificatePem: string; keyPem: string }> {
  const { authority, participantId, names, purposes } = request;
  const keys = await generateKeys();
  const { notBefore, notAfter } = validity(request.now, request.validDays);
  const end = authority.certificate.notAfter;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: [{ CN: [commonName(participantId)] }],
    issuer: authority.certificate.subjectName,
    notBefore,
    notAfter: notAfter < end ? notAfter : end,
    signingAlgorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(purposes),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: await privateKeyPem(keys.privateKey),
  };
}

/** X.520 ends a common name at 64 characters; a longer id is known by its digest there (the SAN has it in full). */
function commonName(participantId: string): string {
  return participantId.length <= 64 ? participantId : createHash('sha256').update(participantId).digest('hex');
}
