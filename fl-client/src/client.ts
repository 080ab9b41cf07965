/** The training client's composition root. */
import { join } from 'node:path';
import { ensureToken } from '@foedus/connector/config';
import { createPeerClient, loadIdentity, serveOperators } from '@foedus/connector/identity';
import { createOperatorClient } from '@foedus/connector/operator-client';
import { Hono } from 'hono';
import type { Logger } from 'pino';
import type { ClientConfig } from './config.ts';
import { createCharging } from './flow/charge.ts';
import { startTrainingFlow } from './flow/data-flow.ts';
import { followSession } from './flow/follow-session.ts';
import { createKeptHeads } from './flow/kept-heads.ts';
import { createTrainerPool } from './flow/trainer-pool.ts';
import type { StartTrainer } from './flow/trainer.ts';
import { startTrainer as startTrainerThread } from './training/index.ts';

/** A training client that watches its connector. Disposing it stops it; what was under way goes on at the next start. */
export interface Client extends AsyncDisposable {
  /** Answers 200 as long as the program runs, for instance `http://localhost:7103/health`. */
  readonly healthUrl: string;
}

/**
 * Starts a training client: registers it as a data flow of its own connector and trains whatever is STARTED there.
 * Neither the connector nor a coordinator has to be up.
 *
 * @param options `startTrainer` trains in a worker thread with the configured engine unless another one is given
 * @throws FoedusError `bad-config`, `bad-identity`, `unavailable` (the health port is taken)
 */
export async function startClient(
  config: ClientConfig,
  options: { readonly logger: Logger; readonly now?: () => Date; readonly startTrainer?: StartTrainer },
): Promise<Client> {
  const {
    logger,
    now = () => new Date(),
    startTrainer = ({ plan, parquetPath }) => startTrainerThread({ engine: config.engine, plan, parquetPath }),
  } = options;
  await using started = new AsyncDisposableStack();
  const identity = await loadIdentity(config.participantId, config.identity);
  const connector = createOperatorClient({
    url: config.connector.url,
    token: await ensureToken(config.connector.tokenFile),
  });
  const peers = started.use(createPeerClient(identity));
  const charging = createCharging(connector, createKeptHeads(join(config.dataDir, 'ledger-heads')));
  const trainers = createTrainerPool(config.maxTrainers);
  const flow = started.use(
    startTrainingFlow({
      connector,
      logger,
      mostSessions: config.maxSessions,
      follow: (transfer, signal) =>
        followSession({
          transfer,
          identity,
          peers,
          connector,
          charging,
          startTrainer,
          trainers,
          dataDir: config.dataDir,
          maxParameters: config.maxParameters,
          now,
          logger,
          signal,
        }),
    }),
  );
  const app = new Hono();
  app.get('/health', (c) => c.json({ status: 'ok', following: flow.following }));
  app.get('/ready', (c) => c.json({ ready: flow.connected }, flow.connected ? 200 : 503));
  const server = started.use(await serveOperators({ ...config.health, app }));

  const parts = started.move();
  return { healthUrl: `${server.url}/health`, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
