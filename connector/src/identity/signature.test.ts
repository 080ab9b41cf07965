import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  Extension,
  GeneralName,
  SubjectAlternativeName,
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_subjectAltName,
} from '@peculiar/asn1-x509';
import { createAuthority, issueParticipant, type Authority } from '@foedus/certs';
import * as fc from 'fast-check';
import { CompactSign, compactVerify } from 'jose';
import { KeyObject, X509Certificate, createPrivateKey, sign as signBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  canonicalise,
  digest,
  loadIdentity,
  participantOf,
  readTrustAnchors,
  verifySignature,
  type Identity,
  type IdentityFiles,
} from './index.ts';

const BDL = 'did:web:bdl.example';
const PVD = 'did:web:pvd.example';
const DAY = 86_400_000;
let root: string;
let authority: Authority;
let bdl: Identity;
let pvd: Identity;

const filesIn = (name: string): IdentityFiles => ({
  tlsKey: join(root, name, 'tls.key'),
  tlsCertificate: join(root, name, 'tls.crt'),
  signingKey: join(root, name, 'signing.key'),
  signingCertificate: join(root, name, 'signing.crt'),
  trustAnchors: join(root, name, 'ca.crt'),
});
const pem = async (name: string, file: string) => await readFile(join(root, name, file), 'utf8');
const make = async (participantId: string, name: string, more: { now?: Date; validDays?: number } = {}) =>
  await issueParticipant(authority, { participantId, directory: join(root, name), ...more });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-signature-'));
  authority = await createAuthority({
    directory: join(root, 'ca'),
    name: 'Test data space',
    now: new Date(Date.now() - 100 * DAY),
  });
  await make(BDL, 'bdl');
  await make(PVD, 'pvd');
  bdl = await loadIdentity(BDL, filesIn('bdl'));
  pvd = await loadIdentity(PVD, filesIn('pvd'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A certificate like `template`, with something changed, signed by `issuer`: what a hostile authority could make. */
function forge(template: string, change: (certificate: Certificate) => void, issuer: KeyObject): X509Certificate {
  const certificate = AsnConvert.parse(new X509Certificate(template).raw, Certificate);
  change(certificate);
  // The bytes as parsed are kept beside the fields; without them the changed fields are written.
  delete (certificate as { tbsCertificateRaw?: unknown }).tbsCertificateRaw;
  const signature = signBytes('sha256', Buffer.from(AsnConvert.serialize(certificate.tbsCertificate)), issuer);
  certificate.signatureValue = new Uint8Array(signature).buffer;
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate)));
}
function setExtension(certificate: Certificate, id: string, value: unknown, critical = false): void {
  const extensions = certificate.tbsCertificate.extensions!;
  const extension = new Extension({ extnID: id, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
  const index = extensions.findIndex((candidate) => candidate.extnID === id);
  if (index < 0) extensions.push(extension);
  else extensions[index] = extension;
}
const authorityKey = () => KeyObject.from(authority.privateKey);
const detached = async (header: Record<string, unknown>, key: KeyObject, document: unknown): Promise<string> => {
  const signed = await new CompactSign(canonicalise(document)).setProtectedHeader(header as { alg: string }).sign(key);
  const [protectedHeader, , signature] = signed.split('.');
  return `${protectedHeader}..${signature}`;
};
const x5c = (...certificates: X509Certificate[]) => certificates.map(({ raw }) => raw.toString('base64'));

it('verifies a signature whatever zeros and high bits its two numbers begin with', () => {
  // One in 128 has a number with a zero in front; one in two needs one more in DER.
  for (let n = 0; n < 600; n++) bdl.now.verify(bdl.now.sign(n), n, BDL);
});

describe('the canonical form', () => {
  it('does not depend on the order of keys', () => {
    const shuffle = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffle);
      if (value === null || typeof value !== 'object') return value;
      return Object.fromEntries(
        Object.entries(value)
          .toReversed()
          .map(([key, inner]) => [key, shuffle(inner)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        expect(digest(shuffle(document))).toBe(digest(document));
        expect(JSON.parse(Buffer.from(canonicalise(document)).toString())).toEqual(
          JSON.parse(JSON.stringify(document)),
        );
      }),
    );
  });

  it('is the one of RFC 8785, section 3.2.3', () => {
    const document = JSON.parse(
      String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
    ) as unknown;
    expect(Buffer.from(canonicalise(document)).toString()).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('does not exist for what is no JSON, and deep nesting does not crash it', () => {
    let deep: unknown = 1;
    for (let depth = 0; depth < 200_000; depth += 1) deep = [deep];
    expect(canonicalise(deep)).toHaveLength(400_001);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const document of [undefined, Number.NaN, { a: Infinity }, () => 1, cycle]) {
      expect(() => canonicalise(document)).toThrow(expect.objectContaining({ code: 'bad-request' }));
    }
  });
});

describe('a detached signature', () => {
  it('is verified by whoever trusts the same authority, whatever the order of keys', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (document) => {
        const jws = await bdl.sign(document);
        expect(jws).toMatch(/^[\w-]+\.\.[\w-]+$/);
        await pvd.verify(jws, Object.fromEntries(Object.entries(document).toReversed()), BDL);
      }),
      { numRuns: 30 },
    );
  });

  it('fails when any byte of it is changed', async () => {
    const document = { target: 'flights', count: 3 };
    const jws = await bdl.sign(document);
    await fc.assert(
      fc.asyncProperty(fc.nat(jws.length - 1), fc.integer({ min: 1, max: 127 }), async (index, flip) => {
        const changed = jws.slice(0, index) + String.fromCharCode(jws.charCodeAt(index) ^ flip) + jws.slice(index + 1);
        await expect(pvd.verify(changed, document, BDL)).rejects.toMatchObject({ code: 'bad-signature' });
      }),
      { numRuns: 100 },
    );
  });

  it('has one spelling: nothing may be added that a decoder would pass over', async () => {
    const jws = await bdl.sign(1);
    const [last] = jws.slice(-1);
    // The last digit has four bits that decode to nothing.
    const digits = Array.from({ length: 64 }, (_, digit) => Buffer.of(digit << 2).toString('base64url')[0]!);
    const sameBytes = digits
      .map((digit) => jws.slice(0, -1) + digit)
      .filter((text) =>
        Buffer.from(text.split('..')[1]!, 'base64url').equals(Buffer.from(jws.split('..')[1]!, 'base64url')),
      );
    expect(sameBytes).toHaveLength(16);
    for (const text of [...sameBytes.filter((one) => !one.endsWith(last!)), `${jws}=`, `${jws} `, `${jws}!`]) {
      await expect(pvd.verify(text, 1, BDL)).rejects.toMatchObject({ code: 'bad-signature' });
    }
    await pvd.verify(jws, 1, BDL);
  });

  it('is the one that a published implementation of RFC 7515 makes and accepts', async () => {
    const document = { b: [1, 'é'], a: null };
    const payload = Buffer.from(canonicalise(document)).toString('base64url');
    const certificate = new X509Certificate(await pem('bdl', 'signing.crt'));
    const [header, , signature] = (await bdl.sign(document)).split('.');
    const { protectedHeader } = await compactVerify(`${header}.${payload}.${signature}`, certificate.publicKey);
    expect(protectedHeader).toEqual({ alg: 'ES256', x5c: x5c(certificate) });
    const key = createPrivateKey(await pem('bdl', 'signing.key'));
    await pvd.verify(await detached({ alg: 'ES256', x5c: x5c(certificate) }, key, document), document, BDL);
  });

  it('fails for a changed document and for another signer', async () => {
    const jws = await bdl.sign({ count: 3 });
    await expect(pvd.verify(jws, { count: 4 }, BDL)).rejects.toThrow('changed after it was signed');
    await expect(pvd.verify(jws, { count: 3 }, PVD)).rejects.toThrow(`it was made by ${BDL}`);
    await expect(pvd.verify(jws, { count: 3 }, `${BDL}:x`)).rejects.toMatchObject({ code: 'bad-signature' });
  });

  it.each(['', '..', 'a..b', 'a.b.c', 'a.b.c.d', '.'.repeat(9), 'e30..AAAA', `${'A'.repeat(70_000)}..A`])(
    'is not the text %#',
    async (jws) => {
      await expect(pvd.verify(jws, {}, BDL)).rejects.toMatchObject({ code: 'bad-signature' });
    },
  );

  it('is refused with any other algorithm or header', async () => {
    const key = createPrivateKey(await pem('bdl', 'signing.key'));
    const chain = x5c(new X509Certificate(await pem('bdl', 'signing.crt')));
    await pvd.verify(await detached({ alg: 'ES256', x5c: chain, kid: 'a', typ: 'JWS' }, key, 1), 1, BDL);
    const publicKey = new X509Certificate(await pem('bdl', 'signing.crt')).publicKey;
    const confused = await new CompactSign(canonicalise(1))
      .setProtectedHeader({ alg: 'HS256', x5c: chain })
      .sign(publicKey.export({ type: 'spki', format: 'der' }));
    const [head, , tail] = confused.split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', x5c: chain })).toString('base64url');
    const refused = [
      `${head}..${tail}`,
      `${none}..AAAA`,
      await detached({ alg: 'ES256' }, key, 1),
      await detached({ alg: 'ES256', x5c: [] }, key, 1),
      await detached({ alg: 'ES256', x5c: ['AAAA'] }, key, 1),
      await detached({ alg: 'ES256', x5c: chain, jwk: publicKey.export({ format: 'jwk' }) }, key, 1),
      await detached({ alg: 'ES256', x5c: Array.from({ length: 6 }, () => chain[0]) }, key, 1),
    ];
    for (const jws of refused) {
      await expect(pvd.verify(jws, 1, BDL)).rejects.toMatchObject({ code: 'bad-signature' });
    }
  });
});

describe('the certificate of a signer', () => {
  const verifyForged = async (change: (certificate: Certificate) => void, issuer = authorityKey(), above = '') => {
    const forged = forge(await pem('bdl', 'signing.crt'), change, issuer);
    const chain = above ? [forged, new X509Certificate(above)] : [forged];
    const jws = await detached(
      { alg: 'ES256', x5c: x5c(...chain) },
      createPrivateKey(await pem('bdl', 'signing.key')),
      1,
    );
    await pvd.verify(jws, 1, BDL);
  };

  it('is accepted unchanged from the authority', async () => {
    await expect(verifyForged(() => undefined)).resolves.toBeUndefined();
  });

  it('must come from a trusted authority', async () => {
    const other = await createAuthority({ directory: join(root, 'other-ca'), name: 'Test data space' });
    const key = KeyObject.from(other.privateKey);
    await expect(verifyForged(() => undefined, key)).rejects.toThrow('No trusted authority');
    await expect(verifyForged(() => undefined, key, other.certificatePem)).rejects.toThrow('has not issued');
  });

  it('cannot be issued by another participant', async () => {
    const issuerPem = await pem('pvd', 'signing.crt');
    const issuer = AsnConvert.parse(new X509Certificate(issuerPem).raw, Certificate).tbsCertificate;
    const key = createPrivateKey(await pem('pvd', 'signing.key'));
    const change = (certificate: Certificate): void => {
      certificate.tbsCertificate.issuer = issuer.subject;
      certificate.tbsCertificate.extensions = certificate.tbsCertificate.extensions!.filter(
        ({ extnID }) => extnID !== '2.5.29.35',
      );
    };
    await expect(verifyForged(change, key, issuerPem)).rejects.toThrow('has not issued');
  });

  it('must be valid now', async () => {
    const now = new Date(Date.now() - 10 * DAY);
    await make(BDL, 'old', { now, validDays: 5 });
    const key = createPrivateKey(await pem('old', 'signing.key'));
    const jws = await detached(
      { alg: 'ES256', x5c: x5c(new X509Certificate(await pem('old', 'signing.crt'))) },
      key,
      1,
    );
    await expect(pvd.verify(jws, 1, BDL)).rejects.toThrow('is valid from');
    const at = new Date(Date.now() - 7 * DAY);
    const then = verifySignature(jws, 1, { expectedSigner: BDL, trust: pvd.trust, at });
    expect(then.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(then.validTo.getTime()).toBeLessThan(Date.now());
    // Also when the certificate has been accepted before.
    await expect(pvd.verify(jws, 1, BDL)).rejects.toThrow('is valid from');
  });

  it('must be meant for signing: the one for TLS is not', async () => {
    const key = createPrivateKey(await pem('bdl', 'tls.key'));
    const jws = await detached({ alg: 'ES256', x5c: x5c(new X509Certificate(await pem('bdl', 'tls.crt'))) }, key, 1);
    await expect(pvd.verify(jws, 1, BDL)).rejects.toThrow('not meant for signing');
  });

  it('must allow digital signatures', async () => {
    await expect(
      verifyForged((certificate) => {
        const { extensions } = certificate.tbsCertificate;
        certificate.tbsCertificate.extensions = extensions!.filter(({ extnID }) => extnID !== id_ce_keyUsage);
      }),
    ).rejects.toThrow('not meant for signing');
  });

  it('must hold no critical extension that is not understood', async () => {
    await expect(
      verifyForged((certificate) => setExtension(certificate, '2.5.29.30', new BasicConstraints(), true)),
    ).rejects.toThrow('2.5.29.30');
    await expect(
      verifyForged((certificate) => setExtension(certificate, id_ce_basicConstraints, new BasicConstraints(), true)),
    ).resolves.toBeUndefined();
  });

  it('names a participant by its URI only, never by text inside another name', async () => {
    const names = (...list: ConstructorParameters<typeof GeneralName>[0][]) =>
      forge(
        readPem,
        (certificate) =>
          setExtension(
            certificate,
            id_ce_subjectAltName,
            new SubjectAlternativeName(list.map((name) => new GeneralName(name))),
          ),
        authorityKey(),
      );
    const readPem = await pem('bdl', 'signing.crt');
    expect(participantOf(names({ uniformResourceIdentifier: BDL }))).toBe(BDL);
    for (const dNSName of [`URI:${BDL}`, `x, URI:${BDL}`, `x", URI:${BDL}, DNS:"`, `x\u0000, URI:${BDL}`]) {
      expect(participantOf(names({ dNSName }, { uniformResourceIdentifier: PVD }))).toBe(PVD);
      expect(() => participantOf(names({ dNSName }))).toThrow('names 0 participants');
    }
    expect(() => participantOf(names({ uniformResourceIdentifier: BDL }, { uniformResourceIdentifier: PVD }))).toThrow(
      'names 2 participants',
    );
    expect(participantOf(names({ uniformResourceIdentifier: `${PVD}, URI:${BDL}` }))).toBe(`${PVD}, URI:${BDL}`);
  });
});

describe('an identity', () => {
  it('is refused when certificate, key, participant or trust anchor do not fit, and names the setting', async () => {
    const files = filesIn('bdl');
    const other = filesIn('pvd');
    const cases: [string, string, Partial<IdentityFiles>][] = [
      [PVD, 'identity.tlsCertificate', {}],
      [BDL, 'identity.tlsCertificate', { tlsKey: other.tlsKey }],
      [BDL, 'identity.signingCertificate', { signingCertificate: files.tlsCertificate, signingKey: files.tlsKey }],
      [BDL, 'identity.signingCertificate', { signingCertificate: other.signingCertificate }],
      [BDL, 'identity.trustAnchors', { trustAnchors: join(root, 'nowhere') }],
      [BDL, 'identity.trustAnchors', { trustAnchors: files.tlsKey }],
      [BDL, 'identity.trustAnchors', { trustAnchors: files.tlsCertificate }],
      [BDL, 'identity.tlsKey', { tlsKey: join(root, 'nowhere') }],
    ];
    for (const [participantId, message, change] of cases) {
      await expect(loadIdentity(participantId, { ...files, ...change })).rejects.toMatchObject({
        code: 'bad-identity',
        message: expect.stringContaining(message),
      });
    }
  });

  it('trusts every authority in the file of trust anchors', async () => {
    const second = await createAuthority({ directory: join(root, 'second-ca'), name: 'Second' });
    await issueParticipant(second, { participantId: 'did:web:tul.example', directory: join(root, 'tul') });
    const both = join(root, 'both.crt');
    await writeFile(both, authority.certificatePem + second.certificatePem);
    expect(readTrustAnchors(await readFile(both, 'utf8'))).toHaveLength(2);
    const tul = await loadIdentity('did:web:tul.example', { ...filesIn('tul'), trustAnchors: both });
    await tul.verify(await bdl.sign([1]), [1], BDL);
    await expect(bdl.verify(await tul.sign([1]), [1], 'did:web:tul.example')).rejects.toMatchObject({
      code: 'bad-signature',
    });
  });
});
