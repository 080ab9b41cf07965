/** The coordinator's composition root: everything it is made of, and in which order it starts and stops. */
import { ensureToken } from '@foedus/connector/config';
import { loadIdentity, serveOperators, servePeers } from '@foedus/connector/identity';
import { createOperatorClient } from '@foedus/connector/operator-client';
import { openDatabase } from '@foedus/connector/store';
import type { Logger } from 'pino';
import { join } from 'node:path';
import type { CoordinatorConfig } from './config.ts';
import { dashboardRoutes } from './dashboard/index.ts';
import { createEvents } from './events.ts';
import { createLogins } from './operator-api/login.ts';
import { operatorRoutes } from './operator-api/routes.ts';
import { createParticipation } from './protocol/participation.ts';
import { roundRoutes } from './protocol/routes.ts';
import { createStaging } from './protocol/staging.ts';
import { createChangeFeed } from './session/change-feed.ts';
import { createPresence } from './session/presence.ts';
import { createRounds } from './session/rounds.ts';
import { restingStates } from './session/session-machine.ts';
import { sessionView } from './session/session-view.ts';
import { createSecureRounds } from './session/secure-rounds.ts';
import { createSessions } from './session/sessions.ts';
import { createTradeOffs } from './session/trade-offs.ts';
import { createTransfers } from './session/transfers.ts';
import type { SessionView } from './session/view.ts';
import { createLedgerHeads } from './store/ledger-heads.ts';
import { migrations } from './store/migrations.ts';
import { createModelRegistry } from './store/model-registry.ts';
import { createSessionStore } from './store/session-store.ts';

/** A trade-off of noise and rounds takes some seconds of computing at most, on a machine that is busy many times as long. */
const MOST_PLANNING_SECONDS = 120;

/** A coordinator that takes requests. Disposing it stops it; what was under way goes on at the next start. */
export interface Coordinator extends AsyncDisposable {
  /** Root of the rounds' API for clients, for instance `https://localhost:7203`. */
  readonly roundsUrl: string;
  /** Root of the operator's API and the dashboard, for instance `http://localhost:7204`. */
  readonly operatorUrl: string;
}

/**
 * Starts a coordinator: opens its store, goes on with the sessions in it, and listens.
 *
 * @throws FoedusError `bad-config`, `bad-identity`, `store-too-new`, `unavailable` (a port is taken)
 */
export async function startCoordinator(
  config: CoordinatorConfig,
  { logger, now = () => new Date() }: { readonly logger: Logger; readonly now?: () => Date },
): Promise<Coordinator> {
  await using started = new AsyncDisposableStack();
  const stopping = new AbortController();
  const identity = await loadIdentity(config.participantId, config.identity);
  const operatorToken = await ensureToken(config.operator.tokenFile);
  const connector = createOperatorClient({
    url: config.connector.url,
    token: await ensureToken(config.connector.tokenFile),
  });

  const db = started.use(openDatabase(join(config.dataDir, 'coordinator.sqlite'), migrations));
  const store = createSessionStore(db, now);
  const models = createModelRegistry(db);
  const changes = createChangeFeed();
  const events = createEvents(logger);

  const presence = started.use(
    createPresence({
      awayAfterMs: config.rounds.awayAfterSeconds * 1000,
      now,
      onAway(sessionId, participantId, lastSeenAt) {
        const session = store.session(sessionId);
        const status = store.participant(sessionId, participantId)?.status;
        if (session === undefined || restingStates.has(session.state)) return;
        if (status !== 'enrolled' && status !== 'refused') return;
        const note = `Not heard of since ${lastSeenAt.toISOString()}.`;
        const lastSeen = lastSeenAt.toISOString();
        store.updateParticipant(sessionId, participantId, { status: 'away', note, lastSeenAt: lastSeen });
        events.participantChanged(sessionId, participantId, 'away', note);
        rounds.settle(sessionId);
      },
    }),
  );
  const secureRounds = createSecureRounds({
    store,
    models,
    verify: (signature, document, participant) => identity.verify(signature, document, participant),
    now,
  });
  const rounds = started.use(
    createRounds({
      store,
      models,
      secureRounds,
      changes,
      events,
      now,
      onRest: (sessionId) => transfers.reconcile(sessionId),
    }),
  );

  const transfers = started.use(
    createTransfers({
      store,
      connector,
      publicUrl: () => (config.rounds.port === 0 ? roundsServer.url : config.rounds.publicUrl),
      logger,
      onDeparture: (...departure) => rounds.depart(...departure),
      onChange: (sessionId) => changes.publish(sessionId),
    }),
  );
  const participation = createParticipation({
    store,
    models,
    identity,
    rounds,
    secureRounds,
    transfers,
    heads: createLedgerHeads(db),
    presence,
    changes,
    events,
    now,
  });
  const sessions = createSessions({
    store,
    models,
    connector,
    rounds,
    transfers,
    tradeOffs: started.use(createTradeOffs({ mostSeconds: MOST_PLANNING_SECONDS })),
    coordinator: identity.participantId,
    maxParameters: config.rounds.maxParameters,
    now,
    onChange: (sessionId) => changes.publish(sessionId),
  });
  const view = (sessionId: string): SessionView | undefined => {
    const session = store.session(sessionId);
    return session && sessionView(session, { store, models, secureRounds, presence, now: now() });
  };

  const roundsApp = roundRoutes({
    participation,
    rounds,
    presence,
    staging: createStaging(config.rounds.stagingBuffers),
    uploadIdleMs: config.rounds.uploadIdleSeconds * 1000,
    logger,
    stopping: stopping.signal,
  });
  const operatorApp = operatorRoutes({
    sessions,
    models,
    views: () => store.sessions().flatMap(({ id }) => view(id) ?? []),
    view,
    changes,
    logins: createLogins(db, operatorToken, now),
    allowRemote: config.operator.allowRemote,
    dashboard: dashboardRoutes(),
    ready: () => connectorAnswers(config.connector.url),
    logger,
    stopping: stopping.signal,
  });
  const roundsServer = started.use(
    await servePeers({ identity, host: config.rounds.host, port: config.rounds.port, app: roundsApp }),
  );
  const operatorServer = started.use(
    await serveOperators({
      host: config.operator.host,
      port: config.operator.port,
      allowRemote: config.operator.allowRemote,
      app: operatorApp,
    }),
  );

  // Disposed first: long polls and event streams end, so that the servers can.
  started.defer(() => stopping.abort());
  for (const session of store.sessions()) {
    if (restingStates.has(session.state)) continue;
    for (const { participantId } of store.participants(session.id)) presence.expect(session.id, participantId);
  }
  sessions.recover();

  const parts = started.move();
  logger.info({ roundsUrl: roundsServer.url, operatorUrl: operatorServer.url }, 'The coordinator takes requests');
  return {
    roundsUrl: roundsServer.url,
    operatorUrl: operatorServer.url,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Without its own connector a coordinator can neither start sessions nor let anybody enrol. */
async function connectorAnswers(url: string): Promise<{ readonly isReady: boolean; readonly reason: string | null }> {
  try {
    const response = await fetch(new URL('/health', url), { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    if (response.ok) return { isReady: true, reason: null };
  } catch {
    // The reason below says what there is to know.
  }
  return { isReady: false, reason: `The own connector at ${url} does not answer. Is it running?` };
}
