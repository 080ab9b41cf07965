import * as fc from 'fast-check';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FoedusError } from '../errors.ts';
import { connectorConfigSchema, ensureToken, loadConfig, readToken, type Environment } from './index.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-config-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const right = {
  program: 'connector',
  participantId: 'did:web:bdl.example',
  dataDir: 'store',
  identity: {
    tlsKey: 'certs/tls.key',
    tlsCertificate: 'certs/tls.crt',
    signingKey: 'certs/signing.key',
    signingCertificate: 'certs/signing.crt',
    trustAnchors: '/etc/foedus/ca.crt',
  },
  protocol: { host: '127.0.0.1', port: 7101, publicUrl: 'https://localhost:7101' },
  management: { host: '127.0.0.1', port: 7102, tokenFile: 'management.token' },
};
let files = 0;
const load = async (content: unknown, env: Environment = {}) => {
  files += 1;
  const file = join(root, `${files}.json`);
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return await loadConfig(connectorConfigSchema, file, env);
};
const problems = async (content: unknown, env: Environment = {}): Promise<string[]> => {
  const error = await load(content, env).then(
    () => expect.fail('accepted'),
    (thrown: FoedusError) => thrown,
  );
  expect(error.code).toBe('bad-config');
  for (const problem of error.details.problems as string[]) expect(error.message).toContain(problem);
  return error.details.problems as string[];
};

describe('a configuration', () => {
  it('has paths from the folder of its file, and defaults', async () => {
    const config = await load(right);
    expect(config.dataDir).toBe(join(root, 'store'));
    expect(config.identity.tlsKey).toBe(join(root, 'certs', 'tls.key'));
    expect(config.identity.trustAnchors).toBe('/etc/foedus/ca.crt');
    expect(config.management.tokenFile).toBe(join(root, 'management.token'));
    expect(config.delivery.giveUpAfterSeconds).toBe(600);
    expect(config.negotiation.allowUnsigned).toBe(false);
  });

  it('is overridden by the environment, setting by setting', async () => {
    const config = await load(right, {
      FOEDUS_PROTOCOL_PORT: '8101',
      FOEDUS_PROTOCOL_PUBLICURL: 'https://connector.bdl.example/',
      FOEDUS_IDENTITY_TLSKEY: 'other/tls.key',
      FOEDUS_DELIVERY_GIVEUPAFTERSECONDS: '5',
      FOEDUS_NEGOTIATION_ALLOWUNSIGNED: 'true',
      FOEDUS_PARTICIPANTID: 'did:web:pvd.example',
      OTHER_PROTOCOL_PORT: '1',
      FOEDUS_SOMETHING_ELSE: 'of another program',
    });
    expect(config.protocol.port).toBe(8101);
    expect(config.protocol.publicUrl).toBe('https://connector.bdl.example');
    expect(config.identity.tlsKey).toBe(join(root, 'other', 'tls.key'));
    expect(config.delivery).toMatchObject({ giveUpAfterSeconds: 5, attemptTimeoutSeconds: 30 });
    expect(config.negotiation.allowUnsigned).toBe(true);
    expect(config.participantId).toBe('did:web:pvd.example');
  });

  it('may come from the environment alone where the file says nothing', async () => {
    const { protocol, ...rest } = right;
    const config = await load(rest, { FOEDUS_PROTOCOL_PORT: '0', FOEDUS_PROTOCOL_PUBLICURL: protocol.publicUrl });
    expect(config.protocol).toEqual({ host: '127.0.0.1', port: 0, publicUrl: protocol.publicUrl });
  });

  it('names every problem at once, each with its setting and an example', async () => {
    const { identity: _, ...rest } = right;
    const found = await problems(
      {
        ...rest,
        program: 'konnektor',
        participantId: 'bdl',
        dataDir: '',
        protocol: { port: '7101', publicUrl: 'http://localhost:7101', prot: 1 },
        management: { host: '0.0.0.0', port: 70_000 },
        delivery: { giveUpAfterSeconds: -1 },
        transfers: {},
      },
      { FOEDUS_PROTOCOL_PROT: '1' },
    );
    expect(found.toSorted()).toEqual(
      [
        'FOEDUS_PROTOCOL_PROT (environment): there is no such setting. Known here: FOEDUS_PROTOCOL_HOST, FOEDUS_PROTOCOL_PORT, FOEDUS_PROTOCOL_PUBLICURL',
        'program: must be "connector" (it is "konnektor"). Example: "connector"',
        'participantId: must be an absolute IRI in ASCII: the one in the certificates of this participant (it is "bdl"). Example: "did:web:bdl.example"',
        'dataDir: must not be empty (it is ""). Example: "connector"',
        'identity.tlsKey: is missing. Example: "tls.key"',
        'identity.tlsCertificate: is missing. Example: "tls.crt"',
        'identity.signingKey: is missing. Example: "signing.key"',
        'identity.signingCertificate: is missing. Example: "signing.crt"',
        'identity.trustAnchors: is missing. Example: "ca.crt"',
        'protocol.port: must be a whole number (it is "7101"). Example: 7101',
        'protocol.publicUrl: must be the https address that others reach this node at, without a path (it is "http://localhost:7101"). Example: "https://connector.bdl.example:7101"',
        'protocol.prot: there is no such setting. Known here: host, port, publicUrl',
        'management.port: must be 0 to 65535 (it is 70000). Example: 7101',
        'management.tokenFile: is missing. Example: "management.token"',
        'delivery.giveUpAfterSeconds: must be more than 0 (it is -1). Example: 600',
        'transfers: there is no such setting. Known here: program, participantId, dataDir, identity, protocol, management, delivery, deltaSharing, catalog, negotiation, localRules, duties, transfer',
      ].toSorted(),
    );
  });

  it('that lacks a group lists what has no default in it', async () => {
    const { management: _, ...rest } = right;
    expect(await problems(rest)).toEqual([
      'management.port: is missing. Example: 7101',
      'management.tokenFile: is missing. Example: "management.token"',
    ]);
  });

  it('names what is wrong within a list by its place there', async () => {
    const duties = {
      log: [{ file: 'uses.ndjson' }, { file: '' }, { path: 'x' }],
      notify: [{ party: 'urn:x', url: 'ftp://x' }],
    };
    const transfer = { push: { allowAddresses: ['10.0.0.0/8', '10.0.0.0/99'] } };
    expect((await problems({ ...right, duties, transfer })).toSorted()).toEqual([
      'duties.log.1.file: must not be empty (it is ""). Example: "uses.ndjson"',
      'duties.log.2.file: is missing. Example: "uses.ndjson"',
      'duties.log.2.path: there is no such setting. Known here: file, system',
      'duties.notify.0.url: must be an https address (http only on this machine), without a user name (it is "ftp://x"). Example: "https://clearing.example/notices"',
      'transfer.push.allowAddresses.1: must be a network in CIDR notation (it is "10.0.0.0/99"). Example: "10.0.0.0/8"',
    ]);
  });

  it('has paths within lists from the folder of its file too', async () => {
    const notify = [{ party: 'urn:x', url: 'https://x.example/', tokenFile: 'x.token' }];
    const { duties } = await load({
      ...right,
      duties: { log: [{ file: 'logs/uses.ndjson' }, { file: '/abs' }], notify },
    });
    expect(duties.log).toEqual([{ file: join(root, 'logs', 'uses.ndjson') }, { file: '/abs' }]);
    expect(duties.notify[0]?.tokenFile).toBe(join(root, 'x.token'));
  });

  it("keeps the operator's API on loopback unless told otherwise", async () => {
    const management = { ...right.management, host: '0.0.0.0' };
    expect(await problems({ ...right, management })).toEqual([
      expect.stringMatching(/^management\.host: must be a loopback address.*Example: "127\.0\.0\.1"$/),
    ]);
    const config = await load({ ...right, management: { ...management, allowRemote: true } });
    expect(config.management.host).toBe('0.0.0.0');
  });

  it.each([['{', 'is no JSON'] as const, ['[]', 'is not one JSON object'] as const, ['3', 'object'] as const])(
    'is refused as the text %s',
    async (text, why) => {
      expect(await problems(text)).toEqual([expect.stringContaining(why)]);
    },
  );

  it('is refused in words when the file is not there', async () => {
    const missing = loadConfig(connectorConfigSchema, join(root, 'missing.json'), {});
    await expect(missing).rejects.toThrow(/cannot be read. Does the file exist/);
  });

  it('is accepted or refused in words, whatever is in it', async () => {
    const keys = [...Object.keys(right), ...Object.keys(right.protocol), '__proto__', 'constructor', 'x'];
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue({ maxDepth: 1 }),
        fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 4 }),
      ),
    })).value;
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...keys), value), fc.string(), async (change, port) => {
        await load(JSON.stringify({ ...right, ...change }), { FOEDUS_PROTOCOL_PORT: port }).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'bad-config' });
        });
      }),
      { numRuns: 60 },
    );
  });
});

describe('a token file', () => {
  it('is made once, for its owner alone, also when several programs ask at the same time', async () => {
    const file = join(root, 'tokens', 'management.token');
    const tokens = await Promise.all(Array.from({ length: 8 }, () => ensureToken(file)));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).toMatch(/^[\w-]{43}$/);
    expect(await readToken(file)).toBe(tokens[0]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(root, 'tokens'))).toEqual(['management.token']);
  });

  it('is refused when missing, empty or no single line', async () => {
    await expect(readToken(join(root, 'missing.token'))).rejects.toMatchObject({ code: 'bad-config' });
    for (const content of ['', '\n', 'short', 'two words of a certain length', 'a'.repeat(2_000)]) {
      await writeFile(join(root, 'bad.token'), content);
      await expect(readToken(join(root, 'bad.token'))).rejects.toMatchObject({ code: 'bad-config' });
      await expect(ensureToken(join(root, 'bad.token'))).rejects.toMatchObject({ code: 'bad-config' });
    }
  });
});
