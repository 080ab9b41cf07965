import { Hono } from 'hono';
import type { Logger } from 'pino';
import { FoedusError } from '../errors.ts';
import { callerOf } from '../identity/index.ts';
import { readJson } from '../protocol/json-body.ts';
import { readMessage, writeDocument } from '../protocol/messages.ts';
import { answerError } from '../protocol/typed-errors.ts';
import { offersTo, type OfferedDataset } from './offers.ts';
import type { Publications } from './publications.ts';

/** `POST /catalog/request` and `GET /catalog/datasets/:id` of DSP 2025-1. */
export function catalogRoutes(options: {
  publications: Publications;
  participantId: string;
  /** Base of the protocol's paths as others reach it. */
  baseUrl: () => string;
  logger: Logger;
}): Hono {
  const { publications, participantId, baseUrl, logger } = options;
  const app = new Hono();
  app.onError((error, c) => answerError(c, error, 'CatalogError', {}, logger));

  app.post('/catalog/request', async (c) => {
    const caller = callerOf(c);
    const { filter } = readMessage('CatalogRequestMessage', await readJson(c.req.raw));
    if (filter !== undefined && filter.length > 0) {
      const reasons = ['$.filter: this connector has no filters; ask without one'];
      throw new FoedusError('bad-request', reasons[0]!, { details: { reasons } });
    }
    const service = { '@id': baseUrl(), '@type': 'DataService', endpointURL: baseUrl() };
    const dataset = offersTo(publications, caller).map((offered) => datasetOf(offered, service['@id']));
    return c.json(
      writeDocument('Catalog', {
        '@id': `${baseUrl()}/catalog`,
        participantId,
        service: [service],
        ...(dataset.length === 0 ? {} : { dataset }),
      }),
    );
  });

  app.get('/catalog/datasets/:id', (c) => {
    const caller = callerOf(c);
    const id = c.req.param('id');
    const offered = offersTo(publications, caller).find(({ asset }) => asset.id === id);
    if (!offered) throw new FoedusError('not-found', `There is no data set ${id.slice(0, 200)} for you here.`);
    const { '@type': type, ...dataset } = datasetOf(offered, {
      '@id': baseUrl(),
      '@type': 'DataService',
      endpointURL: baseUrl(),
    });
    return c.json(writeDocument(type, dataset));
  });
  return app;
}

/** @param accessService the service itself, or its id where it stands elsewhere in the same document */
function datasetOf({ asset, offers }: OfferedDataset, accessService: unknown) {
  return {
    '@id': asset.id,
    '@type': 'Dataset',
    'dct:title': asset.title,
    ...(asset.description === undefined ? {} : { 'dct:description': asset.description }),
    hasPolicy: offers,
    distribution: asset.formats.map((format) => ({ '@type': 'Distribution', format, accessService })),
  };
}
