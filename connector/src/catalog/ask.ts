import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { PeerClient } from '../identity/index.ts';
import { CATALOG_LIMITS, parseJson, readJson } from '../protocol/json-body.ts';
import { faults, writeMessage } from '../protocol/messages.ts';
import { catalogOfferSchema, identifier } from '../protocol/policy-schema.ts';
import { compactTerm, compactTerms, CONTEXT, isObject, rawValue } from '../protocol/terms.ts';
import { discover } from '../protocol/version.ts';
import { linkTo } from './link-header.ts';

const contextual = z
  .union([z.string(), z.array(z.unknown())])
  .refine((context) => [context].flat().includes(CONTEXT), `must contain "${CONTEXT}"`);
/** A data set in a catalog: what its offers say is looked at when one of them is asked for. */
const datasetEntry = z.looseObject({ '@id': identifier });
const catalogSchema = z.looseObject({
  '@context': contextual,
  '@id': identifier,
  '@type': z.literal('Catalog'),
  participantId: identifier,
  dataset: z.union([z.array(datasetEntry), datasetEntry.transform((dataset) => [dataset])]).default([]),
});
const datasetSchema = z.looseObject({
  '@context': contextual,
  '@id': identifier,
  hasPolicy: z.array(catalogOfferSchema).min(1),
});

/** What is asked for. */
export interface CatalogQuestion {
  /** What it means is up to the other connector. */
  readonly filter?: readonly unknown[] | undefined;
  /** Stop after the page with which so many data sets have come; 0: after the first. @default every page */
  readonly limit?: number | undefined;
}

/** What another connector offers. */
export interface FoundCatalog {
  readonly base: string;
  readonly participantId: string;
  /** As it came; of several pages, the first one with the data sets of all. */
  readonly catalog: Record<string, unknown>;
}

/** Asks other connectors what they offer. */
export interface CatalogClient {
  /**
   * @param root the other connector's address, for instance `https://pvd.example:7001`
   * @throws FoedusError `unavailable`, `wrong-peer`, or `bad-request` for an answer that is no catalog
   */
  catalog(root: string, question?: CatalogQuestion): Promise<FoundCatalog>;
  /**
   * One offer for one data set, from the connector that proves by its certificate to be the participant it claims to be.
   *
   * @throws FoedusError also `not-found`
   */
  offer(
    root: string,
    datasetId: string,
    offerId: string,
  ): Promise<{ base: string; participantId: string; offer: Record<string, unknown> }>;
}

interface FoundDataset {
  readonly base: string;
  readonly participantId: string;
  readonly offers: readonly (Record<string, unknown> & { readonly '@id': string })[];
}

/** For so many milliseconds, and for so many connectors, it is remembered where they are. */
const KNOWN_FOR = 600_000;
const MOST_KNOWN = 1_000;

/** A catalog that never ends is cut off at so many pages, bytes and milliseconds. */
const MOST_PAGES = 1_000;
const MOST_BYTES = 64 << 20;
const LONGEST = 120_000;

export function createCatalogClient(client: PeerClient): CatalogClient {
  const catalog: CatalogClient['catalog'] = async (root, question = {}) => {
    const signal = AbortSignal.timeout(LONGEST);
    try {
      return await allPages(root, question, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      const why = `${root} did not send its catalog within ${LONGEST / 1000} s. Ask with a filter or a limit.`;
      throw new FoedusError('unavailable', why, { cause: error });
    }
  };
  const allPages = async (
    root: string,
    { filter, limit = Number.POSITIVE_INFINITY }: CatalogQuestion,
    signal: AbortSignal,
  ): Promise<FoundCatalog> => {
    const base = await discover(client, root, signal);
    const request = JSON.stringify(writeMessage('CatalogRequestMessage', filter === undefined ? {} : { filter }));
    let bytes = 0;
    const ask = async (url: string, expect?: string) => {
      const response = await client.fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: request,
        signal,
        ...(expect === undefined ? {} : { expect }),
      });
      const left = Math.min(CATALOG_LIMITS.maxBytes, MOST_BYTES - bytes);
      const limits = { ...CATALOG_LIMITS, maxBytes: left, read: (n: number) => (bytes += n) };
      const body = await answerOf(response.status, 'catalog', () => readJson(response, limits));
      const parsed = catalogSchema.safeParse(compactTerms(body));
      if (!parsed.success) throw notValid('catalog', root, parsed.error);
      const { participantId } = parsed.data;
      if (expect !== undefined && participantId !== expect) {
        throw new FoedusError('bad-request', `${root} sent a page of another participant's catalog, ${participantId}.`);
      }
      const next = linkTo(response.headers.get('link') ?? '', 'next');
      return {
        body: body as Record<string, unknown>,
        participantId,
        datasets: [rawValue(body, 'dataset') ?? []].flat(),
        next: next === undefined ? undefined : pageAddress(next, url),
      };
    };

    const first = await ask(`${base}/catalog/request`);
    const { participantId } = first;
    const datasets = [...first.datasets];
    const seen = new Set<string>();
    let { next } = first;
    while (next !== undefined && datasets.length < limit) {
      if (seen.has(next) || seen.size >= MOST_PAGES) {
        throw new FoedusError(
          'bad-request',
          `The pages of ${root}'s catalog have no end. Ask with a filter or a limit.`,
        );
      }
      seen.add(next);
      const page = await ask(next, participantId);
      datasets.push(...page.datasets);
      ({ next } = page);
    }
    if (seen.size === 0) return { base, participantId, catalog: first.body };
    const others = Object.entries(first.body).filter(([key]) => compactTerm(key) !== 'dataset');
    return { base, participantId, catalog: { ...Object.fromEntries(others), dataset: datasets } };
  };
  // Who it is, it says in its catalog; that it is so, its certificate proves whenever the data set is asked for.
  const known = new Map<string, { readonly base: string; readonly participantId: string; readonly until: number }>();
  const find = async (root: string): Promise<{ base: string; participantId: string; fresh: boolean }> => {
    const earlier = known.get(root);
    if (earlier && earlier.until > performance.now()) return { ...earlier, fresh: false };
    const { base, participantId } = await catalog(root, { limit: 0 });
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(root, { base, participantId, until: performance.now() + KNOWN_FOR });
    return { base, participantId, fresh: true };
  };
  const findOnce = once(find);

  /** The data set's offers. */
  const dataset = async (root: string, datasetId: string): Promise<FoundDataset> => {
    const { base, participantId, fresh } = await findOnce(root);
    try {
      const { status, body } = await client.call(`${base}/catalog/datasets/${encodeURIComponent(datasetId)}`, {
        expect: participantId,
        maxBytes: CATALOG_LIMITS.maxBytes,
      });
      if (status === 404) throw new FoedusError('not-found', `${participantId} offers no data set ${datasetId} to us.`);
      const document = await answerOf(status, 'data set', async () => wholeJson(body));
      const parsed = datasetSchema.safeParse(compactTerms(document));
      if (!parsed.success) throw notValid('data set', root, parsed.error);
      return { base, participantId, offers: parsed.data.hasPolicy };
    } catch (error) {
      known.delete(root);
      // It may have moved, or be somebody else now.
      if (fresh) throw error;
      return await dataset(root, datasetId);
    }
  };
  const datasetOnce = once(dataset);

  return {
    catalog,
    offer: async (root, datasetId, offerId) => {
      const { base, participantId, offers } = await datasetOnce(root, datasetId);
      const offer = offers.find((candidate) => candidate['@id'] === offerId);
      if (offer) return { base, participantId, offer };
      const ids = offers.map((candidate) => candidate['@id']).slice(0, 20);
      throw new FoedusError(
        'not-found',
        `${participantId} has no offer ${offerId} for ${datasetId}. Its offers are: ${ids.join(', ')}`,
      );
    },
  };
}

/** Who asks the same while an answer is on its way gets that answer. */
function once<A extends readonly string[], T>(work: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (...args) => {
    const key = JSON.stringify(args);
    const earlier = running.get(key);
    if (earlier) return earlier;
    const now = work(...args).finally(() => running.delete(key));
    running.set(key, now);
    return now;
  };
}

/** @throws FoedusError `bad-request` for an address that is not of the connector that named it */
function pageAddress(address: string, from: string): string {
  const url = URL.parse(address, from);
  if (url && url.origin === new URL(from).origin && url.username === '' && url.password === '') return url.href;
  throw new FoedusError(
    'bad-request',
    `The catalog goes on outside of the connector's own address: ${address.slice(0, 200)}`,
  );
}

async function answerOf(status: number, what: string, read: () => Promise<unknown>): Promise<unknown> {
  const ok = status >= 200 && status < 300;
  const body = await read().catch((error: unknown) => {
    if (!ok) return undefined;
    if (!(error instanceof FoedusError) || error.code === 'unavailable') throw error;
    throw new FoedusError('bad-request', `The other connector's ${what} cannot be read: ${error.message}`, {
      cause: error,
    });
  });
  if (ok) return body;
  const reason =
    isObject(body) && Array.isArray(body['reason']) ? `: ${JSON.stringify(body['reason']).slice(0, 500)}` : '';
  throw new FoedusError('unavailable', `The other connector answered ${status} to the ${what} request${reason}`);
}

function wholeJson(body: Uint8Array | undefined): unknown {
  if (body) return parseJson(body, CATALOG_LIMITS);
  throw new FoedusError('too-large', `it is larger than ${CATALOG_LIMITS.maxBytes} bytes.`);
}

function notValid(what: string, root: string, error: z.ZodError): FoedusError {
  return new FoedusError('bad-request', `What ${root} sent is no ${what}: ${faults(error).slice(0, 10).join('; ')}`);
}
