/** The training clients in a process of their own, with a trainer that takes no time; and floors to hold them against. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureToken } from '@foedus/connector/config';
import { createPeerClient, loadIdentity, type IdentityFiles } from '@foedus/connector/identity';
import { createOperatorClient } from '@foedus/connector/operator-client';
import { openDatabase } from '@foedus/connector/store';
import { clientConfigSchema, startClient, type StartTrainer } from '@foedus/fl-client';
import { parameterCount, type SessionPlan } from '@foedus/fl-core';
import { pino } from 'pino';
import { createCharging } from '../../fl-client/src/flow/charge.ts';
import { answerQuestions } from './part.ts';

const stack = new AsyncDisposableStack();

const startTrainer: StartTrainer = async ({ plan }) => {
  const update = Float32Array.from({ length: parameterCount(plan) }, (_, i) => 0.01 * Math.sin(i));
  return {
    trainRound: async () => ({ update: update.slice(), seconds: 0 }),
    evaluate: async () => ({ auc: null, logLoss: null }),
    histogram: async (_, bins) => ({ negatives: Array<number>(bins).fill(0), positives: Array<number>(bins).fill(0) }),
    [Symbol.asyncDispose]: async () => {},
  };
};

export interface Member {
  readonly participantId: string;
  readonly files: IdentityFiles;
  /** Of its connector's operator API. */
  readonly connector: { readonly url: string; readonly tokenFile: string };
  readonly agreementId: string;
}

answerQuestions(
  {
    async start({ configs }: { configs: readonly object[] }) {
      const logger = pino({ level: 'silent' });
      for (const config of configs) {
        stack.use(await startClient(clientConfigSchema.parse(config), { logger, startTrainer }));
      }
    },

    /** All at once: the quote of each round, and its charge. @returns ms of each round for all members together */
    async charge({ members, plan, rounds }: { members: readonly Member[]; plan: SessionPlan; rounds: number }) {
      const hash = 'ab'.repeat(32);
      const charges = await Promise.all(
        members.map(async ({ connector: { url, tokenFile }, agreementId }) => {
          const charging = createCharging(createOperatorClient({ url, token: await ensureToken(tokenFile) }));
          return async (round: number) => {
            const use = { agreementId, plan, planHash: hash, modelHash: hash, round, cohort: members.length };
            await charging.quote(use);
            await charging.charge(use);
          };
        }),
      );
      const times: number[] = [];
      for (let round = 1; round <= rounds; round++) {
        const start = performance.now();
        await Promise.all(charges.map((charge) => charge(round)));
        times.push(performance.now() - start);
      }
      return times;
    },

    /**
     * What no round can do without: each member gets the model over mutual TLS, commits one row durably, and sends as
     * many bytes back, all members at once in each step.
     */
    async floor({ members, url, rounds }: { members: readonly Member[]; url: string; rounds: number }) {
      const folder = await mkdtemp(join(tmpdir(), 'foedus-floor-'));
      await using open = new AsyncDisposableStack();
      open.defer(() => rm(folder, { recursive: true, force: true }));
      const sql = 'CREATE TABLE record (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT';
      const body = 'x'.repeat(2_000);
      const peers = await Promise.all(
        members.map(async ({ participantId, files }, i) => {
          const db = open.use(openDatabase(join(folder, `${i}.sqlite`), [{ version: 1, name: 'one table', sql }]));
          const insert = db.sql.prepare('INSERT INTO record (body) VALUES (?)');
          const peer = open.use(createPeerClient(await loadIdentity(participantId, files)));
          return { peer, commit: () => db.transaction(() => insert.run(body)), held: new Uint8Array(0) };
        }),
      );
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const start = performance.now();
        await Promise.all(
          peers.map(async (one) => {
            one.held = new Uint8Array(await (await one.peer.fetch(url)).arrayBuffer());
          }),
        );
        for (const { commit } of peers) commit();
        await Promise.all(
          peers.map(async ({ peer, held }) => {
            await (await peer.fetch(url, { method: 'PUT', body: held })).bytes();
          }),
        );
        times.push(performance.now() - start);
      }
      return times;
    },
  },
  () => stack.disposeAsync(),
);
