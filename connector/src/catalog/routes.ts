import { Hono, type Context } from 'hono';
import { accepts } from 'hono/accepts';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { Logger } from 'pino';
import { FoedusError } from '../errors.ts';
import { callerOf } from '../identity/index.ts';
import { readJson } from '../protocol/json-body.ts';
import { readMessage, writeDocument } from '../protocol/messages.ts';
import { badMessage } from '../protocol/receive.ts';
import { compactTerm } from '../protocol/terms.ts';
import { answerError } from '../protocol/typed-errors.ts';
import { createContinuationTokens, type Anchor } from './continuation.ts';
import { readFilter } from './filter.ts';
import type { OfferedDataset, Offers } from './offers.ts';

/** Name of the query parameter of `Link` addresses. */
const CONTINUATION = 'continuationToken';
/** Shorter answers are not worth compressing, in characters. */
const WORTH_COMPRESSING = 8_192;

/** `POST /catalog/request` and `GET /catalog/datasets/:id` of DSP 2025-1. */
export function catalogRoutes(options: {
  offers: Offers;
  participantId: string;
  /** Base of the protocol's paths as others reach it. */
  baseUrl: () => string;
  /** Data sets on a page of the catalog. */
  pageSize: number;
  /** Known to this node only: authenticates the addresses of further pages. */
  secret: Uint8Array;
  logger: Logger;
}): Hono {
  const { offers, participantId, baseUrl, pageSize, logger } = options;
  const tokens = createContinuationTokens(options.secret);
  const app = new Hono();
  app.onError((error, c) => answerError(c, error, 'CatalogError', {}, logger));
  const service = () => ({ '@id': baseUrl(), '@type': 'DataService', endpointURL: baseUrl() });

  app.post('/catalog/request', async (c) => {
    const caller = callerOf(c);
    const body = await readJson(c.req.raw);
    readMessage('CatalogRequestMessage', body);
    const filter = readFilter(filterOf(body));
    const scope = { caller, criteria: filter.criteria };
    const token = tokenOf(c);
    const from = token === undefined ? undefined : tokens.read(token, scope);
    const { datasets, next, previous } = offers.page(caller, { filter, size: pageSize, from });

    const link = (anchor: Anchor, relation: string): string =>
      `<${baseUrl()}/catalog/request?${CONTINUATION}=${tokens.write(anchor, scope)}>; rel="${relation}"`;
    const links = [...(next ? [link(next, 'next')] : []), ...(previous ? [link(previous, 'previous')] : [])];
    const fields = { '@id': `${baseUrl()}/catalog`, participantId, service: [service()] };
    const texts = datasets.map((dataset) => datasetText(writeDataset(dataset, baseUrl()), dataset));
    const catalog = JSON.stringify(writeDocument('Catalog', fields));
    return await answer(
      c,
      texts.length === 0 ? catalog : `${catalog.slice(0, -1)},"dataset":[${texts.join(',')}]}`,
      links.length === 0 ? {} : { link: links.join(', ') },
    );
  });

  app.get('/catalog/datasets/:id', async (c) => {
    const caller = callerOf(c);
    const id = c.req.param('id');
    const dataset = offers.dataset(caller, id);
    if (!dataset) throw new FoedusError('not-found', `There is no data set ${id.slice(0, 200)} for you here.`);
    const { '@type': type, ...fields } = writeDataset(dataset, service());
    return await answer(c, datasetText(writeDocument(type, fields), dataset));
  });
  return app;
}

/** As it came: what is wrong in it is named where its sender has written it. */
function filterOf(body: unknown): unknown {
  return Object.entries(body as object).find(([key]) => compactTerm(key) === 'filter')?.[1];
}

/** @throws FoedusError `bad-request` for more than one */
function tokenOf(c: Context): string | undefined {
  const [token, ...others] = c.req.queries(CONTINUATION) ?? [];
  if (others.length > 0) throw badMessage(`${CONTINUATION}: is there more than once in the address`);
  return token;
}

/** @param accessService the service itself, or its id where it stands elsewhere in the same document */
function writeDataset({ asset }: OfferedDataset, accessService: unknown) {
  return {
    '@id': asset.id,
    '@type': 'Dataset',
    'dct:title': asset.title,
    ...(asset.description === undefined ? {} : { 'dct:description': asset.description }),
    distribution: asset.formats.map((format) => ({ '@type': 'Distribution', format, accessService })),
  };
}

/** The offers are JSON already: they are put into the text, not parsed and written again. */
function datasetText(document: object, { offers }: OfferedDataset): string {
  return `${JSON.stringify(document).slice(0, -1)},"hasPolicy":[${offers.join(',')}]}`;
}

const compress = promisify(gzip);

async function answer(c: Context, text: string, headers: Record<string, string> = {}): Promise<Response> {
  const encoding = accepts(c, { header: 'Accept-Encoding', supports: ['gzip'], default: 'identity' });
  const type = { 'content-type': 'application/json', vary: 'Accept-Encoding' };
  if (encoding === 'identity' || text.length < WORTH_COMPRESSING) return c.body(text, 200, { ...type, ...headers });
  const body = await compress(text, { level: constants.Z_BEST_SPEED });
  return c.body(body, 200, { ...type, ...headers, 'content-encoding': 'gzip' });
}
