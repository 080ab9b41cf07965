import { Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { AgreementStore } from '../agreement/agreement-store.ts';
import type { CatalogClient } from '../catalog/ask.ts';
import type { Publications } from '../catalog/publications.ts';
import { FoedusError } from '../errors.ts';
import { negotiationTopic, type Negotiations } from '../negotiation/negotiations.ts';
import type { Changes } from '../protocol/changes.ts';
import { existing } from '../protocol/conversation.ts';
import type { ProcessStore } from '../protocol/process-store.ts';
import { isFinal, negotiationMachine, transferMachine } from '../protocol/state-machine.ts';
import { flowTopic } from '../transfer/data-flows.ts';
import { transferTopic, type Transfers } from '../transfer/transfers.ts';
import * as model from './model.ts';
import { answerProblem, bodyOf, itemOf, longPoll } from './requests.ts';

export interface ManagementOptions {
  readonly publications: Publications;
  readonly catalog: CatalogClient;
  readonly negotiations: Negotiations;
  readonly negotiationStore: ProcessStore<model.Negotiation>;
  readonly agreements: AgreementStore;
  readonly transfers: Transfers;
  readonly transferStore: ProcessStore<model.Transfer>;
  readonly changes: Changes;
  readonly logger: Logger;
}

const emptySchema = z.strictObject({});

/** The operator's API, as `operator-client` calls it. Whoever mounts it checks the operator's token first. */
export function managementRoutes(options: ManagementOptions): Hono {
  const app = new Hono();
  app.onError((error, c) => answerProblem(c, error, options.logger));
  publicationRoutes(app, options);
  negotiationRoutes(app, options);
  transferRoutes(app, options);
  return app;
}

function publicationRoutes(app: Hono, { publications, catalog }: ManagementOptions): void {
  const { assets, policies, contractDefinitions } = publications;
  app.put('/assets/:id', async (c) => c.json(assets.put(await itemOf(c, model.assetSchema))));
  app.get('/assets', (c) => c.json(assets.list()));
  app.get('/assets/:id', (c) => c.json(existing(assets.get(c.req.param('id')), 'asset', c.req.param('id'))));
  app.delete('/assets/:id', (c) => {
    assets.remove(c.req.param('id'));
    return c.body(null, 204);
  });

  app.put('/policies/:id', async (c) => c.json(policies.put(await itemOf(c, model.policyDefinitionSchema))));
  app.get('/policies', (c) => c.json(policies.list()));
  app.delete('/policies/:id', (c) => {
    policies.remove(c.req.param('id'));
    return c.body(null, 204);
  });

  app.put('/contract-definitions/:id', async (c) =>
    c.json(contractDefinitions.put(await itemOf(c, model.contractDefinitionSchema))),
  );
  app.get('/contract-definitions', (c) => c.json(contractDefinitions.list()));
  app.delete('/contract-definitions/:id', (c) => {
    contractDefinitions.remove(c.req.param('id'));
    return c.body(null, 204);
  });

  app.post('/catalog-requests', async (c) => {
    const { counterPartyAddress } = await bodyOf(c, model.catalogRequestSchema);
    return c.json((await catalog.catalog(counterPartyAddress)).catalog);
  });
}

function negotiationRoutes(app: Hono, options: ManagementOptions): void {
  const { negotiations, negotiationStore, agreements, changes } = options;
  app.post('/negotiations', async (c) =>
    c.json(await negotiations.request(await bodyOf(c, model.negotiationRequestSchema)), 201),
  );
  app.get('/negotiations', (c) => c.json(negotiationStore.list()));
  app.get('/negotiations/:id', async (c) => {
    const id = c.req.param('id');
    const until = statesOf(c.req.query('until'), model.negotiationStates);
    const negotiation = await longPoll(c, {
      changes,
      topic: negotiationTopic(id),
      read: () => existing(negotiationStore.get(id), 'negotiation', id),
      ready: ({ state }) => until.length === 0 || until.includes(state) || isFinal(negotiationMachine, state),
    });
    return c.json(negotiation);
  });
  app.post('/negotiations/:id/termination', async (c) =>
    c.json(negotiations.terminate(c.req.param('id'), await bodyOf(c, model.terminationSchema))),
  );

  app.get('/agreements', (c) => c.json(agreements.list()));
  app.get('/agreements/:id', (c) =>
    c.json(existing(agreements.get(c.req.param('id')), 'agreement', c.req.param('id'))),
  );
}

function transferRoutes(app: Hono, { transfers, transferStore, changes }: ManagementOptions): void {
  app.post('/transfers', async (c) => c.json(transfers.request(await bodyOf(c, model.transferRequestSchema)), 201));
  app.get('/transfers', (c) => c.json(transferStore.list()));
  app.get('/transfers/:id', async (c) => {
    const id = c.req.param('id');
    const until = statesOf(c.req.query('until'), model.transferStates);
    const transfer = await longPoll(c, {
      changes,
      topic: transferTopic(id),
      read: () => existing(transferStore.get(id), 'transfer', id),
      ready: ({ state }) => until.length === 0 || until.includes(state) || isFinal(transferMachine, state),
    });
    return c.json(transfer);
  });
  app.post('/transfers/:id/start', async (c) => {
    await bodyOf(c, emptySchema);
    return c.json(await transfers.start(c.req.param('id')));
  });
  app.post('/transfers/:id/suspension', async (c) =>
    c.json(transfers.suspend(c.req.param('id'), await bodyOf(c, model.terminationSchema))),
  );
  app.post('/transfers/:id/completion', async (c) => {
    await bodyOf(c, emptySchema);
    return c.json(transfers.complete(c.req.param('id')));
  });
  app.post('/transfers/:id/termination', async (c) =>
    c.json(transfers.terminate(c.req.param('id'), await bodyOf(c, model.terminationSchema))),
  );

  app.put('/data-flows/:format', async (c) => {
    await bodyOf(c, emptySchema);
    transfers.flows.register(c.req.param('format'));
    return c.body(null, 204);
  });
  app.get('/data-flows/:format/transfers', async (c) => {
    const format = c.req.param('format');
    const after = afterOf(c.req.query('after'));
    const answer = await longPoll(c, {
      changes,
      topic: flowTopic(format),
      read: () => transfers.flows.transfersOf(format),
      // A version below the caller's means that the caller knows another store: it needs to look again, too.
      ready: ({ version }) => version !== after,
    });
    return c.json(answer);
  });
}

/** `?until=STATE,STATE`. @throws FoedusError `bad-request` */
function statesOf<State extends string>(text: string | undefined, states: readonly State[]): State[] {
  if (text === undefined) return [];
  return text.split(',').map((name) => {
    const state = states.find((candidate) => candidate === name);
    if (state) return state;
    throw new FoedusError(
      'bad-request',
      `until: ${name.slice(0, 50)} is no state. The states are ${states.join(', ')}`,
    );
  });
}

/** `?after=VERSION`; -1 (answer at once) where it is left out. @throws FoedusError `bad-request` */
function afterOf(text: string | undefined): number {
  const parsed = z.coerce.number().int().default(-1).safeParse(text);
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', 'after: must be a whole number, the version of the answer before');
}
