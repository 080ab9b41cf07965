import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, issueParticipant, openAuthority } from './index.ts';

let root: string;
const at = (...parts: string[]) => join(root, ...parts);
const certificate = async (...parts: string[]) => new X509Certificate(await readFile(at(...parts)));

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-certs-'));
  const authority = await createAuthority({ directory: at('ca'), name: 'Test data space' });
  await issueParticipant(authority, { participantId: 'did:web:bdl.example', directory: at('bdl') });
  await issueParticipant(authority, { participantId: 'did:web:pvd.example', directory: at('pvd') });
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('an authority', () => {
  it('is a CA that signs itself, and its key is for its owner alone', async () => {
    const ca = await certificate('ca', 'ca.crt');
    expect(ca.ca).toBe(true);
    expect(ca.checkIssued(ca)).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
    expect(ca.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(ca.checkPrivateKey(createPrivateKey(await readFile(at('ca', 'ca.key'))))).toBe(true);
    expect((await stat(at('ca', 'ca.key'))).mode & 0o777).toBe(0o600);
  });

  it('is not overwritten', async () => {
    const before = await readFile(at('ca', 'ca.crt'), 'utf8');
    await expect(createAuthority({ directory: at('ca'), name: 'Another' })).rejects.toMatchObject({
      code: 'already-exists',
    });
    expect(await readFile(at('ca', 'ca.crt'), 'utf8')).toBe(before);
  });

  it('issues further certificates after it was opened again', async () => {
    const authority = await openAuthority(at('ca'));
    await issueParticipant(authority, { participantId: 'did:web:tul.example', directory: at('tul') });
    const ca = await certificate('ca', 'ca.crt');
    const tul = await certificate('tul', 'tls.crt');
    expect(tul.checkIssued(ca)).toBe(true);
    expect(tul.verify(ca.publicKey)).toBe(true);
  });

  it('is not opened with the key of another one', async () => {
    await createAuthority({ directory: at('mixed'), name: 'Mixed' });
    await writeFile(at('mixed', 'ca.key'), await readFile(at('ca', 'ca.key')));
    await expect(openAuthority(at('mixed'))).rejects.toMatchObject({ code: 'bad-authority' });
    await expect(openAuthority(at('nowhere'))).rejects.toThrow(/foedus certs init/);
  });
});

describe('a participant', () => {
  it('has one certificate for TLS and one for signing, with the participant id as the only URI in both', async () => {
    const ca = await certificate('bdl', 'ca.crt');
    const tls = await certificate('bdl', 'tls.crt');
    const signing = await certificate('bdl', 'signing.crt');
    expect(tls.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1, URI:did:web:bdl.example');
    expect(signing.subjectAltName).toBe('URI:did:web:bdl.example');
    // Node's `keyUsage` is the extended key usage.
    expect(tls.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(signing.keyUsage).toEqual(['1.3.6.1.5.5.7.3.36']);
    for (const issued of [tls, signing]) {
      expect(issued.ca).toBe(false);
      expect(issued.checkIssued(ca)).toBe(true);
      expect(issued.verify(ca.publicKey)).toBe(true);
    }
    for (const name of ['tls', 'signing']) {
      const key = await readFile(at('bdl', `${name}.key`), 'utf8');
      expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
      expect((await certificate('bdl', `${name}.crt`)).checkPrivateKey(createPrivateKey(key))).toBe(true);
      expect((await stat(at('bdl', `${name}.key`))).mode & 0o777).toBe(0o600);
    }
  });

  it('has serial numbers of 20 bytes that do not repeat', async () => {
    const serials = await Promise.all(
      ['bdl', 'pvd'].flatMap((who) =>
        ['tls.crt', 'signing.crt'].map(async (file) => (await certificate(who, file)).serialNumber),
      ),
    );
    expect(new Set(serials).size).toBe(4);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{39}$/);
  });

  it('is not overwritten, and nothing is written beside the old files', async () => {
    const authority = await openAuthority(at('ca'));
    await rm(at('pvd', 'tls.key'));
    await expect(
      issueParticipant(authority, { participantId: 'did:web:pvd.example', directory: at('pvd') }),
    ).rejects.toThrow(/exists already/);
    await expect(stat(at('pvd', 'tls.key'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each(['', 'bdl', 'did:web:a b', 'did:web:a,URI:did:web:b', 'did:web:"x"', 'did:web:ü', 'did:web:a\\b'])(
    'cannot be called %j',
    async (participantId) => {
      const authority = await openAuthority(at('ca'));
      await expect(issueParticipant(authority, { participantId, directory: at('bad') })).rejects.toMatchObject({
        code: 'bad-input',
      });
    },
  );

  it('never outlives the authority', async () => {
    const authority = await createAuthority({ directory: at('short'), name: 'Short', validDays: 2 });
    await issueParticipant(authority, { participantId: 'did:web:x.example', directory: at('x'), validDays: 30 });
    const issued = await certificate('x', 'tls.crt');
    expect(issued.validToDate.getTime()).toBeLessThanOrEqual(
      (await certificate('short', 'ca.crt')).validToDate.getTime(),
    );
  });
});

describe('a TLS 1.3 connection with client certificates', () => {
  const handshake = async (client: string, server: string): Promise<string> => {
    const files = async (who: string) => ({
      key: await readFile(at(who, 'tls.key')),
      cert: await readFile(at(who, 'tls.crt')),
      ca: await readFile(at(who, 'ca.crt')),
    });
    const listener = createServer({ ...(await files(server)), requestCert: true, minVersion: 'TLSv1.3' });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const accepted = new Promise<TLSSocket>((resolve, reject) => {
      listener.once('secureConnection', resolve);
      listener.once('tlsClientError', reject);
    });
    const { port } = listener.address() as { port: number };
    const socket = connect({ ...(await files(client)), host: 'localhost', port });
    try {
      const refused = once(socket, 'error').then(([error]) => Promise.reject(error as Error));
      refused.catch(() => undefined);
      const peer = await Promise.race([accepted, refused]);
      return peer.getPeerX509Certificate()?.subjectAltName ?? '';
    } finally {
      accepted.then((peer) => peer.destroy()).catch(() => undefined);
      socket.destroy();
      listener.close();
    }
  };

  it('stands between two participants of one authority', async () => {
    expect(await handshake('bdl', 'tul')).toContain('URI:did:web:bdl.example');
  });

  it('is refused to a participant of another authority', async () => {
    const other = await createAuthority({ directory: at('other-ca'), name: 'Test data space' });
    await issueParticipant(other, { participantId: 'did:web:bdl.example', directory: at('stranger') });
    await writeFile(at('stranger', 'ca.crt'), await readFile(at('ca', 'ca.crt')));
    // The server ends such a connection without a word.
    await expect(handshake('stranger', 'tul')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(handshake('tul', 'stranger')).rejects.toMatchObject({ code: expect.stringMatching(/CERT|SIGNATURE/) });
  });

  it('is refused once a certificate has expired', async () => {
    const authority = await openAuthority(at('ca'));
    const now = new Date(Date.now() - 3 * 86_400_000);
    await issueParticipant(authority, {
      participantId: 'did:web:old.example',
      directory: at('old'),
      validDays: 1,
      now,
    });
    await expect(handshake('tul', 'old')).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' });
    await expect(handshake('old', 'tul')).rejects.toThrow();
  });
});
