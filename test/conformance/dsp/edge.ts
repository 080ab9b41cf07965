import { setTimeout as pause } from 'node:timers/promises';
import { createPeerClient, serveOperators, servePeers, type Identity } from '@foedus/connector/identity';
import { Hono, type Context } from 'hono';

/**
 * The kit's place in the data space.
 *
 * The kit speaks plain HTTP and has neither certificate nor catalog. The connector under test is a whole one, which
 * talks to nobody without mutual TLS; so this edge stands between them and is the kit's participant: it calls the
 * connector with that participant's certificate, answers for it over TLS, offers its data sets, and puts the addresses
 * and the name that each side knows in place of the other's. What is said is the kit's alone.
 */
export interface Edge extends AsyncDisposable {
  /** Where the kit finds the connector: plain HTTP. */
  readonly url: string;
  /** Where the connector finds the kit's participant: mutual TLS. */
  readonly participantUrl: string;
  /** Base of the protocol's paths there. */
  readonly base: string;
  /** Says something to the connector in the participant's name, and returns what it answers. */
  say(path: string, message: unknown): Promise<Reply>;
}

export interface Reply {
  readonly status: number;
  /** JSON, or undefined for an empty body. */
  readonly body: unknown;
}

/** One message and its answer, as the connector saw them. */
export interface Exchange extends Reply {
  readonly by: 'kit' | 'connector';
  /** Method and path below the base. */
  readonly request: string;
  readonly message: unknown;
}

export interface EdgeOptions {
  readonly identity: Identity;
  /** What the kit calls its own participant. */
  readonly kitName: string;
  readonly connector: { readonly url: string; readonly versionPath: string };
  /** Answers the connector in the kit's stead, as long as it returns something. */
  readonly instead: (path: string, message: unknown) => Promise<Reply> | undefined;
  /** The kit's own address. */
  readonly kitUrl: string;
  /** The data sets that the participant offers, with their one offer. */
  readonly catalog: (datasetId: string) => object | undefined;
  /** The kit asks for the connector to begin something: plain JSON, not of the protocol. */
  readonly triggers: Readonly<Record<string, (wish: Record<string, string>) => Promise<unknown>>>;
  readonly heard: (exchange: Exchange) => void;
}

const CONTEXT = { '@context': ['https://w3id.org/dspace/2025/1/context.jsonld'] };
const BASE_PATH = '/2025-1';
/**
 * How long a message of the connector is on its way to the kit. The kit can take an answer to its request only when
 * it has read the response to it, and the next message only when it has noticed the one before.
 */
const LATENCY_MS = 300;

/** Starts both sides of the edge on free ports. */
export async function createEdge(options: EdgeOptions): Promise<Edge> {
  const { identity, kitName, connector, kitUrl, catalog, triggers, heard } = options;
  await using stack = new AsyncDisposableStack();
  const client = stack.use(createPeerClient(identity));
  const app = new Hono();
  const inside = stack.use(await serveOperators({ host: '127.0.0.1', port: 0, app }));
  const outsideApp = new Hono();
  const outside = stack.use(await servePeers({ identity, host: '127.0.0.1', port: 0, app: outsideApp }));
  const base = outside.url + BASE_PATH;

  const forConnector = replacing([
    [kitUrl, base],
    [kitName, identity.participantId],
  ]);
  const forKit = replacing([
    [connector.url, inside.url],
    [base, kitUrl],
    [identity.participantId, kitName],
  ]);

  const ask = async (method: string, path: string, message: unknown): Promise<Reply> => {
    const response = await client.fetch(connector.url + path, {
      method,
      ...(message === undefined
        ? {}
        : { body: JSON.stringify(message), headers: { 'content-type': 'application/json' } }),
    });
    const reply = { status: response.status, body: parse(await response.text()) };
    heard({ by: 'kit', request: `${method} ${path}`, message, ...reply });
    return reply;
  };

  const tellKit = async (path: string, message: unknown): Promise<Reply> => {
    await pause(LATENCY_MS);
    try {
      const response = await fetch(kitUrl + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(forKit(message)),
      });
      return { status: response.status, body: forConnector(parse(await response.text())) };
    } catch {
      // It drops the connection where it did not expect the message yet: a gateway's trouble.
      return { status: 502, body: undefined };
    }
  };

  for (const [path, trigger] of Object.entries(triggers)) {
    app.post(path, async (c) => {
      await trigger(forConnector(await c.req.json()) as Record<string, string>);
      return c.json({});
    });
  }
  app.all('*', async (c) => {
    const reply = await ask(c.req.method, pathOf(c), forConnector(parse(await c.req.text())));
    return answer(c, { ...reply, body: forKit(reply.body) });
  });

  outsideApp.get('/.well-known/dspace-version', (c) =>
    c.json({ protocolVersions: [{ version: '2025-1', path: BASE_PATH, binding: 'HTTPS' }] }),
  );
  outsideApp.post(`${BASE_PATH}/catalog/request`, (c) =>
    c.json({ ...CONTEXT, '@id': 'urn:kit:catalog', '@type': 'Catalog', participantId: identity.participantId }),
  );
  outsideApp.get(`${BASE_PATH}/catalog/datasets/:id`, (c) => {
    const offer = catalog(c.req.param('id'));
    if (!offer) return c.json({ ...CONTEXT, '@type': 'CatalogError' }, 404);
    const distribution = [{ '@type': 'Distribution', format: 'HttpData-PULL', accessService: 'urn:kit:service' }];
    return c.json({ ...CONTEXT, '@type': 'Dataset', '@id': c.req.param('id'), hasPolicy: [offer], distribution });
  });
  outsideApp.all(`${BASE_PATH}/*`, async (c) => {
    const path = pathOf(c).slice(BASE_PATH.length);
    const message = parse(await c.req.text());
    const reply = (await options.instead(path, message)) ?? (await tellKit(path, message));
    heard({ by: 'connector', request: `POST ${path}`, message, ...reply });
    return answer(c, reply);
  });

  const running = stack.move();
  return {
    url: inside.url,
    participantUrl: outside.url,
    base,
    say: (path, message) => ask('POST', connector.versionPath + path, message),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function pathOf(c: Context): string {
  const { pathname, search } = new URL(c.req.url);
  return pathname + search;
}

function answer(c: Context, { status, body }: Reply): Response {
  if (body === undefined) return c.body(null, status as 200);
  return c.json(body as object, status as 200);
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Replaces every string that is, or begins with, one of the left sides. */
function replacing(pairs: readonly (readonly [from: string, to: string])[]): (value: unknown) => unknown {
  const replace = (value: unknown): unknown => {
    if (typeof value === 'string') {
      const pair = pairs.find(([from]) => value === from || value.startsWith(`${from}/`));
      return pair ? pair[1] + value.slice(pair[0].length) : value;
    }
    if (Array.isArray(value)) return value.map(replace);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replace(inner)]));
  };
  return replace;
}
