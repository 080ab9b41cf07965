import { mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueParticipant } from '@foedus/certs';
import { DuckDBInstance } from '@duckdb/node-api';
import { FOEDUS } from '@foedus/usage-policies';
import { SignJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createPeerClient,
  loadIdentity,
  servePeers,
  type HttpServer,
  type Identity,
  type PeerClient,
} from '../../identity/index.ts';
import { readHeadHeader, writeHeadHeader } from '../../ledger/head-header.ts';
import { createLedgerHeads } from '../../ledger/heads.ts';
import { createUsageControl, type UsageControl } from '../../ledger/index.ts';
import type { Asset, DataAddress, SignedAgreement, Transfer } from '../../management/model.ts';
import { openDatabase, type Database } from '../../store/database.ts';
import { migrations } from '../../store/migrations/index.ts';
import { revoked, revokedByLeaving } from '../../transfer/access.ts';
import { readArrowStream } from '../consume.ts';
import { createDataPlane, type DataPlane } from '../data-plane.ts';

const BDL = 'did:web:bdl.example';
const PVD = 'did:web:pvd.example';
const TUL = 'did:web:tul.example';
const RESEARCH = 'https://w3id.org/dpv#ResearchAndDevelopment';
const AGREEMENT = 'urn:agreement:1';
const TRANSFER = 'urn:uuid:1/2';
const NO_PUSH = {
  allowedNetworks: [],
  giveUpAfterSeconds: 1,
  control: { complete: () => undefined, terminate: () => undefined },
};

let root: string;
let flights: string;
let large: string;
let identities: Map<string, Identity>;
const clients: PeerClient[] = [];
const clientOf = (participantId: string): PeerClient => {
  const client = createPeerClient(identities.get(participantId)!);
  clients.push(client);
  return client;
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-pull-'));
  const authority = await createAuthority({ directory: join(root, 'ca'), name: 'Test data space' });
  identities = new Map();
  for (const [i, participantId] of [BDL, PVD, TUL].entries()) {
    const directory = join(root, `participant-${i}`);
    await issueParticipant(authority, { participantId, directory });
    const file = (name: string) => join(directory, name);
    identities.set(
      participantId,
      await loadIdentity(participantId, {
        tlsKey: file('tls.key'),
        tlsCertificate: file('tls.crt'),
        signingKey: file('signing.key'),
        signingCertificate: file('signing.crt'),
        trustAnchors: file('ca.crt'),
      }),
    );
  }
  flights = join(root, 'flights.parquet');
  large = join(root, 'large.parquet');
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  await duckdb.run(`COPY (SELECT TIMESTAMP '2001-01-01' + INTERVAL (i) DAY AS date, i AS distance,
    'D' || (i % 7) AS destination, 'tail-' || i AS tail FROM range(365) t(i)) TO '${flights}' (FORMAT parquet)`);
  await duckdb.run(`COPY (SELECT i AS distance, sha256(i::VARCHAR) AS destination FROM range(400000) t(i))
    TO '${large}' (FORMAT parquet)`);
  duckdb.closeSync();
});
afterAll(() => rm(root, { recursive: true }));

let now: Date;
let database: Database;
let usageControl: UsageControl;
let agreement: SignedAgreement;
let transfer: Transfer;
let asset: Asset;
let plane: DataPlane;
let server: HttpServer;
let address: DataAddress;
let dataDir: string;

const constraint = (leftOperand: string, operator: string, rightOperand: unknown) => ({
  leftOperand,
  operator,
  rightOperand,
});
const granted = [
  constraint('purpose', 'eq', RESEARCH),
  constraint('dateTime', 'lt', { '@value': '2027-01-01T00:00:00Z', '@type': 'xsd:dateTime' }),
  constraint('count', 'lteq', '3'),
  constraint(`${FOEDUS}columns`, 'isPartOf', ['date', 'distance', 'destination']),
  constraint(`${FOEDUS}rowFilter`, 'eq', { column: 'date', operator: 'lt', value: '2001-02-01' }),
  constraint(`${FOEDUS}masks`, 'eq', { destination: { method: 'hash' } }),
];

beforeEach(async () => {
  now = new Date('2026-06-01T12:00:00Z');
  dataDir = await mkdtemp(join(root, 'data-'));
  database = openDatabase(join(dataDir, 'connector.db'), migrations);
  asset = {
    id: 'urn:flights',
    title: 'Flights',
    source: { type: 'parquet', path: flights },
    formats: ['HttpData-PULL'],
  };
  agreement = {
    id: AGREEMENT,
    role: 'provider',
    assigner: BDL,
    assignee: PVD,
    target: asset.id,
    agreement: {
      '@type': 'Agreement',
      '@id': AGREEMENT,
      assigner: BDL,
      assignee: PVD,
      target: asset.id,
      permission: [{ action: 'use', constraint: granted }],
    },
    signatures: {},
    finalized: true,
    negotiationId: 'urn:negotiation:1',
    counterPartyId: PVD,
    counterPartyAddress: 'https://pvd.example',
    createdAt: '2026-01-01T00:00:00Z',
  };
  transfer = {
    id: TRANSFER,
    role: 'provider',
    state: 'STARTED',
    consumerPid: 'urn:uuid:c',
    providerPid: TRANSFER,
    counterPartyId: PVD,
    counterPartyAddress: 'https://pvd.example',
    agreementId: AGREEMENT,
    datasetId: asset.id,
    format: 'HttpData-PULL',
    createdAt: '2026-01-01T00:00:00Z',
    updatedAt: '2026-01-01T00:00:00Z',
  };
  const agreements = { get: (id: string) => (id === AGREEMENT ? agreement : undefined) };
  usageControl = createUsageControl({ database, agreements, clock: () => now });
  plane = createDataPlane({
    pins: { applied: (_id, _columns, plan) => plan },
    identity: identities.get(BDL)!,
    usageControl,
    agreements,
    assets: { get: (id: string) => (id === asset.id ? asset : undefined) },
    transfers: { get: (id: string) => (id === TRANSFER ? transfer : undefined) },
    dataDir,
    clock: () => now,
    logger: pino({ level: 'silent' }),
    publicUrl: 'https://bdl.example:7101',
    tokenLifetimeSeconds: 3600,
    ...NO_PUSH,
    heads: headsOf(),
    database,
  });
  server = await servePeers({ identity: identities.get(BDL)!, host: '127.0.0.1', port: 0, app: plane.routes });
  const given = await plane.flows[0]!.start(transfer);
  if (given === undefined) throw new Error('a pull format has a data address');
  address = given;
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  database.close();
});

const headsOf = () =>
  createLedgerHeads({
    database,
    agreements: { get: () => agreement },
    identity: identities.get(BDL)!,
    clock: () => now,
    logger: pino({ level: 'silent' }),
  });

interface Ask {
  who?: string;
  query?: string;
  authorization?: string;
  path?: string;
}
const RESEARCHING = `purpose=${encodeURIComponent(RESEARCH)}`;
async function ask({ who = PVD, query = RESEARCHING, authorization, path }: Ask = {}): Promise<Response> {
  const target = path ?? new URL(address.endpoint!).pathname;
  const token = authorization ?? `Bearer ${address.properties['authorization']}`;
  return await clientOf(who).fetch(`${server.url}${target}?${query}`, { headers: { authorization: token } });
}
const refusal = async (asked: Ask): Promise<[number, string, string]> => {
  const response = await ask(asked);
  const problem = (await response.json()) as { code: string; message: string };
  expect(Object.keys(problem).toSorted()).toEqual(['code', 'message']);
  return [response.status, problem.code, problem.message];
};

describe('a pull transfer', () => {
  test('gives an address with a token of its own', () => {
    expect(address).toEqual({
      endpointType: 'https://w3id.org/idsa/v4.1/HTTP',
      endpoint: 'https://bdl.example:7101/data/urn%3Auuid%3A1%2F2',
      properties: {
        authType: 'bearer',
        authorization: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
        expiresIn: '3600',
        refreshToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
        refreshEndpoint: 'https://bdl.example:7101/data/urn%3Auuid%3A1%2F2/token',
      },
    });
  });

  test('streams the rows cut to the contract, and charges one use', async () => {
    const response = await ask({ query: `${RESEARCHING}&columns=destination,distance` });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream');
    const batches = await readArrowStream(response);
    const rows: object[] = [];
    for await (const batch of batches)
      rows.push(...batch.toArray().map((row) => (row as { toJSON(): object }).toJSON()));
    expect(rows).toHaveLength(31);
    expect(rows[3]).toEqual({ destination: expect.stringMatching(/^[0-9a-f]{24}$/), distance: 3n });
    expect(batches.count.rows).toBe(31);
    const { spent, entries } = usageControl.account(AGREEMENT);
    expect([spent.uses, entries.map(({ state }) => state)]).toEqual([1, ['committed']]);
    expect(response.headers.get('foedus-decision')).toMatch(/^[0-9a-f]{64}$/);
  });

  test('accepts the token as it is in the data address, without the word Bearer', async () => {
    const response = await ask({ authorization: address.properties['authorization']! });
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  test('refuses a column that was not granted, a purpose that was not agreed, and an expired contract', async () => {
    expect(await refusal({ query: `${RESEARCHING}&columns=tail` })).toEqual([
      403,
      'not-permitted',
      expect.stringContaining('tail'),
    ]);
    expect(await refusal({ query: 'purpose=https%3A%2F%2Fw3id.org%2Fdpv%23Marketing' })).toEqual([
      403,
      'not-permitted',
      expect.stringContaining('Marketing'),
    ]);
    now = new Date('2027-01-01T00:00:00Z');
    address = (await plane.flows[0]!.start(transfer))!;
    expect(await refusal({})).toEqual([403, 'not-permitted', expect.stringContaining('2027')]);
    expect(usageControl.account(AGREEMENT).entries).toEqual([]);
  });

  test('brings the head of the ledger with the data, and releases nothing that is older than what its caller holds', async () => {
    // Certificates are of today.
    now = new Date();
    const counted = { action: 'use', constraint: [constraint('count', 'lteq', '9')] };
    agreement = { ...agreement, agreement: { ...agreement.agreement, permission: [counted] } };
    address = (await plane.flows[0]!.start(transfer))!;
    const response = await ask();
    const first = response.headers.get('foedus-ledger-head')!;
    await response.arrayBuffer();
    expect(readHeadHeader(first).head).toMatchObject({ agreementId: AGREEMENT, spent: { uses: 1, rows: 365 } });
    const withHead = async (head: string): Promise<Response> =>
      await clientOf(PVD).fetch(`${server.url}${new URL(address.endpoint!).pathname}?${RESEARCHING}`, {
        headers: { authorization: address.properties['authorization']!, 'foedus-ledger-head': head },
      });
    expect((await withHead(first)).status).toBe(200);
    const { head } = readHeadHeader(first);
    // What this node has signed, of a ledger that it has lost since.
    const lost = { ...head, sequence: head.sequence + 100, hash: 'f'.repeat(64) };
    const signature = await identities.get(BDL)!.sign(lost);
    const forged = await identities.get(PVD)!.sign(lost);
    expect((await withHead(writeHeadHeader({ head: lost, signature: forged }))).status).toBe(400);
    expect((await withHead('x')).status).toBe(400);
    const spent = usageControl.account(AGREEMENT).spent.uses;
    const refused = await withHead(writeHeadHeader({ head: lost, signature }));
    expect([refused.status, await refused.json()]).toEqual([
      409,
      { code: 'conflict', message: expect.stringContaining('older') },
    ]);
    expect((await refusal({})).slice(0, 2)).toEqual([409, 'conflict']);
    expect(usageControl.account(AGREEMENT).spent.uses).toBe(spent);
  });

  test('refuses the fourth use of three', async () => {
    for (let i = 0; i < 3; i++) await (await ask()).body?.cancel();
    expect((await refusal({})).slice(0, 2)).toEqual([403, 'budget-exhausted']);
  });

  test('answers the token to its own participant only', async () => {
    expect((await refusal({ who: TUL })).slice(0, 2)).toEqual([403, 'not-permitted']);
  });

  test('refuses tokens that are missing, broken, forged, unsigned, expired or of another node', async () => {
    const claims = { transfer: TRANSFER, agreement: AGREEMENT, generation: 0 };
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(BDL)
      .setAudience('https://bdl.example:7101/data')
      .setSubject(PVD)
      .setExpirationTime('1h')
      .sign(Buffer.alloc(32));
    const [, payload] = forged.split('.');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    for (const authorization of ['', 'Bearer', 'Bearer x', forged, unsigned]) {
      expect((await refusal({ authorization })).slice(0, 2)).toEqual([401, 'not-authenticated']);
    }
    expect((await refusal({ authorization: address.properties['refreshToken']! }))[0]).toBe(401);
    now = new Date('2026-06-01T12:59:59Z');
    expect((await ask()).status).toBe(200);
    now = new Date('2026-06-01T13:00:01Z');
    expect((await refusal({})).slice(0, 2)).toEqual([401, 'not-authenticated']);
  });

  const renew = async (form: Record<string, string>, who = PVD) => {
    const response = await clientOf(who).fetch(`${server.url}${new URL(address.endpoint!).pathname}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  const byRefreshToken = () => ({ grant_type: 'refresh_token', refresh_token: address.properties['refreshToken']! });

  test('gives a new token for the refresh token, also when the old one has expired', async () => {
    now = new Date('2026-06-01T15:00:00Z');
    expect((await ask()).status).toBe(401);
    const { status, body } = await renew(byRefreshToken());
    expect([status, body]).toEqual([
      200,
      { access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/), token_type: 'Bearer', expires_in: 3600 },
    ]);
    expect((await ask({ authorization: `Bearer ${body['access_token']}` })).status).toBe(200);
  });

  test('renews for nobody else, by no other token, and not while it is stopped', async () => {
    expect(await renew(byRefreshToken(), TUL)).toMatchObject({
      status: 403,
      body: { error: 'invalid_grant', code: 'not-permitted' },
    });
    const access = { grant_type: 'refresh_token', refresh_token: address.properties['authorization']! };
    expect(await renew(access)).toMatchObject({ status: 401, body: { error: 'invalid_grant' } });
    expect(await renew({ grant_type: 'password' })).toMatchObject({
      status: 400,
      body: { error: 'unsupported_grant_type' },
    });
    expect(await renew({ grant_type: 'refresh_token' })).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    });
    const long = { grant_type: 'refresh_token', refresh_token: 'x'.repeat(20_000) };
    expect(await renew(long)).toMatchObject({ status: 413, body: { error: 'invalid_request' } });
    transfer = { ...transfer, state: 'SUSPENDED' };
    expect(await renew(byRefreshToken())).toMatchObject({ status: 403, body: { error: 'invalid_grant' } });
  });

  test('refuses every token from before it was stopped or revoked, at once and for good', async () => {
    transfer = { ...revokedByLeaving({ ...transfer, state: 'SUSPENDED', suspendedBy: 'consumer' }), state: 'STARTED' };
    expect(await refusal({})).toEqual([401, 'not-authenticated', expect.stringContaining('revoked')]);
    // What the consumer has paused itself it goes on with by its refresh token.
    const { body } = await renew(byRefreshToken());
    expect((await ask({ authorization: body['access_token']! })).status).toBe(200);

    transfer = { ...revokedByLeaving({ ...transfer, state: 'SUSPENDED', suspendedBy: 'provider' }), state: 'STARTED' };
    for (const authorization of [address.properties['authorization']!, body['access_token']!]) {
      expect((await refusal({ authorization })).slice(0, 2)).toEqual([401, 'not-authenticated']);
    }
    expect(await renew(byRefreshToken())).toMatchObject({ status: 401, body: { error: 'invalid_grant' } });

    address = (await plane.flows[0]!.start(transfer))!;
    expect((await ask()).status).toBe(200);
    transfer = revoked(transfer);
    expect((await refusal({})).slice(0, 2)).toEqual([401, 'not-authenticated']);
    expect((await renew(byRefreshToken())).status).toBe(401);
  });

  test('does not open another transfer with the token of this one', async () => {
    expect((await refusal({ path: '/data/other' })).slice(0, 2)).toEqual([404, 'not-found']);
    transfer = { ...transfer, counterPartyId: TUL };
    expect((await refusal({})).slice(0, 2)).toEqual([404, 'not-found']);
  });

  test('gives nothing while the transfer is not started', async () => {
    for (const state of ['REQUESTED', 'SUSPENDED', 'TERMINATED', 'COMPLETED'] as const) {
      transfer = { ...transfer, state };
      expect(await refusal({})).toEqual([403, 'not-permitted', expect.stringContaining(state)]);
    }
    expect(usageControl.account(AGREEMENT).entries).toEqual([]);
  });

  test('refuses requests that do not fit, and other methods', async () => {
    for (const query of [
      'columns=',
      'columns=date,date',
      'where=1',
      'purpose=',
      'purpose=a&purpose=b',
      `columns=${'a,'.repeat(1500)}a`,
    ]) {
      expect((await refusal({ query })).slice(0, 2)).toEqual([400, 'bad-request']);
    }
    const url = `${server.url}${new URL(address.endpoint!).pathname}?${RESEARCHING}`;
    const headers = { authorization: `Bearer ${address.properties['authorization']}` };
    expect((await clientOf(PVD).fetch(url, { method: 'HEAD', headers })).status).toBe(400);
    expect(usageControl.account(AGREEMENT).entries).toEqual([]);
  });

  test('gives a use back when the file cannot be read, and does not tell its path', async () => {
    asset = { ...asset, source: { type: 'parquet', path: join(root, 'gone.parquet') } };
    const [status, code, message] = await refusal({});
    expect([status, code]).toEqual([503, 'unavailable']);
    expect(message).not.toContain('gone.parquet');
    const { spent, entries } = usageControl.account(AGREEMENT);
    expect([spent.uses, entries.map(({ state }) => state)]).toEqual([0, ['refunded']]);
  });

  test('gives a use back when the file has no longer a column that the agreement names', async () => {
    asset = { ...asset, source: { type: 'parquet', path: large } };
    expect((await refusal({ query: `${RESEARCHING}&columns=distance` })).slice(0, 2)).toEqual([403, 'not-permitted']);
    expect(usageControl.account(AGREEMENT).spent.uses).toBe(0);
  });

  test('denies a narrower request too where a column of the contract has vanished', async () => {
    const masked = [constraint(`${FOEDUS}masks`, 'eq', { vanished: { method: 'hash' } })];
    const listed = [constraint(`${FOEDUS}columns`, 'isPartOf', ['distance', 'vanished'])];
    for (const rules of [masked, listed]) {
      const permission = [{ action: 'use', constraint: rules }];
      agreement = { ...agreement, id: AGREEMENT, agreement: { ...agreement.agreement, permission } };
      const [status, code, message] = await refusal({ query: 'columns=distance' });
      expect([status, code, message]).toEqual([403, 'not-permitted', expect.stringContaining('vanished')]);
    }
  });

  test('gives each caller its own rows where the contract says so', async () => {
    const rowFilter = { column: 'destination', operator: 'neq', value: { claim: 'participantId' } };
    const permission = [{ action: 'use', constraint: [constraint(`${FOEDUS}rowFilter`, 'eq', rowFilter)] }];
    agreement = { ...agreement, agreement: { ...agreement.agreement, permission } };
    expect((await ask({ query: 'columns=distance' })).status).toBe(200);
    const unknown = { ...rowFilter, value: { claim: 'department' } };
    const other = [{ action: 'use', constraint: [constraint(`${FOEDUS}rowFilter`, 'eq', unknown)] }];
    agreement = { ...agreement, agreement: { ...agreement.agreement, permission: other } };
    expect((await refusal({ query: 'columns=distance' }))[2]).toContain('department');
  });

  test('keeps its secrets to the owner and finds them again', async () => {
    const folder = join(dataDir, 'data-plane');
    const names = (await readdir(folder)).toSorted();
    expect(names).toEqual(['masking.secret', 'token.secret']);
    for (const name of names) {
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
      expect(await readFile(join(folder, name))).toHaveLength(32);
    }
    await truncate(join(folder, 'masking.secret'), 5);
    const again = () =>
      createDataPlane({
        identity: identities.get(BDL)!,
        pins: { applied: (_id, _columns, plan) => plan },
        usageControl,
        agreements: { get: () => agreement },
        assets: { get: () => asset },
        transfers: { get: () => transfer },
        publicUrl: 'https://bdl.example:7101',
        tokenLifetimeSeconds: 3600,
        ...NO_PUSH,
        heads: headsOf(),
        database,
        dataDir,
        clock: () => now,
        logger: pino({ level: 'silent' }),
      });
    expect(again).toThrow(/has 5 bytes instead of 32/);
  });
});

describe('a consumer with wishes', () => {
  const get = async (headers: Record<string, string>, query = RESEARCHING): Promise<Response> => {
    const authorization = `Bearer ${address.properties['authorization']}`;
    const url = `${server.url}${new URL(address.endpoint!).pathname}?${query}`;
    return await clientOf(PVD).fetch(url, { headers: { authorization, ...headers } });
  };
  const parquet = 'application/vnd.apache.parquet';

  test('gets another format, compressed, and only what it asks for', async () => {
    const filter = encodeURIComponent(JSON.stringify({ column: 'distance', operator: 'lt', value: 2 }));
    const query = `${RESEARCHING}&columns=distance&filter=${filter}`;
    const response = await get({ accept: 'text/csv', 'accept-encoding': 'gzip' }, query);
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(await response.text()).toBe('"distance"\r\n0\r\n1\r\n');
    const masked = encodeURIComponent(JSON.stringify({ column: 'destination', operator: 'eq', value: 'D1' }));
    expect((await refusal({ query: `${RESEARCHING}&filter=${masked}` })).slice(0, 2)).toEqual([403, 'not-permitted']);
    const hidden = encodeURIComponent(JSON.stringify({ column: 'tail', operator: 'gt', value: 'a' }));
    expect((await refusal({ query: `${RESEARCHING}&filter=${hidden}` })).slice(0, 2)).toEqual([403, 'not-permitted']);
    expect(usageControl.account(AGREEMENT).spent.uses).toBe(1);
  });

  test('gets a file that is granted whole as it is, and the rest of it after a cut', async () => {
    agreement = {
      ...agreement,
      agreement: { ...agreement.agreement, permission: [{ action: 'use', constraint: [] }] },
    };
    const original = await readFile(flights);
    const whole = await get({ accept: parquet }, '');
    const etag = whole.headers.get('etag')!;
    expect([whole.status, whole.headers.get('accept-ranges')]).toEqual([200, 'bytes']);
    expect(Buffer.from(await whole.arrayBuffer()).equals(original)).toBe(true);
    const rest = await get({ accept: parquet, range: 'bytes=1000-', 'if-range': etag }, '');
    expect([rest.status, rest.headers.get('content-range')]).toEqual([
      206,
      `bytes 1000-${original.length - 1}/${original.length}`,
    ]);
    expect(Buffer.from(await rest.arrayBuffer()).equals(original.subarray(1000))).toBe(true);
    const tail = await get({ accept: parquet, range: 'bytes=-4' }, '');
    expect(await tail.text()).toBe('PAR1');
    const changed = await get({ accept: parquet, range: 'bytes=1000-', 'if-range': '"another"' }, '');
    expect(changed.status).toBe(200);
    await changed.body?.cancel();
    const beyond = await get({ accept: parquet, range: `bytes=${original.length}-` }, '');
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${original.length}`]);
  });

  test('gets no range of what is cut, masked or counted', async () => {
    const response = await get({ accept: parquet, range: 'bytes=0-3' });
    expect([response.status, response.headers.get('accept-ranges')]).toEqual([200, null]);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.subarray(-4).toString()).toBe('PAR1');
    expect(bytes.equals(await readFile(flights))).toBe(false);
    const counted = { action: 'use', constraint: [constraint('count', 'lteq', '3')] };
    agreement = { ...agreement, agreement: { ...agreement.agreement, permission: [counted] } };
    expect((await get({ accept: parquet, range: 'bytes=0-3' }, '')).status).toBe(200);
  });
});

describe('a running stream', () => {
  beforeEach(() => {
    asset = { ...asset, source: { type: 'parquet', path: large } };
    const permission = [{ action: 'use', constraint: [] }];
    agreement = { ...agreement, agreement: { ...agreement.agreement, permission } };
  });

  /** Reads until the stream ends or fails, calling `after` when the first batch has come. */
  async function readAll(response: Response, after: () => unknown): Promise<number> {
    const batches = await readArrowStream(response);
    let first = true;
    for await (const batch of batches) {
      expect(batch.numRows).toBeGreaterThan(0);
      if (first) await after();
      first = false;
    }
    return batches.count.rows;
  }

  test('comes whole when nothing interferes', async () => {
    expect(await readAll(await ask({ query: '' }), () => undefined)).toBe(400_000);
  });

  test('is cut when the transfer is stopped', async () => {
    const reading = readAll(await ask({ query: '' }), () => {
      transfer = { ...transfer, state: 'SUSPENDED' };
      plane.flows[0]!.stop(transfer);
    });
    await expect(reading).rejects.toMatchObject({ code: 'cut-stream' });
    transfer = { ...transfer, state: 'STARTED' };
    expect(await readAll(await ask({ query: '' }), () => undefined)).toBe(400_000);
  });

  test('is cut when the transfer is found not to be started any more', async () => {
    const reading = readAll(await ask({ query: '' }), () => {
      transfer = { ...transfer, state: 'TERMINATED' };
    });
    await expect(reading).rejects.toMatchObject({ code: 'cut-stream' });
  });

  test('breaks the HTTP answer itself, so that nobody takes the part for the whole', async () => {
    const response = await ask({ query: '' });
    const reader = response.body!.getReader();
    await reader.read();
    plane.flows[0]!.stop(transfer);
    const rest = async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        expect(Buffer.from(next.value).includes('stopped')).toBe(false);
      }
    };
    await expect(rest()).rejects.toThrow();
  });

  test('is cut when the data plane closes', async () => {
    const reading = readAll(await ask({ query: '' }), () => plane[Symbol.asyncDispose]());
    await expect(reading).rejects.toMatchObject({ code: 'cut-stream' });
  });

  test('is one of eight at the most, and makes room when its reader goes away', async () => {
    const responses = await Promise.all(Array.from({ length: 8 }, () => ask({ query: '' })));
    expect(responses.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect((await refusal({ query: '' })).slice(0, 2)).toEqual([503, 'unavailable']);
    expect(usageControl.account(AGREEMENT).spent.uses).toBe(8);
    await Promise.all(responses.map(async (response) => response.body?.cancel()));
    await expect
      .poll(async () => {
        const response = await ask({ query: '' });
        await response.body?.cancel();
        return response.status;
      })
      .toBe(200);
  });
});
