import { randomUUID } from 'node:crypto';
import { createPeerClient, servePeers, type Identity } from '@foedus/connector/identity';
import { Hono } from 'hono';

export interface ReceivedMessage {
  /** Path below the callback address, for instance `/negotiations/urn:uuid:…/agreement`. */
  readonly path: string;
  readonly body: Record<string, unknown>;
}

export interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** What a scripted peer answers to a message. */
export interface Answer {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

/** A counterparty that says exactly what a test makes it say, over real mutual TLS. */
export interface ScriptedPeer extends AsyncDisposable {
  readonly identity: Identity;
  /** What others call it back at. */
  readonly address: string;
  readonly received: readonly ReceivedMessage[];
  /** Waits for the next message of this type (about this process) that no earlier call has taken. */
  next(type: string, consumerPid?: unknown): Promise<ReceivedMessage>;
  post(url: string, message: unknown): Promise<Reply>;
  get(url: string): Promise<Reply>;
}

/** Makes `peer` look like a provider of one data set, `flights`, with one offer, below its callback address. */
export function catalogOf(identity: Identity, offer: Record<string, unknown>): Hono {
  const context = { '@context': ['https://w3id.org/dspace/2025/1/context.jsonld'] };
  const { target: _target, ...catalogOffer } = offer;
  const distribution = [{ '@type': 'Distribution', format: 'HttpData-PULL', accessService: 'urn:service' }];
  const dataset = { '@id': 'flights', '@type': 'Dataset', hasPolicy: [catalogOffer], distribution };
  return new Hono()
    .get('/.well-known/dspace-version', (c) =>
      c.json({ protocolVersions: [{ version: '2025-1', path: '/callback', binding: 'HTTPS' }] }),
    )
    .post('/callback/catalog/request', (c) =>
      c.json({ ...context, '@id': 'urn:catalog', '@type': 'Catalog', participantId: identity.participantId }),
    )
    .get('/callback/catalog/datasets/flights', (c) => c.json({ ...context, ...dataset }));
}

/**
 * @param answer what it answers to a message: status and body; 200 and an empty object where it says nothing
 * @param catalog served beside the callback address, see `catalogOf`
 */
export async function createScriptedPeer(
  identity: Identity,
  answer: (message: ReceivedMessage) => Answer | undefined | Promise<Answer | undefined> = () => undefined,
  catalog = new Hono(),
): Promise<ScriptedPeer> {
  const received: ReceivedMessage[] = [];
  const untaken: ReceivedMessage[] = [];
  const waiting: { wanted: (message: ReceivedMessage) => boolean; resolve: (message: ReceivedMessage) => void }[] = [];
  const app = new Hono().route('/', catalog);
  app.post('/callback/*', async (c) => {
    const incoming = { path: decodeURIComponent(c.req.path.slice('/callback'.length)), body: await c.req.json() };
    received.push(incoming);
    const index = waiting.findIndex(({ wanted }) => wanted(incoming));
    if (index >= 0) waiting.splice(index, 1)[0]!.resolve(incoming);
    else untaken.push(incoming);
    const { status, body = {}, headers = {} } = (await answer(incoming)) ?? { status: 200 };
    return c.body(JSON.stringify(body), status as 200, headers);
  });
  const server = await servePeers({ identity, host: '127.0.0.1', port: 0, app });
  const client = createPeerClient(identity);
  const reply = async (response: Response): Promise<Reply> => ({
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
  });
  return {
    identity,
    address: `${server.url}/callback`,
    received,
    next: async (type, consumerPid) => {
      const wanted = ({ body }: ReceivedMessage): boolean =>
        body['@type'] === type && (consumerPid === undefined || body['consumerPid'] === consumerPid);
      const index = untaken.findIndex(wanted);
      if (index >= 0) return untaken.splice(index, 1)[0]!;
      return await new Promise((resolve) => waiting.push({ wanted, resolve }));
    },
    post: async (url, body) =>
      await reply(
        await client.fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      ),
    get: async (url) => await reply(await client.fetch(url)),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

/** A message as a stranger to this code would write it, with an id of its own. */
export function message(type: string, fields: Record<string, unknown>): Record<string, unknown> {
  return {
    '@context': ['https://w3id.org/dspace/2025/1/context.jsonld'],
    '@id': `urn:uuid:${randomUUID()}`,
    '@type': type,
    ...fields,
  };
}
