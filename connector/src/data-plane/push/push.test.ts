import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DuckDBInstance } from '@duckdb/node-api';
import { FOEDUS } from '@foedus/usage-policies';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  type DataSpace,
  type JoinOptions,
  type Participant,
} from '../../../../test/src/connectors.ts';

const ROWS = 700_000;
const HTTP = 'https://w3id.org/idsa/v4.1/HTTP';
const CSV = { contentType: 'text/csv' };

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let agreementId: string;
let limited: string;
const providerOptions: JoinOptions = {
  delivery: { longestPauseSeconds: 0.05, giveUpAfterSeconds: 5 },
  transfer: { push: { allowAddresses: ['127.0.0.0/8', '::1/128'] } },
};

const constraint = (leftOperand: string, operator: string, rightOperand: unknown) => ({
  leftOperand,
  operator,
  rightOperand,
});

async function agreed(name: string, rules: object[]): Promise<string> {
  const source = { type: 'parquet' as const, path: space.file };
  const formats = ['HttpData-PULL', 'HttpData-PUSH'];
  await provider.operator.putAsset({ id: 'table', title: 'Table', source, formats });
  const permission = [{ action: 'use', constraint: rules }];
  await provider.operator.putPolicy({ id: name, policy: { '@type': 'Offer', permission } });
  await provider.operator.putContractDefinition({ id: name, assets: ['table'], policy: name });
  const { id } = await consumer.operator.negotiate({
    counterPartyAddress: provider.connector.protocolUrl,
    datasetId: 'table',
    offerId: `${name}:table`,
  });
  return (await consumer.operator.negotiationUntil(id, ['FINALIZED'])).agreementId!;
}

beforeAll(async () => {
  space = await createDataSpace();
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  await duckdb.run(`COPY (SELECT i AS id, sha256(i::VARCHAR) AS text, 'secret' || i AS tail FROM range(${ROWS}) t(i))
    TO '${space.file}' (FORMAT parquet)`);
  duckdb.closeSync();
  provider = await space.join('provider', providerOptions);
  consumer = await space.join('consumer', { delivery: { longestPauseSeconds: 0.05 } });
  const columns = constraint(`${FOEDUS}columns`, 'isPartOf', ['id', 'text']);
  agreementId = await agreed('terms', [columns]);
  limited = await agreed('limited', [columns, constraint(`${FOEDUS}bytes`, 'lteq', '9000000')]);
});
afterAll(() => space[Symbol.asyncDispose]());

const push = async (properties: Record<string, string> = CSV, endpoint?: string, agreement = agreementId) =>
  await consumer.operator.requestTransfer({
    agreementId: agreement,
    format: 'HttpData-PUSH',
    dataAddress: { endpointType: HTTP, ...(endpoint !== undefined && { endpoint }), properties },
  });
const openStore = (name: string) => {
  const database = new DatabaseSync(join(space.folder, name, 'data', 'connector.sqlite'), { readOnly: true });
  return Object.assign(database, { [Symbol.dispose]: () => database.close() });
};
const account = async (agreement = agreementId) => (await provider.operator.account(agreement)).spent;
const ended = async (id: string) => {
  const { state, reason = '' } = await consumer.operator.transferUntil(id, ['COMPLETED', 'TERMINATED']);
  return { state, reason };
};
/** Waits until part of a push has come, and not all of it. */
const underWay = async (id: string): Promise<number> => {
  const { bytes, complete } = await expect
    .poll(async () => await consumer.operator.received(id).catch(() => undefined), { interval: 5, timeout: 15_000 })
    .toMatchObject({ bytes: expect.toSatisfy((some: number) => some > 0) })
    .then(async () => await consumer.operator.received(id));
  expect(complete).toBe(false);
  return bytes;
};
const expectedCsv = (): string =>
  `"id","text"\r\n0,5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9\r\n`;

async function expectWhole(id: string, before: Awaited<ReturnType<typeof account>>): Promise<void> {
  const { path, complete, bytes, mediaType } = await consumer.operator.received(id);
  expect({ complete, mediaType }).toEqual({ complete: true, mediaType: 'text/csv' });
  const text = await readFile(path, 'latin1');
  expect(text.length).toBe(bytes);
  expect(text.startsWith(expectedCsv())).toBe(true);
  expect(text.split('\r\n')).toHaveLength(ROWS + 2);
  expect(text).not.toContain('secret');
  const after = await account();
  expect({ uses: after.uses - before.uses, rows: after.rows - before.rows, bytes: after.bytes - before.bytes }).toEqual(
    {
      uses: 1,
      rows: ROWS,
      bytes,
    },
  );
}

describe('a push to the inbox of the consumer’s connector', () => {
  it('brings what is granted, as one use, and completes the transfer on both sides', async () => {
    const before = await account();
    const { id } = await push();
    expect(await ended(id)).toEqual({ state: 'COMPLETED', reason: '' });
    await expectWhole(id, before);
    const { head } = await consumer.operator.partnerHead(agreementId);
    expect(head).toMatchObject({ agreementId, spent: await account() });
  });

  it('brings what is asked for of it', async () => {
    const query = new URLSearchParams({ columns: 'id', limit: '2' }).toString();
    const { id } = await push({ ...CSV, 'https://w3id.org/foedus/ns#query': query });
    expect((await ended(id)).state).toBe('COMPLETED');
    expect(await readFile((await consumer.operator.received(id)).path, 'utf8')).toBe('"id"\r\n0\r\n1\r\n');
    const forbidden = await push({ ...CSV, 'https://w3id.org/foedus/ns#query': 'columns=tail' });
    expect(await ended(forbidden.id)).toMatchObject({ state: 'TERMINATED' });
    const { providerPid } = await consumer.operator.transfer(forbidden.id);
    using store = openStore('provider');
    const told = store.prepare("SELECT body FROM event WHERE type = 'usage' AND body LIKE ?").all(`%${providerPid}%`);
    expect(told.map(({ body }) => JSON.parse(String(body)).usage.type)).toEqual(['denied']);
  });

  it('stops at the next part when it is suspended, by either side, and goes on when it is started', async () => {
    const before = await account();
    const { id } = await push();
    const { providerPid } = await consumer.operator.transferUntil(id, ['STARTED']);
    await underWay(id);
    await provider.operator.suspendTransfer(providerPid!);
    const { bytes } = await account();
    const reached = (await consumer.operator.transferUntil(id, ['SUSPENDED']), await consumer.operator.received(id));
    expect(reached.bytes).toBeLessThanOrEqual(bytes - before.bytes);
    expect(reached.complete).toBe(false);
    await provider.operator.startTransfer(providerPid!);
    await consumer.operator.transferUntil(id, ['STARTED']);
    await consumer.operator.suspendTransfer(id);
    await provider.operator.transferUntil(providerPid!, ['SUSPENDED']);
    const paused = await account();
    expect((await consumer.operator.received(id)).complete).toBe(false);
    await consumer.operator.startTransfer(id);
    expect((await ended(id)).state).toBe('COMPLETED');
    expect((await account()).bytes).toBeGreaterThan(paused.bytes);
    await expectWhole(id, before);
  });

  it('goes on where it was after its provider has been started again', async () => {
    const before = await account();
    const { id } = await push();
    await consumer.operator.transferUntil(id, ['STARTED']);
    await underWay(id);
    provider = await provider.restart();
    expect(await ended(id)).toEqual({ state: 'COMPLETED', reason: '' });
    await expectWhole(id, before);
  });

  it('ends when the agreement is used up, and tells why', async () => {
    const { id } = await push(CSV, undefined, limited);
    const { state, reason } = await ended(id);
    expect({ state, reason }).toEqual({ state: 'TERMINATED', reason: expect.stringContaining('bytes') });
    expect((await account(limited)).bytes).toBeLessThanOrEqual(9_000_000);
    await expect(consumer.operator.received(id)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('is taken from the provider of the transfer only', async () => {
    const { id, dataAddress } = await push();
    const tul = await space.join(`tul${Math.floor(performance.now())}`);
    for (const method of ['OPTIONS', 'POST', 'HEAD', 'PATCH', 'DELETE']) {
      const response = await tul.peer.fetch(dataAddress!.endpoint!, { method });
      expect(response.status).toBe(404);
    }
    expect((await ended(id)).state).toBe('COMPLETED');
  });
});

describe('what is left of a push that was terminated before it was whole', () => {
  it('is deleted at the consumer, however its provider leaves it', async () => {
    const { id } = await push();
    await consumer.operator.transferUntil(id, ['STARTED']);
    await underWay(id);
    const folder = dirname((await consumer.operator.received(id)).path);
    await consumer.operator.terminateTransfer(id);
    await expect.poll(() => existsSync(folder), { timeout: 10_000 }).toBe(false);
  });

  it('is deleted at the next start where the node went down before', async () => {
    const { id } = await push();
    await consumer.operator.transferUntil(id, ['STARTED']);
    await underWay(id);
    const folder = dirname((await consumer.operator.received(id)).path);
    await consumer.operator.terminateTransfer(id);
    await expect.poll(() => existsSync(folder), { timeout: 10_000 }).toBe(false);
    await mkdir(folder);
    await writeFile(join(folder, 'upload.part'), 'rows');
    await writeFile(join(folder, 'type'), 'text/csv');
    consumer = await consumer.restart();
    expect(existsSync(folder)).toBe(false);
  });
});

describe('a push to any https address', () => {
  let server: Server;
  let address: string;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  beforeAll(async () => {
    const { tls } = await space.enrol('plain');
    server = createServer({ key: consumer.identity.tls.key, cert: consumer.identity.tls.cert, ca: tls.ca }, (q, r) =>
      answer(q, r),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `https://localhost:${(server.address() as AddressInfo).port}/put?signature=hush`;
  });
  afterAll(() => void server.close());

  it('is one request where the receiver cannot resume, with the credentials of the address', async () => {
    const seen: { method: string | undefined; key: unknown; size: number }[] = [];
    answer = (request, response) => {
      let size = 0;
      request.on('data', (chunk: Buffer) => (size += chunk.length));
      request.on('end', () => {
        if (request.method !== 'OPTIONS') seen.push({ method: request.method, key: request.headers['x-key'], size });
        response.writeHead(request.method === 'OPTIONS' ? 405 : 201).end();
      });
    };
    const before = await account();
    const { id } = await push({ ...CSV, authKey: 'X-Key', authCode: 'let me in' }, address);
    expect((await ended(id)).state).toBe('COMPLETED');
    expect(seen).toEqual([{ method: 'POST', key: 'let me in', size: (await account()).bytes - before.bytes }]);
  });

  it('is sent again where the receiver failed, and charged once', async () => {
    let attempts = 0;
    answer = (request, response) => {
      request.resume();
      if (++attempts === 1) request.once('data', () => request.socket.destroy());
      else request.on('end', () => response.writeHead(200).end());
    };
    const before = await account();
    const { id } = await push({ ...CSV, method: 'PUT' }, address);
    expect((await ended(id)).state).toBe('COMPLETED');
    const after = await account();
    expect([attempts, after.uses - before.uses, after.rows - before.rows]).toEqual([2, 1, ROWS]);
  });

  it.each([
    [302, /redirect/],
    [401, /401/],
    [400, /400/],
  ])('ends with the reason where the receiver answers %i', async (status, why) => {
    answer = (request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(status, { location: 'https://127.0.0.1:1/' }).end('hush hush'));
    };
    const { id } = await push({ ...CSV, method: 'PUT' }, address);
    const { state, reason } = await ended(id);
    expect([state, reason]).toEqual(['TERMINATED', expect.stringMatching(why)]);
    expect(reason).not.toContain('hush');
  });

  it.each(['COMPLETED', 'TERMINATED'])('leaves no credential in either store once it is %s', async (state) => {
    answer = (request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(state === 'COMPLETED' ? 200 : 403).end());
    };
    const { id } = await push({ ...CSV, method: 'PUT', authKey: 'X-Key', authCode: 'kept quiet' }, address);
    expect((await ended(id)).state).toBe(state);
    const left = (name: string) => {
      using database = openStore(name);
      const rows = ['transfer', 'outbox', 'push', 'push_part'].flatMap((table) =>
        database.prepare(`SELECT * FROM ${table}`).all(),
      );
      return JSON.stringify(rows);
    };
    for (const name of ['provider', 'consumer']) {
      await expect.poll(() => left(name)).not.toMatch(/kept quiet|signature=hush/);
    }
    using store = openStore('provider');
    expect(store.prepare('SELECT transfer_id FROM push').all()).toEqual([]);
    expect(store.prepare('SELECT transfer_id FROM push_part').all()).toEqual([]);
  });

  it('leaves no credential in the file of either store once its node has been stopped', async () => {
    answer = (request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200).end());
    };
    // Longer than a page of the store.
    const authCode = `not to be found ${'x'.repeat(5_000)}`;
    const { id } = await push({ ...CSV, method: 'PUT', authKey: 'X-Key', authCode }, address);
    expect((await ended(id)).state).toBe('COMPLETED');
    [provider, consumer] = await Promise.all([provider.restart(), consumer.restart()]);
    for (const name of ['provider', 'consumer']) {
      const file = await readFile(join(space.folder, name, 'data', 'connector.sqlite'), 'latin1');
      expect(file.includes(id)).toBe(true);
      expect(file.includes('not to be found')).toBe(false);
    }
  });

  it('shows no credential in any view of either side', async () => {
    answer = (request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200).end());
    };
    const properties = { ...CSV, method: 'PUT', authKey: 'X-Key', authCode: 'hush-1', authorization: 'hush-2' };
    const requested = await push(properties, address);
    await ended(requested.id);
    const views = [requested, await consumer.operator.transfers(), await provider.operator.transfers()];
    expect(JSON.stringify(views)).not.toContain('hush');
    expect(JSON.stringify(views)).toContain('X-Key');
  });
});

it.each([
  ['http://example.com/', /https/],
  ['https://user:pw@example.com/', /user name/],
  ['https://10.1.2.3/', /no public address/],
  ['https://169.254.169.254/latest', /no public address/],
  ['https://[fe80::1]/', /no public address/],
  ['https://[::ffff:10.0.0.1]/', /no public address/],
  ['https://[::127.0.0.1]/', /no public address/],
  ['https://[64:ff9b::127.0.0.1]/', /no public address/],
  ['https://0x0a000001/', /no public address/],
  ['https://100.64.0.1/', /no public address/],
])('a push to %s is refused before it starts', async (endpoint, why) => {
  const { id } = await push(CSV, endpoint);
  expect(await ended(id)).toEqual({ state: 'TERMINATED', reason: expect.stringMatching(why) });
});

it.each([
  { authKey: 'X-A\r\nX-B', authCode: 'x' },
  { authKey: 'X-A', authCode: 'x\r\nX-B: y' },
  { authKey: 'Host', authCode: 'x' },
  { authKey: 'Transfer-Encoding', authCode: 'chunked' },
  { authorization: 'a\nb' },
  { method: 'PATCH' },
  { contentType: 'text/html' },
])('a data address with %j is refused before it starts', async (properties: Record<string, string>) => {
  const { id } = await push({ ...CSV, ...properties }, 'https://example.com/');
  const { state, reason } = await ended(id);
  expect(state).toBe('TERMINATED');
  expect(reason).toMatch(/property/);
});
