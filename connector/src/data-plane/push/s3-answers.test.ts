/** What a push into a bucket does about a storage that answers without end. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createDataSpace, type DataSpace } from '../../../../test/src/connectors.ts';
import { openDatabase } from '../../store/database.ts';
import { migrations } from '../../store/migrations/index.ts';
import { createOutbound } from './outbound.ts';
import { createPushStore } from './push-store.ts';
import type { Receiver } from './receiver.ts';
import { createS3Receiver } from './s3-receiver.ts';

let space: DataSpace;
let server: Server;
let receiver: Receiver;
let sent = 0;
let status: number;

/** Writes until the other side has had enough. */
function flood(response: ServerResponse): void {
  const piece = Buffer.alloc(256 * 1024, '<');
  const more = (): void => {
    while (!response.destroyed && sent < 1024 ** 3) {
      sent += piece.length;
      if (!response.write(piece)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

beforeAll(async () => {
  space = await createDataSpace();
  const identity = await space.enrol('storage');
  server = createServer({ key: identity.tls.key, cert: identity.tls.cert }, (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/xml' });
    flood(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const database = openDatabase(':memory:', migrations);
  receiver = await createS3Receiver(
    {
      kind: 's3',
      bucket: 'inbox',
      key: 'x',
      region: 'us-east-1',
      endpoint: new URL(`https://localhost:${(server.address() as AddressInfo).port}`),
      credentials: { accessKeyId: 'key', secretAccessKey: 'hush' },
    },
    {
      transferId: 'urn:t',
      mediaType: 'text/csv',
      store: createPushStore(database),
      signal: AbortSignal.timeout(60_000),
      heads: { signed: () => Promise.reject(new Error('no head')), present: async () => undefined },
      identity,
      outbound: createOutbound(['127.0.0.0/8', '::1/128']),
    },
  );
});
beforeEach(() => {
  sent = 0;
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
  await space[Symbol.asyncDispose]();
});

it.each([200, 403])('a storage that answers %i and goes on for ever is cut off early', async (code) => {
  status = code;
  await expect(receiver.open()).rejects.toMatchObject({ code: expect.any(String) });
  // A few attempts, and what lies in the buffers of the network.
  expect(sent).toBeLessThan(64 * 1024 * 1024);
});
