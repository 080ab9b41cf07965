import {
  airports,
  coordinator,
  coordinatorOf,
  createNarrator,
  epsilonAfter,
  home,
  negotiate,
  onFreePorts,
  openSpace,
  operatorOf,
  planDraft,
  prepareFlights,
  publishOffers,
  pull,
  receive,
  startFleet,
  startPull,
  type Fleet,
  type Space,
} from '@foedus/demo';
import { createPeerClient } from '@foedus/connector/identity';
import { DuckDBInstance } from '@duckdb/node-api';
import type { SessionView } from '@foedus/fl-coordinator';
import { epsilonOf, privacyEventSchema, type SessionPlanDraft } from '@foedus/fl-core';
import { instantiate } from '@foedus/usage-policies';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identityOf } from '../../demo/src/story/trade.ts';
import { countRows, filesBelow, indexRows } from './row-search.ts';
import { occurrences, readUpdates, windowsOf, type RecordedUpdate } from './update-search.ts';

const hasEnded = ({ state }: SessionView): boolean => ['completed', 'stopped', 'failed'].includes(state);
const recorder = new URL('record-traffic.mjs', import.meta.url).href;
const updateRecorder = new URL('record-updates.mjs', import.meta.url).href;

/** The demo's plan, cut to a length that a test can wait for. */
const shortPlan = (rounds: number, steps: number): SessionPlanDraft => {
  const plan = planDraft('5e'.repeat(32), true);
  return { ...plan, rounds, local: { ...plan.local, steps } };
};

describe('a data space of eight processes', () => {
  let folder: string;
  let space: Space;
  let fleet: Fleet;
  let narrator: ReturnType<typeof createNarrator>;
  const updates = (name: string): string => join(folder, `updates-${name.replaceAll(' ', '-')}.bin`);
  const traffic = (name: string): string => join(folder, `traffic-${name.replaceAll(' ', '-')}.bin`);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foedus-e2e-'));
    narrator = createNarrator(createWriteStream(join(folder, 'story.log')) as unknown as NodeJS.WriteStream);
    space = await openSpace(join(folder, 'space'), onFreePorts);
    await prepareFlights(space);
    fleet = await startFleet(
      space,
      () => {},
      (name): Record<string, string> => {
        if (name.startsWith(coordinator.name)) {
          return { NODE_OPTIONS: `--import ${recorder}`, FOEDUS_TEST_TRAFFIC: traffic(name) };
        }
        return name.endsWith('client')
          ? { NODE_OPTIONS: `--import ${updateRecorder}`, FOEDUS_TEST_UPDATES: updates(name) }
          : {};
      },
    );
  }, 120_000);

  afterAll(async () => {
    await fleet?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  /** Negotiates a `train` agreement with every airport, with these ε limits. */
  const agreeToTrain = async (epsilonLimits: Record<string, number>) => {
    await publishOffers(space, { epsilonLimits });
    return await agreeWithAll('train-with-budget');
  };
  const agreeWithAll = async (contractDefinitionId: string) => {
    const operator = operatorOf(home(space, coordinator.name));
    return await Promise.all(
      airports.map(async ({ name, participantId }) => {
        const agreement = await negotiate(
          operator,
          {
            counterPartyAddress: home(space, name).addresses.protocolUrl,
            datasetId: (await operatorOf(home(space, name)).assets())[0]!.id,
            contractDefinitionId,
          },
          narrator,
        );
        return { name, participantId, agreementId: agreement.id };
      }),
    );
  };
  const startSession = async (plan: SessionPlanDraft, under: Awaited<ReturnType<typeof agreeToTrain>>) => {
    const client = coordinatorOf(space);
    const { id } = await client.createSession(
      plan,
      under.map(({ participantId, agreementId }) => ({ participantId, agreementId })),
    );
    await client.act(id, 'start');
    return { client, id };
  };

  test(
    'a session stops exactly at the last round that a budget of 80% of its need pays for',
    { timeout: 120_000 },
    async () => {
      const plan = shortPlan(10, 10);
      const need = epsilonAfter(plan, plan.rounds);
      const limit = 0.8 * need;
      const affordable = Array.from({ length: plan.rounds }, (_, index) => index + 1).filter(
        (rounds) => epsilonAfter(plan, rounds) <= limit,
      ).length;
      expect(affordable).toBeGreaterThan(0);
      expect(affordable).toBeLessThan(plan.rounds);

      const agreements = await agreeToTrain({ bdl: limit, abq: 2 * need, sat: 2 * need });
      // What cannot be held is not even planned; what can be is, and then more is asked for.
      await expect(startSession(plan, agreements)).rejects.toThrow(/bdl.*the agreement allows/);
      const { client, id } = await startSession({ ...plan, rounds: affordable }, agreements);
      const planned = await client.follow(id, hasEnded);
      expect(planned).toMatchObject({ state: 'completed', roundsDone: affordable });
      const asked = await client.askForRounds(id, 2);
      const end = await client.follow(id, (view) => hasEnded(view) && view.updatedAt !== asked.updatedAt);

      expect(end.roundsDone).toBe(affordable);
      expect(end.reason).toMatch(/budget/);
      const account = await operatorOf(home(space, 'bdl')).account(agreements[0]!.agreementId);
      expect(account.spent.rounds).toBe(affordable);
      expect(account.spent.epsilon).toBeCloseTo(epsilonAfter(plan, affordable), 9);
      expect(account.spent.epsilon).toBeLessThanOrEqual(limit);
    },
  );

  test(
    'coordinator, client and connector are killed during a session: as many rounds, nothing charged twice',
    { timeout: 180_000 },
    async () => {
      const plan = shortPlan(8, 30);
      const need = epsilonAfter(plan, plan.rounds);
      const agreements = await agreeToTrain({ bdl: 2 * need, abq: 2 * need, sat: 2 * need });
      const { client, id } = await startSession(plan, agreements);

      const during = async (round: number): Promise<void> => {
        await client.follow(id, (view) => view.roundsDone >= round || hasEnded(view));
      };
      await during(1);
      await fleet.crash('coordinator');
      await during(3);
      await fleet.crash('bdl client');
      await during(5);
      await fleet.crash('abq connector');
      const end = await client.follow(id, hasEnded);

      expect(end.state, end.reason ?? '').toBe('completed');
      expect(end.roundsDone).toBe(plan.rounds);
      const done = end.rounds.filter(({ phase }) => phase === 'done').map(({ round }) => `train/${id}/${round}`);
      const all = end.rounds.map(({ round }) => `train/${id}/${round}`);
      for (const { name, agreementId } of agreements) {
        const account = await operatorOf(home(space, name)).account(agreementId);
        const charged = account.entries.map((entry) => entry.key);
        expect(new Set(charged).size, name).toBe(charged.length);
        const keys = charged.filter((key) => key.startsWith('train/'));
        // Every round with output is charged; one that was abandoned is where something may have left.
        expect(keys, name).toEqual(expect.arrayContaining(done));
        expect(all, name).toEqual(expect.arrayContaining(keys));
        expect(new Set(account.entries.map((entry) => entry.state)), name).toEqual(new Set(['committed']));
        const paid = account.entries.map(({ basis }) => privacyEventSchema.parse(basis));
        expect(account.spent.epsilon).toBeCloseTo(epsilonOf(paid, plan.privacy!.delta).epsilon, 9);
        expect(paid.filter(({ mechanism }) => mechanism === 'discrete-gaussian').length, name).toBeLessThanOrEqual(3);
      }
    },
  );

  test(
    "nobody's update, as floats or as masked-to-be integers, is in the coordinator's traffic or files",
    { timeout: 120_000 },
    async () => {
      // Without secure aggregation first: what is searched for is found where it is.
      const bare = await agreeInTheClear();
      const clear = await startSession({ ...shortPlan(1, 5), secureAggregation: null }, bare);
      const inTheClear = await clear.client.follow(clear.id, hasEnded);
      expect(inTheClear.state, inTheClear.reason ?? '').toBe('completed');
      const plan = shortPlan(3, 5);
      const need = 2 * epsilonAfter(plan, plan.rounds);
      const { client, id } = await startSession(plan, await agreeToTrain({ bdl: need, abq: need, sat: need }));
      const end = await client.follow(id, hasEnded);
      expect(end.state, end.reason ?? '').toBe('completed');

      const seen = await readFile(traffic('coordinator'));
      const recorded: RecordedUpdate[] = [];
      for (const { name } of airports) recorded.push(...readUpdates(await readFile(updates(`${name} client`))));
      const clearUpdates = recorded.filter(({ kind }) => kind === 'clear');
      const maskedInputs = recorded.filter(({ kind }) => kind === 'masked');
      const secrets = recorded.filter(({ kind }) => kind === 'update' || kind === 'words');
      expect(clearUpdates).toHaveLength(airports.length);
      for (const update of clearUpdates) expect(occurrences(seen, update)).toBe(windowsOf(update).length);
      const sent = maskedInputs.filter((input) => occurrences(seen, input) === windowsOf(input).length);
      expect(sent.length).toBeGreaterThanOrEqual(airports.length * plan.rounds);

      expect(secrets.length).toBeGreaterThanOrEqual(2 * airports.length * plan.rounds);
      for (const secret of secrets) expect(occurrences(seen, secret), `${secret.kind} in the traffic`).toBe(0);
      for await (const { path, content } of filesBelow(home(space, coordinator.name).folder)) {
        for (const secret of [...secrets, ...clearUpdates])
          expect(occurrences(content, secret), `${secret.kind} in ${path}`).toBe(0);
      }
    },
  );

  /** Agreements under which updates may be sent without masks. */
  const agreeInTheClear = async () => {
    const policy = JSON.parse(
      await readFile(
        fileURLToPath(import.meta.resolve('@foedus/usage-policies/library/train-with-privacy-budget.json')),
        'utf8',
      ),
    ) as unknown;
    const { purpose } = shortPlan(1, 1);
    for (const { name } of airports) {
      const operator = operatorOf(home(space, name));
      const terms = {
        purposes: [purpose],
        columns: ['date', 'delay', 'distance', 'destination'],
        until: '2099-01-01T00:00:00Z',
        rounds: 1,
        minimumCohort: 3,
        metrics: ['auc', 'logLoss'],
        epsilon: 50,
        delta: 1e-5,
      };
      await operator.putPolicy({ id: 'train-in-the-clear', policy: instantiate(policy, terms) });
      const [asset] = await operator.assets();
      await operator.putContractDefinition({
        id: 'train-in-the-clear',
        assets: [asset!.id],
        policy: 'train-in-the-clear',
      });
    }
    return await agreeWithAll('train-in-the-clear');
  };

  test(
    "an organisation's folder holds its own rows and those received under contract, the coordinator's none, nor its traffic",
    { timeout: 120_000 },
    async () => {
      const [seller, buyer] = [home(space, 'bdl'), home(space, 'abq')];
      await publishOffers(space);
      const agreement = await negotiate(
        operatorOf(buyer),
        {
          counterPartyAddress: seller.addresses.protocolUrl,
          datasetId: (await operatorOf(seller).assets())[0]!.id,
          contractDefinitionId: 'rows-of-march',
        },
        narrator,
      );
      await using peer = createPeerClient(await identityOf(buyer));
      const transfer = await startPull(operatorOf(buyer), agreement.id);
      const received = await receive(
        await pull(peer, transfer, { purpose: planDraft('00'.repeat(32), true).purpose }),
        buyer.received,
        () => {},
      );

      const files = airports.map(({ name }) => home(space, name).flights);
      const rows = await Promise.all(airports.map(({ name }, i) => indexRows(name, files[i]!, files)));
      const bdl = rows.find(({ owner }) => owner === 'bdl')!;
      // The search finds what is there: without this, finding nothing elsewhere would prove nothing.
      expect(countRows(await readFile(received.file), bdl)).toBeGreaterThanOrEqual(received.rows / 2);

      for (const { name, airport } of airports) {
        expect(await originsIn(home(space, name).flights), name).toEqual([airport]);
        for await (const { path, content } of filesBelow(home(space, name).folder)) {
          if (path === home(space, name).flights) continue;
          if (path === received.file) continue;
          for (const index of rows) expect(countRows(content, index), `${index.owner}'s rows in ${path}`).toBe(0);
        }
      }
      for await (const { path, content } of filesBelow(home(space, coordinator.name).folder))
        for (const index of rows) expect(countRows(content, index), `${index.owner}'s rows in ${path}`).toBe(0);
      for (const name of ['coordinator', 'coordinator connector']) {
        const content = await readFile(traffic(name));
        // Something that must be in it: what the recorder sees is the traffic, and in the clear.
        const must = name === 'coordinator' ? 'FDUP' : 'ContractAgreementMessage';
        expect(content.includes(must), `recorded traffic of ${name} holds ${must}`).toBe(true);
        for (const index of rows) expect(countRows(content, index), `${index.owner}'s rows sent to ${name}`).toBe(0);
      }
    },
  );
});

async function originsIn(parquet: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll('SELECT DISTINCT origin FROM read_parquet($1)', [parquet]);
  const origins = reader.getRows().map(([origin]) => origin);
  connection.closeSync();
  instance.closeSync();
  return origins;
}
