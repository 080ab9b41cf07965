import { createAuthority, type Authority } from '@foedus/certs';
import { Hono } from 'hono';
import { connect as connectTcp } from 'node:net';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { enrol } from '../../../test/src/identity.ts';
import { FoedusError, statusOf } from '../errors.ts';
import {
  bearerAuth,
  callerOf,
  createPeerClient,
  serveOperators,
  servePeers,
  type Identity,
  type PeerAnswer,
} from './index.ts';

const BDL = 'did:web:bdl.example';
const PVD = 'did:web:pvd.example';
let root: string;
let authority: Authority;
let bdl: Identity;
let pvd: Identity;
const open: AsyncDisposable[] = [];

const identity = (issuer: Authority, participantId: string, name: string): Promise<Identity> =>
  enrol(issuer, participantId, join(root, name));

const app = (): Hono => {
  const hono = new Hono();
  hono.onError((error, c) => c.json({ code: (error as FoedusError).code }, statusOf(error) as 401));
  hono.get('/who', (c) => c.text(callerOf(c)));
  hono.get('/away', (c) => c.redirect('https://elsewhere.example/'));
  hono.post('/length', async (c) => {
    let length = 0;
    for await (const chunk of c.req.raw.body!) length += chunk.length;
    return c.json({ length });
  });
  return hono;
};
const serve = async (who: Identity, hono = app()) => {
  const server = await servePeers({ identity: who, host: '127.0.0.1', port: 0, app: hono });
  open.push(server);
  return server;
};
const client = (who: Identity) => {
  const made = createPeerClient(who);
  open.push(made);
  return made;
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-peers-'));
  authority = await createAuthority({ directory: join(root, 'ca'), name: 'Test data space' });
  bdl = await identity(authority, BDL, 'bdl');
  pvd = await identity(authority, PVD, 'pvd');
});
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('a server for peers', () => {
  it('knows its caller by the certificate', async () => {
    const server = await serve(bdl);
    const response = await client(pvd).fetch(`${server.url}/who`);
    expect(await response.text()).toBe(PVD);
    expect(server.url).toBe(`https://localhost:${server.port}`);
  });

  it('has no connection for a caller of another authority, nor for one without certificate', async () => {
    const other = await createAuthority({ directory: join(root, 'other-ca'), name: 'Test data space' });
    const stranger = await identity(other, PVD, 'stranger');
    const server = await serve(bdl);
    const trusting: Identity = { ...stranger, tls: { ...stranger.tls, ca: bdl.tls.ca } };
    await expect(client(trusting).fetch(`${server.url}/who`)).rejects.toMatchObject({ code: 'unavailable' });
    const socket = connectTls({ host: '127.0.0.1', servername: 'localhost', port: server.port, ca: bdl.tls.ca });
    socket.write('GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect(once(socket, 'data')).rejects.toMatchObject({ code: expect.stringMatching(/CERTIFICATE|ECONNRESET/) });
  });

  it('does not accept a signing certificate as a caller', async () => {
    const server = await serve(bdl);
    const key = await readFile(join(root, 'pvd', 'signing.key'), 'utf8');
    const cert = await readFile(join(root, 'pvd', 'signing.crt'), 'utf8');
    const signing: Identity = { ...pvd, tls: { ...pvd.tls, key, cert } };
    await expect(client(signing).fetch(`${server.url}/who`)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('speaks TLS 1.3 only', async () => {
    const server = await serve(bdl);
    const socket = connectTls({ ...pvd.tls, host: 'localhost', port: server.port, maxVersion: 'TLSv1.2' });
    await expect(once(socket, 'secureConnect')).rejects.toMatchObject({ code: expect.stringContaining('PROTOCOL') });
  });

  it('does not know anybody over plain HTTP', async () => {
    const server = await serveOperators({ host: '127.0.0.1', port: 0, app: app() });
    open.push(server);
    const response = await fetch(`http://127.0.0.1:${server.port}/who`);
    expect([response.status, await response.json()]).toEqual([401, { code: 'not-authenticated' }]);
  });

  it('closes within its grace although connections are idle, silent or busy', async () => {
    const hono = app();
    let entered = (): void => undefined;
    const busy = new Promise<void>((resolve) => (entered = resolve));
    hono.get('/for-ever', () => {
      entered();
      return new Promise<Response>(() => undefined);
    });
    const server = await serve(bdl, hono);
    const peer = client(pvd);
    await (await peer.fetch(`${server.url}/who`)).text();
    const silent = connectTcp({ host: '127.0.0.1', port: server.port });
    await once(silent, 'connect');
    const waiting = peer.fetch(`${server.url}/for-ever`);
    const refused = expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    await busy;
    const started = performance.now();
    await server.close();
    expect(performance.now() - started).toBeLessThan(3_500);
    await refused;
    silent.destroy();
  });

  it('closes as soon as the last running request is answered', async () => {
    const hono = app();
    let entered = (): void => undefined;
    const busy = new Promise<void>((resolve) => (entered = resolve));
    let answer: (response: Response) => void = () => undefined;
    hono.get('/busy', () => {
      entered();
      return new Promise<Response>((resolve) => (answer = resolve));
    });
    const server = await serve(bdl, hono);
    const asked = client(pvd).fetch(`${server.url}/busy`);
    await busy;
    const started = performance.now();
    const closed = server.close();
    answer(new Response('done'));
    expect(await (await asked).text()).toBe('done');
    await closed;
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('says which port is taken', async () => {
    const server = await serve(bdl);
    const again = servePeers({ identity: bdl, host: '127.0.0.1', port: server.port, app: app() });
    await expect(again).rejects.toThrow(`port ${server.port}: another program listens there already`);
  });
});

describe('a client of peers', () => {
  it('refuses a server that is not the expected participant, also when a connection to it is open already', async () => {
    const server = await serve(bdl);
    const peer = client(pvd);
    await (await peer.fetch(`${server.url}/who`)).text();
    await (await peer.fetch(`${server.url}/who`, { expect: BDL })).text();
    const wrong = peer.fetch(`${server.url}/who`, { expect: PVD });
    await expect(wrong).rejects.toMatchObject({ code: 'wrong-peer', message: expect.stringContaining(BDL) });
    await expect(peer.fetch(`${server.url}/who`, { expect: PVD })).rejects.toMatchObject({ code: 'wrong-peer' });
  });

  it('refuses a host that the certificate does not name', async () => {
    const server = await servePeers({ identity: bdl, host: '0.0.0.0', port: 0, app: app() });
    open.push(server);
    const url = `https://127.0.0.2:${server.port}/who`;
    await expect(client(pvd).fetch(url)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  it('follows no redirect and calls no address without TLS', async () => {
    const server = await serve(bdl);
    await expect(client(pvd).fetch(`${server.url}/away`)).rejects.toMatchObject({ code: 'refused-redirect' });
    await expect(client(pvd).fetch('http://localhost:1/')).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('streams a request body', async () => {
    const server = await serve(bdl);
    const chunks = Array.from({ length: 40 }, () => new Uint8Array(65_536));
    const body = new ReadableStream({
      pull: (controller) => {
        const next = chunks.pop();
        if (next) controller.enqueue(next);
        else controller.close();
      },
    });
    const response = await client(pvd).fetch(`${server.url}/length`, { method: 'POST', body });
    expect(await response.json()).toEqual({ length: 40 * 65_536 });
  });

  it('says unavailable when nothing listens, and when no answer comes in time', async () => {
    const hono = app();
    hono.get('/late', () => new Promise<Response>(() => undefined));
    const server = await serve(bdl, hono);
    const late = client(pvd).fetch(`${server.url}/late`, { timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('0.05 s') });
    await server.close();
    await expect(client(pvd).fetch(`${server.url}/who`)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it("ends with the caller's own signal and its reason", async () => {
    const hono = app();
    hono.get('/late', () => new Promise<Response>(() => undefined));
    const server = await serve(bdl, hono);
    const reason = new Error('enough');
    const controller = new AbortController();
    const late = client(pvd).fetch(`${server.url}/late`, { signal: controller.signal });
    controller.abort(reason);
    await expect(late).rejects.toBe(reason);
  });
});

describe('a call of a peer', () => {
  const text = ({ body }: PeerAnswer): string => Buffer.from(body!).toString();

  it('sends and brings back a message in one piece', async () => {
    const hono = app().post('/echo', async (c) =>
      c.body(await c.req.text(), 201, { 'retry-after': '7', 'x-type': c.req.header('content-type') ?? '' }),
    );
    const server = await serve(bdl, hono);
    const message = JSON.stringify({ ä: 'x'.repeat(100_000) });
    const answer = await client(pvd).call(`${server.url}/echo`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: message,
      expect: BDL,
    });
    expect([answer.status, text(answer), answer.headers.get('Retry-After')]).toEqual([201, message, '7']);
    expect(answer.headers.get('x-type')).toBe('application/json');
    expect(answer.headers.get('x-absent')).toBeNull();
    expect(text(await client(pvd).call(`${server.url}/who?a=b`))).toBe(PVD);
  });

  it('sends bytes as they are, and gets bytes as they are', async () => {
    const hono = app().put('/echo', async (c) => c.body(await c.req.arrayBuffer(), 200));
    const server = await serve(bdl, hono);
    const all = Uint8Array.from({ length: 300_001 }, (_, i) => (i * i) >> 3);
    const { status, body } = await client(pvd).call(`${server.url}/echo`, { method: 'PUT', body: all.subarray(1) });
    expect(status).toBe(200);
    expect(Buffer.compare(body!, all.subarray(1))).toBe(0);
  });

  it('reads no more of an answer than it was told to', async () => {
    let sent = 0;
    const hono = app().get('/endless', () => {
      const pull = (controller: ReadableStreamDefaultController): void => {
        sent += 1;
        controller.enqueue(new Uint8Array(65_536));
      };
      return new Response(new ReadableStream({ pull }));
    });
    const server = await serve(bdl, hono);
    const peer = client(pvd);
    expect(await peer.call(`${server.url}/endless`, { maxBytes: 100_000 })).toMatchObject({
      status: 200,
      body: undefined,
    });
    expect(text(await peer.call(`${server.url}/who`))).toBe(PVD);
    expect(sent).toBeLessThan(500);
  });

  it('refuses whom fetch refuses', async () => {
    const server = await serve(bdl);
    const peer = client(pvd);
    await peer.call(`${server.url}/who`, { expect: BDL });
    const wrong = peer.call(`${server.url}/who`, { expect: PVD });
    await expect(wrong).rejects.toMatchObject({ code: 'wrong-peer', message: expect.stringContaining(BDL) });
    await expect(peer.call(`${server.url}/away`)).rejects.toMatchObject({ code: 'refused-redirect' });
    await expect(peer.call('http://localhost:1/')).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('says unavailable when nothing listens, and when the answer is not whole in time', async () => {
    const hono = app().get(
      '/late',
      () => new Response(new ReadableStream({ pull: () => new Promise(() => undefined) })),
    );
    const server = await serve(bdl, hono);
    const late = client(pvd).call(`${server.url}/late`, { timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('0.05 s') });
    await server.close();
    await expect(client(pvd).call(`${server.url}/who`)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it("ends with the caller's own signal and its reason, before and while it runs", async () => {
    const hono = app().get('/late', () => new Promise<Response>(() => undefined));
    const server = await serve(bdl, hono);
    const reason = new Error('enough');
    const controller = new AbortController();
    const late = client(pvd).call(`${server.url}/late`, { signal: controller.signal });
    controller.abort(reason);
    await expect(late).rejects.toBe(reason);
    await expect(client(pvd).call(`${server.url}/who`, { signal: controller.signal })).rejects.toBe(reason);
  });
});

describe("a server for the organisation's operator", () => {
  it('lets in who has the token, and nobody else', async () => {
    const hono = new Hono().use(bearerAuth('s3cret')).get('/', (c) => c.text('in'));
    const server = await serveOperators({ host: '127.0.0.1', port: 0, app: hono });
    open.push(server);
    const ask = (authorization?: string) =>
      fetch(`http://127.0.0.1:${server.port}/`, authorization === undefined ? {} : { headers: { authorization } });
    expect(await (await ask('Bearer s3cret')).text()).toBe('in');
    for (const wrong of [undefined, '', 'Bearer', 'Bearer s3cre', 'Bearer s3cret2', 'Basic s3cret', 's3cret']) {
      const response = await ask(wrong);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ code: 'not-authenticated' });
    }
  });

  it.each(['0.0.0.0', '192.0.2.1', 'example.org', '127.0.0.1.example.org'])('does not listen on %s', async (host) => {
    await expect(serveOperators({ host, port: 0, app: new Hono() })).rejects.toMatchObject({ code: 'bad-config' });
  });
});
