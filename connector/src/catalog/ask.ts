import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { PeerClient } from '../identity/index.ts';
import { CATALOG_LIMITS, readJson } from '../protocol/json-body.ts';
import { faults, writeMessage } from '../protocol/messages.ts';
import { catalogOfferSchema, identifier } from '../protocol/policy-schema.ts';
import { compactTerms, CONTEXT, isObject } from '../protocol/terms.ts';
import { discover } from '../protocol/version.ts';

const contextual = z
  .union([z.string(), z.array(z.unknown())])
  .refine((context) => [context].flat().includes(CONTEXT), `must contain "${CONTEXT}"`);
const catalogSchema = z.looseObject({
  '@context': contextual,
  '@id': identifier,
  '@type': z.literal('Catalog'),
  participantId: identifier,
});
const datasetSchema = z.looseObject({
  '@context': contextual,
  '@id': identifier,
  hasPolicy: z.array(catalogOfferSchema).min(1),
});

/** Asks other connectors what they offer. */
export interface CatalogClient {
  /**
   * @param root the other connector's address, for instance `https://pvd.example:7001`
   * @returns its Catalog as it came
   * @throws FoedusError `unavailable`, `wrong-peer`, or `bad-request` for an answer that is no catalog
   */
  catalog(root: string): Promise<{ base: string; participantId: string; catalog: Record<string, unknown> }>;
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

export function createCatalogClient(client: PeerClient): CatalogClient {
  const catalog: CatalogClient['catalog'] = async (root) => {
    const base = await discover(client, root);
    const response = await client.fetch(`${base}/catalog/request`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(writeMessage('CatalogRequestMessage', {})),
    });
    const body = await answerOf(response, 'catalog');
    const parsed = catalogSchema.safeParse(compactTerms(body));
    if (!parsed.success) throw notValid('catalog', root, parsed.error);
    return { base, participantId: parsed.data.participantId, catalog: body as Record<string, unknown> };
  };
  return {
    catalog,
    offer: async (root, datasetId, offerId) => {
      // Who it is, it says in its catalog; that it is so, its certificate proves when the data set is asked for.
      const { base, participantId } = await catalog(root);
      const response = await client.fetch(`${base}/catalog/datasets/${encodeURIComponent(datasetId)}`, {
        expect: participantId,
      });
      if (response.status === 404) {
        await response.body?.cancel();
        throw new FoedusError('not-found', `${participantId} offers no data set ${datasetId} to us.`);
      }
      const parsed = datasetSchema.safeParse(compactTerms(await answerOf(response, 'data set')));
      if (!parsed.success) throw notValid('data set', root, parsed.error);
      const offer = parsed.data.hasPolicy.find((candidate) => candidate['@id'] === offerId);
      if (!offer) {
        const known = parsed.data.hasPolicy.map((candidate) => candidate['@id']).slice(0, 20);
        throw new FoedusError(
          'not-found',
          `${participantId} has no offer ${offerId} for ${datasetId}. Its offers are: ${known.join(', ')}`,
        );
      }
      return { base, participantId, offer };
    },
  };
}

async function answerOf(response: Response, what: string): Promise<unknown> {
  const body = await readJson(response, CATALOG_LIMITS).catch((error: unknown) => {
    if (response.ok) throw error;
    return undefined;
  });
  if (response.ok) return body;
  const reason =
    isObject(body) && Array.isArray(body['reason']) ? `: ${JSON.stringify(body['reason']).slice(0, 500)}` : '';
  throw new FoedusError(
    'unavailable',
    `The other connector answered ${response.status} to the ${what} request${reason}`,
  );
}

function notValid(what: string, root: string, error: z.ZodError): FoedusError {
  return new FoedusError('bad-request', `What ${root} sent is no ${what}: ${faults(error).slice(0, 10).join('; ')}`);
}
