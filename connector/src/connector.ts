import { Hono } from 'hono';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createAgreementStore } from './agreement/agreement-store.ts';
import { createCatalogClient } from './catalog/ask.ts';
import { createPublications } from './catalog/publications.ts';
import { catalogRoutes } from './catalog/routes.ts';
import { ensureToken, type ConnectorConfig } from './config/index.ts';
import { loadOrCreateSecret } from './data-plane/node-secret.ts';
import { createDeltaSharing, DELTA_SHARING_PATH } from './delta-sharing/index.ts';
import { onDemand } from './data-plane/on-demand.ts';
import { createDutyKeeping } from './duties/keeping.ts';
import { createStoredData } from './duties/stored-data.ts';
import { createPartnerHeads } from './ledger/partner-heads.ts';
import { createInbox } from './data-plane/push/inbox.ts';
import { createEvents } from './events.ts';
import {
  createPeerClient,
  loadIdentity,
  serveOperators,
  servePeers,
  type Identity,
  type PeerClient,
} from './identity/index.ts';
import { createLedgerHeads, createLedgerReader, createUsageControl, loadLocalRules } from './ledger/index.ts';
import { FoedusError } from './errors.ts';
import { createAccess } from './management/access.ts';
import { operatorApi } from './management/api.ts';
import type { Negotiation, Transfer } from './management/model.ts';
import { answerProblem } from './management/requests.ts';
import { mount } from './management/operation.ts';
import { createTokenStore } from './management/token-store.ts';
import { decideByPublications, type NegotiationDecisions } from './negotiation/decisions.ts';
import { loadDecisions } from './negotiation/decisions-plugin.ts';
import { refusing } from './negotiation/refusals.ts';
import { createNegotiations, type Negotiations } from './negotiation/negotiations.ts';
import { negotiationRoutes } from './negotiation/routes.ts';
import { createWaitingList } from './negotiation/waiting.ts';
import { createProfiler } from './profile/profiler.ts';
import { createSchemaPins } from './profile/schema-pins.ts';
import { createChanges } from './protocol/changes.ts';
import { createExchange } from './protocol/exchange.ts';
import { createProcessStore } from './protocol/process-store.ts';
import { isFinal, negotiationMachine, transferMachine } from './protocol/state-machine.ts';
import { VERSION_PATH } from './protocol/terms.ts';
import { discover, versionDocument, WELL_KNOWN } from './protocol/version.ts';
import { migrations } from './store/migrations/index.ts';
import { createGroupCommit, createTransact, openDatabase } from './store/index.ts';
import { createTokenRenewal } from './transfer/renewal.ts';
import { transferRoutes } from './transfer/routes.ts';
import { createTransfers } from './transfer/transfers.ts';

export interface ConnectorOptions {
  readonly logger: Logger;
  /** Who decides about requests and offers. @default what equals a published offer is agreed to, else a person is asked */
  readonly decisions?: NegotiationDecisions;
  /** @default the system's */
  readonly clock?: () => Date;
  /** What calls other participants; a test may look over its shoulder. @default createPeerClient */
  readonly peerClient?: (identity: Identity) => PeerClient;
}

/** A connector at work. Disposing it stops it in bounded time; what it had to do is taken up at the next start. */
export interface RunningConnector extends AsyncDisposable {
  readonly participantId: string;
  /** Root of the port for other participants: what they call the connector's address. */
  readonly protocolUrl: string;
  /** Root of the operator's API. */
  readonly managementUrl: string;
  /** For decisions that are made elsewhere: offer without being asked, and ask the decisions again. */
  readonly negotiations: Pick<Negotiations, 'offer' | 'reconsider'>;
}

/**
 * Starts a connector: store, protocol, data plane, ledger, operator's API.
 *
 * @throws FoedusError `bad-identity`, `bad-config`, `store-too-new`, `unavailable` (a port is taken)
 */
export async function startConnector(config: ConnectorConfig, options: ConnectorOptions): Promise<RunningConnector> {
  const { logger, clock = () => new Date() } = options;
  await using started = new AsyncDisposableStack();

  const identity = await loadIdentity(config.participantId, config.identity);
  const token = await ensureToken(config.management.tokenFile);
  const { participantId } = identity;

  // Store
  const database = started.use(openDatabase(join(config.dataDir, 'connector.sqlite'), migrations));
  // Tokens and credentials that are erased are overwritten as well: else they stay in the file's free places.
  database.sql.exec('PRAGMA secure_delete = ON');
  const transact = createTransact(database);
  const group = started.use(
    createGroupCommit(transact, (error) => logger.error({ err: error }, 'something could not be stored')),
  );
  const stopping = new AbortController();
  const changes = createChanges(stopping.signal);
  const events = createEvents({ database, transact, changes, logger, clock });
  const { allowUnsigned, acceptLess, refuse, mostWaiting, decisions: plugin } = config.negotiation;
  const publications = createPublications(database, transact, clock, refuse);
  const agreements = createAgreementStore(database);
  const negotiationStore = createProcessStore<Negotiation>(database, 'negotiation');
  const transferStore = createProcessStore<Transfer>(database, 'transfer');

  // Ports: they listen first, because the address may depend on the port; they answer once everything is built.
  const peers = gate();
  const peerServer = started.use(await servePeers({ identity, ...config.protocol, app: peers.app }));
  const publicUrl = config.protocol.port === 0 ? peerServer.url : config.protocol.publicUrl;
  const baseUrl = (): string => publicUrl + VERSION_PATH;
  const operators = gate();
  const operatorServer = started.use(await serveOperators({ ...config.management, app: operators.app }));

  // Messages
  const client = started.use((options.peerClient ?? createPeerClient)(identity));
  const { delivery } = config;
  const exchange = started.use(createExchange({ database, group, client, events, logger, clock, delivery }));
  const { inbox, outbox, heard, moved } = exchange;
  const storage = { transact, group, inbox, outbox, agreements };
  const shared = { ...storage, heard, moved, events, changes, logger, clock, baseUrl };
  const catalog = createCatalogClient(client);
  const defaults = decideByPublications(publications, { acceptLess });
  const decisions =
    options.decisions ??
    (plugin === undefined ? defaults : await loadDecisions(plugin, { defaults, participantId, logger }));
  const negotiations = started.use(
    createNegotiations({
      ...shared,
      identity,
      store: negotiationStore,
      decisions: refusing(decisions, refuse),
      catalog,
      publications,
      discover: (root) => discover(client, root),
      allowUnsigned,
    }),
  );
  const partnerHeads = createPartnerHeads({ database, agreements, identity });
  const { maxBytes } = config.transfer.inbox;
  const inboxFolder = { dataDir: config.dataDir, maxBytes };
  const receiving = createInbox({ transfers: transferStore, partnerHeads, publicUrl, ...inboxFolder, logger });
  await receiving.recover(() => transferStore.inStates(transferMachine.final));
  events.heed((transaction, event) => {
    if (event.type !== 'transfer' || !isFinal(transferMachine, event.transfer.state)) return;
    const { id } = event.transfer;
    const failed = (error: unknown): void => logger.error({ err: error, transfer: id }, 'a push could not be deleted');
    transaction.after(() => void receiving.ended(id).catch(failed));
  });
  const transfers = started.use(
    createTransfers({ ...shared, database, store: transferStore, inboxOf: receiving.endpointOf }),
  );
  // Usage control and data plane
  const dutyKeeping = started.use(
    createDutyKeeping({
      ...shared,
      identity,
      database,
      client,
      config,
      storedData: createStoredData(database, receiving),
    }),
  );
  const restrict = await loadLocalRules(config.localRules);
  const usageControl = createUsageControl({
    database,
    transact,
    agreements,
    clock,
    restrict,
    duties: dutyKeeping.uses,
    events: (event) => events.usage(event),
  });
  const heads = createLedgerHeads({
    database,
    agreements,
    identity,
    clock,
    logger,
    events: (event) => events.usage(event),
  });
  const pins = createSchemaPins({ database, transact, events, clock });
  const { push, tokenLifetimeSeconds } = config.transfer;
  const { dataDir } = config;
  const dataPlane = started.use(
    onDemand(
      ['HttpData-PULL', 'HttpData-PUSH', 'AmazonS3-PUSH'],
      async () => {
        const { createDataPlane } = await import('./data-plane/index.ts');
        const { assets } = publications;
        const stores = { usageControl, agreements, assets, pins, heads, transfers: transferStore };
        const allowedNetworks = push.allowAddresses;
        const { giveUpAfterSeconds } = delivery;
        const settings = { publicUrl, tokenLifetimeSeconds, dataDir, allowedNetworks, giveUpAfterSeconds };
        return createDataPlane({ identity, ...stores, ...settings, control: transfers, database, clock, logger });
      },
      (error, { id }) => logger.error({ err: error, transfer: id }, 'the data plane could not be loaded'),
    ),
  );
  for (const flow of dataPlane.flows) transfers.flows.add(flow);
  const renewal = createTokenRenewal({ store: transferStore, transact, client, clock, logger });

  const { assets } = publications;
  const profiler = started.use(
    createProfiler({ database, assets, pins, changes, dataDir: config.dataDir, clock, logger }),
  );
  const deltaSharing = started.use(
    createDeltaSharing({
      ...shared,
      database,
      transfers,
      transferStore,
      renewal,
      partnerHeads,
      client,
      dataDir: config.dataDir,
      settings: config.deltaSharing,
      managementUrl: operatorServer.url,
    }),
  );

  // Routes
  const { pageSize } = config.catalog;
  const admit = createWaitingList(database, mostWaiting);
  const secret = loadOrCreateSecret(join(config.dataDir, 'catalog.secret'));
  const protocol = new Hono()
    .route('/', catalogRoutes({ offers: publications.offers, participantId, baseUrl, pageSize, secret, logger }))
    .route('/', negotiationRoutes({ ...shared, conversation: negotiations.conversation, publications, admit }))
    .route('/', transferRoutes({ ...shared, transfers, assets: publications.assets }));
  peers.open(
    problemApp(logger)
      .get(WELL_KNOWN, (c) => c.json(versionDocument))
      .route(VERSION_PATH, protocol)
      .route('/', dutyKeeping.routes)
      .route('/', receiving.routes)
      .route('/', dataPlane.routes),
  );
  const tokens = createTokenStore(database, token, clock);
  const access = createAccess(tokens);
  const operations = operatorApi({
    ...shared,
    database,
    exchange,
    stopping: stopping.signal,
    publications,
    catalog,
    negotiations,
    negotiationStore,
    transfers,
    transferStore,
    renewal,
    inbox: receiving,
    usageControl,
    heads,
    partnerHeads,
    ledgerReader: createLedgerReader(database),
    dutyKeeping,
    tokens,
    shares: deltaSharing.profiles,
    profiler,
  });
  operators.open(
    problemApp(logger)
      .route(DELTA_SHARING_PATH, deltaSharing.routes)
      .route('/', mount(operations, { access, logger }))
      // Who is not let in does not learn what there is.
      .all('*', (c) => {
        access.admit(c, 'any');
        throw new FoedusError('not-found', `There is nothing at ${c.req.path}. The API's description is at /docs.`);
      }),
  );

  // What was open when the program ended
  started.defer(() => stopping.abort());
  negotiations.recover();
  transfers.recover();
  dutyKeeping.start();
  exchange.start({
    negotiation: { machine: negotiationMachine, store: negotiationStore, conversation: negotiations.conversation },
    transfer: { machine: transferMachine, store: transferStore, conversation: transfers.conversation },
  });
  logger.info({ participantId, protocol: publicUrl, management: operatorServer.url }, 'connector started');

  const running = started.move();
  return {
    participantId,
    protocolUrl: publicUrl,
    managementUrl: operatorServer.url,
    negotiations,
    [Symbol.asyncDispose]: async () => {
      await running.disposeAsync();
      logger.info({ participantId }, 'connector stopped');
    },
  };
}

/** An app whose own answers, where none of its routes gives one, are problems. */
function problemApp(logger: Logger): Hono {
  const app = new Hono({ strict: false });
  app.onError((error, c) => answerProblem(c, error, logger));
  app.notFound((c) => answerProblem(c, new FoedusError('not-found', `There is nothing at ${c.req.path}.`), logger));
  return app;
}

/** An app that answers 503 until there is one behind it. */
function gate(): { app: Hono; open: (inner: Hono) => void } {
  const app = new Hono({ strict: false });
  app.all('*', (c) =>
    c.json({ code: 'unavailable', message: 'This connector is starting. Try again in a moment.' }, 503),
  );
  return { app, open: (inner) => void (app.fetch = inner.fetch) };
}
