/** Several training clients, each with its own connection to the operator's API, charge one privacy budget. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOperatorClient } from '@foedus/connector/operator-client';
import {
  epsilonOf,
  privacyEventSchema,
  subsampledGaussian,
  type PrivacyEvent,
  type SessionPlan,
} from '@foedus/fl-core';
import * as fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Identity } from '@foedus/connector/identity';
import { headOperations } from '../../connector/src/ledger/head-routes.ts';
import { createLedgerHeads } from '../../connector/src/ledger/heads.ts';
import { createLedgerReader } from '../../connector/src/ledger/ledger-reader.ts';
import { createPartnerHeads } from '../../connector/src/ledger/partner-heads.ts';
import { usageOperations } from '../../connector/src/ledger/routes.ts';
import { createUsageControl } from '../../connector/src/ledger/usage-control.ts';
import { decisionView } from '../../connector/src/management/decision.ts';
import { mount } from '../../connector/src/management/operation.ts';
import { openDatabase } from '../../connector/src/store/database.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';
import { createCharging } from '../../fl-client/src/flow/charge.ts';
import { createKeptHeads } from '../../fl-client/src/flow/kept-heads.ts';
import { agreementOf, constraint, may } from '../src/agreements.ts';
import { issueIdentity } from '../src/identity.ts';

const FOEDUS = 'https://w3id.org/foedus/policy#';
const id = 'urn:agreement:1';
const delta = 1e-5;
const logger = pino({ level: 'silent' });

let folder: string;
let identity: Identity;
let run = 0;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-budget-'));
  identity = await issueIdentity(folder, 'did:web:bdl.example');
});
afterAll(() => rmSync(folder, { recursive: true }));

const agreementWith = (epsilon: number) =>
  agreementOf(
    [
      may(
        `${FOEDUS}train`,
        constraint(`${FOEDUS}privacyBudget`, 'lteq', { epsilon: String(epsilon), delta: String(delta) }),
      ),
    ],
    { id },
  );

/** A connector's usage API over a file; every call of it opens nothing but that file, as a process of its own does. */
function connector(path: string, epsilon: number) {
  const agreement = agreementWith(epsilon);
  const database = openDatabase(path, migrations);
  const shared = { database, agreements: { get: () => agreement }, clock: () => new Date() };
  const usage = createUsageControl(shared);
  const heads = createLedgerHeads({ ...shared, identity, logger });
  const app = mount(
    [
      ...usageOperations(usage, heads, (_id, decision) => decisionView(decision, agreement, new Set())),
      ...headOperations({
        heads,
        partnerHeads: createPartnerHeads({ ...shared, identity }),
        ledgerReader: createLedgerReader(database),
      }),
    ],
    { access: { admit: () => 'use' }, logger },
  );
  const client = createOperatorClient({
    url: 'http://localhost',
    token: 'unused',
    exchange: async (url, init) => await app.request(url.pathname, init),
  });
  return { usage, client, database, verify: () => createLedgerReader(database).verify(id) };
}

const plan = (session: number, noiseMultiplier: number, samplingRate = 1): SessionPlan =>
  ({
    sessionId: `s${session}`,
    purpose: 'urn:research',
    label: { column: 'delay' },
    features: [],
    evaluation: { metrics: [] },
    local: { samplingRate, steps: 1 },
    privacy: { unit: 'record', noiseMultiplier, delta },
    secureAggregation: null,
  }) as unknown as SessionPlan;
const round = (session: number, number: number, noiseMultiplier: number, samplingRate?: number) => ({
  agreementId: id,
  plan: plan(session, noiseMultiplier, samplingRate),
  planHash: 'a'.repeat(64),
  modelHash: 'b'.repeat(64),
  round: number,
  cohort: 3,
});

/** The mechanisms that the ledger has as paid for. */
function mechanisms({ usage }: ReturnType<typeof connector>): PrivacyEvent[] {
  return usage
    .account(id)
    .entries.filter(({ state }) => state !== 'refunded')
    .map(({ basis }) => privacyEventSchema.parse(basis));
}

describe('one privacy budget', () => {
  test('is not had again from a backup of the ledger, also where no partner presents what it holds', async () => {
    const path = join(folder, `${run++}.db`);
    const kept = createKeptHeads(join(folder, `heads-${run}`));
    const before = connector(path, 10);
    await createCharging(before.client, kept).charge(round(1, 1, 9));
    before.database.sql.prepare('VACUUM INTO ?').run(`${path}.backup`);
    await createCharging(before.client, kept).charge(round(1, 2, 9));
    before.database.close();
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    copyFileSync(`${path}.backup`, path);

    const after = connector(path, 10);
    for (const asked of [round(1, 2, 9), round(1, 3, 9)]) {
      await expect(createCharging(after.client, kept).charge(asked)).rejects.toMatchObject({ code: 'conflict' });
    }
    await after.client.reconcileLedger(id, { reason: 'The disk was replaced.' });
    const { head } = await createCharging(after.client, kept).charge(round(1, 3, 9));
    const event = subsampledGaussian({ noiseMultiplier: 9, samplingRate: 1, steps: 1 });
    expect(head.spent.epsilon).toBeGreaterThanOrEqual(epsilonOf([event, event, event], delta).epsilon);
    after.database.close();
  });

  test('pays for one update of a round, whoever else of the organisation has made another', async () => {
    const path = join(folder, `${run++}.db`);
    const nodes = [connector(path, 10), connector(path, 10)] as const;
    const clients = nodes.map(({ client }) => createCharging(client));
    const asked = { ...round(1, 1, 9), released: 'c'.repeat(64) };
    const outcomes = await Promise.allSettled(
      clients.map((charging, i) => charging.charge({ ...asked, released: String(i).repeat(64) })),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as { code: string }).code)).toEqual(['already-released']);
    // The same bytes go out again, from either of them.
    const paid = outcomes.findIndex(({ status }) => status === 'fulfilled');
    for (const charging of clients) await charging.charge({ ...asked, released: String(paid).repeat(64) });
    await expect(clients[0]!.charge(asked)).rejects.toMatchObject({ code: 'already-released' });
    expect(nodes[0].usage.account(id).entries).toHaveLength(1);
    for (const { database } of nodes) database.close();
  });

  test('is never overspent by twenty sessions at once, and every one of them gets what fits', async () => {
    // Room for 29 rounds of the 20 × 3 that are asked for.
    const event = subsampledGaussian({ noiseMultiplier: 9, samplingRate: 1, steps: 1 });
    const limit = epsilonOf(Array<PrivacyEvent>(29).fill(event), delta).epsilon + 1e-6;
    const path = join(folder, `${run++}.db`);
    const nodes = [connector(path, limit), connector(path, limit)];
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, session) => {
        const charging = createCharging(nodes[session % nodes.length]!.client);
        const charged: string[] = [];
        for (const number of [1, 2, 3]) {
          await charging.charge(round(session, number, 9)).then(
            () => charged.push('charged'),
            (error: { code: string }) => charged.push(error.code),
          );
        }
        return charged;
      }),
    );
    const [node] = nodes as [ReturnType<typeof connector>];
    expect(outcomes.flat().filter((outcome) => outcome === 'charged')).toHaveLength(29);
    expect(outcomes.flat().filter((outcome) => outcome === 'budget-exhausted')).toHaveLength(31);
    const { spent } = node.usage.account(id);
    expect(spent.rounds).toBe(29);
    expect(spent.epsilon).toBeLessThanOrEqual(limit);
    expect(spent.epsilon).toBeCloseTo(epsilonOf(mechanisms(node), delta).epsilon, 9);
    expect(node.verify().broken).toBeUndefined();
    for (const { database } of nodes) database.close();
  }, 60_000);

  test('holds what all rounds together lose, in whatever order clients read, compute and charge', async () => {
    const LIMIT = 2.5;
    const session = fc.array(fc.record({ noise: fc.constantFrom(3, 5, 11), rate: fc.constant(1) }), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(session, { minLength: 2, maxLength: 4 }),
        fc.array(fc.nat(8), { maxLength: 2 }),
        async (scheduler, sessions, refunds) => {
          const node = connector(':memory:', LIMIT);
          const { client } = node;
          const interleaved = {
            account: scheduler.scheduleFunction(client.account),
            decide: scheduler.scheduleFunction(client.decide),
            reserve: scheduler.scheduleFunction(client.reserve),
            commit: scheduler.scheduleFunction(client.commit),
            presentHead: scheduler.scheduleFunction(client.presentHead),
          };
          // Somebody who reserves and gives back in between: the rest must not become cheaper by it.
          const withdraw = scheduler.scheduleFunction(async (index: number) => {
            const open = node.usage.account(id).entries.filter(({ state }) => state === 'reserved');
            const entry = open[index % Math.max(1, open.length)];
            if (entry !== undefined) await client.refund(entry.id);
          });
          const work = sessions.map(async (rounds, index) => {
            const charging = createCharging(interleaved);
            for (const [number, { noise, rate }] of rounds.entries()) {
              await charging.charge(round(index, number + 1, noise, rate)).catch((error: { code: string }) => {
                expect(['budget-exhausted', 'conflict']).toContain(error.code);
              });
              const composed = epsilonOf(mechanisms(node), delta).epsilon;
              expect(composed).toBeLessThanOrEqual(LIMIT + 1e-9);
            }
          });
          const given = refunds.map(async (index) => await withdraw(index));
          await scheduler.waitFor(Promise.all([...work, ...given]));
          const { spent, entries } = node.usage.account(id);
          const composed = epsilonOf(mechanisms(node), delta).epsilon;
          expect(composed).toBeLessThanOrEqual(LIMIT + 1e-9);
          expect(spent.epsilon).toBeLessThanOrEqual(LIMIT + 1e-9);
          if (!entries.some(({ state }) => state === 'refunded')) expect(spent.epsilon).toBeCloseTo(composed, 9);
          else {
            // The next round pays what is missing in the account after a refund.
            const paid = await createCharging(client)
              .charge(round(99, 1, 11))
              .then(
                () => true,
                () => false,
              );
            const all = epsilonOf(mechanisms(node), delta).epsilon;
            if (paid) expect(node.usage.account(id).spent.epsilon).toBeGreaterThanOrEqual(all - 1e-9);
          }
          expect(node.verify().broken).toBeUndefined();
          node.database.close();
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);
});
