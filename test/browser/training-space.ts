/**
 * A data space in one process: three airports' connectors with round clients, and a coordinator with its connector. What
 * it needs of the demo is imported file by file: all of the demo would load the training engines too.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { startConnector } from '@foedus/connector';
import { connectorConfigSchema, loadConfig } from '@foedus/connector/config';
import { createNarrator } from '../../demo/src/narrator.ts';
import { airports, coordinator, home, members, openSpace } from '../../demo/src/space/layout.ts';
import { negotiate } from '../../demo/src/story/negotiate.ts';
import { publishOffers } from '../../demo/src/story/offers.ts';
import { coordinatorOf, operatorOf } from '../../demo/src/story/operators.ts';
import { planDraft } from '../../demo/src/story/plan.ts';
import { epsilonAfter } from '../../demo/src/story/training.ts';
import { coordinatorConfigSchema, startCoordinator, type SessionView } from '@foedus/fl-coordinator';
import type { SessionPlanDraft } from '@foedus/fl-core';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { createGate, type Gate } from './gate.ts';
import { runRoundClient } from './round-client.ts';

export const plannedRounds = 6;
/** The airport whose budget is for the planned rounds and not one more. */
export const strict = 'abq';

const noise = { bins: 4, noiseMultiplier: 20 };

/** The demo's plan, short, and without masks: what learns here is the test's own and has no part in them. */
export const plan: SessionPlanDraft = {
  ...planDraft('5e'.repeat(32), true),
  rounds: plannedRounds,
  evaluation: { ...planDraft('5e'.repeat(32), true).evaluation, every: 1, noise },
  secureAggregation: null,
};

/** ε that so many rounds cost, to the next cent: what an airport's agreement allows. */
export const needed = (rounds: number): number => Math.ceil(epsilonAfter(plan, rounds) * 100) / 100;

export interface TrainingSpace extends AsyncDisposable {
  readonly operatorUrl: string;
  readonly token: string;
  /** Decides how many rounds the clients train. */
  readonly gate: Gate;
  /** Plans a session under new agreements. */
  planSession(title: string): Promise<SessionView>;
  stopCoordinator(): Promise<void>;
  startCoordinator(): Promise<void>;
}

const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
const narrator = createNarrator(silent as unknown as NodeJS.WriteStream);

/** The histogram that airport `index` would report: better with the rounds, and not the same for all. */
const metricsOf = (index: number) => (round: number) => {
  const auc = 0.75 - 0.03 * index * ((index + 1) / 2) - 0.2 * Math.exp(-round / 2);
  const [more, less] = [Math.round(1e4 * auc), 1e4 - Math.round(1e4 * auc)];
  // Scores of two bins alone, with as many mistakes on both sides, have just this AUC.
  return { negatives: [0, more, less, 0], positives: [0, less, more, 0] };
};

async function writeFlights(path: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(
    `COPY (SELECT TIMESTAMP '2001-01-01' + INTERVAL (i) HOUR AS date, (i % 40)::SMALLINT AS delay,
                  (100 + i % 900)::SMALLINT AS distance, 'AP' || (i % 7) AS destination
           FROM range(200) t(i)) TO '${path.replaceAll("'", "''")}' (FORMAT parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
}

/** Lays the space out below `folder` and starts it. */
export async function openTrainingSpace(folder: string): Promise<TrainingSpace> {
  const logger = pino({ level: process.env['FOEDUS_TEST_LOG'] ?? 'silent' });
  const space = await openSpace(join(folder, 'space'));
  await using parts = new AsyncDisposableStack();
  for (const { name } of airports) await writeFlights(home(space, name).flights);
  for (const { name } of members) {
    const config = await loadConfig(connectorConfigSchema, join(home(space, name).folder, 'connector.json'), {});
    parts.use(await startConnector(config, { logger }));
  }
  const own = home(space, coordinator.name);
  const start = async (): Promise<AsyncDisposable> =>
    startCoordinator(await loadConfig(coordinatorConfigSchema, join(own.folder, 'coordinator.json'), {}), { logger });
  let running: AsyncDisposable | null = await start();
  parts.defer(() => running?.[Symbol.asyncDispose]());

  const limits = airports.map(({ name }) => [name, needed(name === strict ? plannedRounds : plannedRounds * 2)]);
  await publishOffers(space, { epsilonLimits: Object.fromEntries(limits) as Record<string, number> });
  for (const { name } of airports) {
    const operator = operatorOf(home(space, name));
    const { policy } = await operator.policy('train-with-budget');
    await operator.putPolicy({ id: 'train-with-budget', policy: withoutMasks(policy) });
  }

  const gate = createGate();
  const stopping = new AbortController();
  const clients = airports.map(({ name }, index) =>
    runRoundClient({
      home: home(space, name),
      coordinator: coordinator.participantId,
      gate,
      metrics: metricsOf(index),
      signal: stopping.signal,
    }),
  );
  // A client's failure is told when the space is closed; the test has seen its effect before.
  const ended = Promise.allSettled(clients);
  parts.defer(async () => {
    stopping.abort();
    gate.openUpTo(Number.POSITIVE_INFINITY);
    for (const result of await ended) {
      if (result.status === 'rejected' && (result.reason as Error).name !== 'AbortError') throw result.reason;
    }
  });

  const operator = operatorOf(own);
  const all = parts.move();
  return {
    operatorUrl: own.addresses.operatorUrl,
    token: own.operatorToken,
    gate,
    async planSession(title) {
      const participants = [];
      for (const { name, participantId } of airports) {
        const agreement = await negotiate(
          operator,
          {
            counterPartyAddress: home(space, name).addresses.protocolUrl,
            datasetId: `did:web:${name}.example#departures`,
            contractDefinitionId: 'train-with-budget',
          },
          narrator,
        );
        participants.push({ participantId, agreementId: agreement.id });
      }
      return await coordinatorOf(space).createSession({ ...plan, title }, participants);
    },
    async stopCoordinator() {
      await running?.[Symbol.asyncDispose]();
      running = null;
    },
    async startCoordinator() {
      running = await start();
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The demo's offer without its condition that updates are summed under masks. */
function withoutMasks(policy: Record<string, unknown>): Record<string, unknown> {
  const permissions = policy['permission'] as { readonly constraint: readonly { readonly leftOperand: string }[] }[];
  return {
    ...policy,
    permission: permissions.map((rule) => ({
      ...rule,
      constraint: rule.constraint.filter(({ leftOperand }) => !leftOperand.endsWith('#secureAggregation')),
    })),
  };
}
