import type { StartTrainer } from '@foedus/fl-client';
import type { SessionView } from '@foedus/fl-coordinator';
import { epsilonOf, histogramEvent, metricsOfHistogram, privacyEventSchema } from '@foedus/fl-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createFederation,
  parameters,
  transferOf,
  type Federation,
  type Partner,
  type RunningCoordinator,
} from './federation.ts';
import { histogram } from './secure-member.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

/** A trainer whose rounds the test can count, hold and watch. */
function trainers(
  options: {
    readonly hold?: (round: number) => Promise<void> | undefined;
    readonly holdCounts?: () => Promise<void>;
  } = {},
) {
  const rounds: number[] = [];
  const aborted: number[] = [];
  let live = 0;
  let mostLive = 0;
  let measured = 0;
  const start: StartTrainer = async () => {
    live += 1;
    mostLive = Math.max(mostLive, live);
    return {
      async trainRound(model, round, { signal }) {
        expect(model).toHaveLength(parameters);
        rounds.push(round);
        const { promise, reject } = Promise.withResolvers<never>();
        promise.catch(() => aborted.push(round));
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        await Promise.race([options.hold?.(round), promise]);
        return { update: new Float32Array(parameters).fill(rounds.length / 100), seconds: 0.01 };
      },
      evaluate: async () => ({ auc: 0.75, logLoss: 0.5 }),
      async histogram() {
        measured += 1;
        await options.holdCounts?.();
        return histogram;
      },
      [Symbol.asyncDispose]: async () => {
        live -= 1;
      },
    };
  };
  return { start, rounds, aborted, live: () => live, mostLive: () => mostLive, measured: () => measured };
}

interface Run extends AsyncDisposable {
  coordinator: RunningCoordinator;
}

/** A coordinator and the clients of all partners, as long as a test lasts. */
async function running(
  partners: readonly Partner[],
  starts: readonly StartTrainer[],
  settings: Record<string, unknown> = {},
): Promise<Run> {
  await using stack = new AsyncDisposableStack();
  const run = { coordinator: await federation.coordinator() };
  stack.defer(() => run.coordinator[Symbol.asyncDispose]());
  for (const [i, partner] of partners.entries()) stack.use(await federation.client(partner, starts[i]!, settings));
  const all = stack.move();
  return Object.assign(run, { [Symbol.asyncDispose]: () => all.disposeAsync() });
}

const entriesOf = async ({ operator, agreementId }: Pick<Partner, 'operator' | 'agreementId'>) =>
  (await operator.account(agreementId)).entries;
const roundsOf = async (partner: Pick<Partner, 'operator' | 'agreementId'>) =>
  (await entriesOf(partner)).filter(({ key }) => key.startsWith('train/'));

describe('a session with real clients', () => {
  test('trains because a transfer was started, charges each round once, and ends with the transfer', async () => {
    const partners = await federation.agree({});
    const all = partners.map(() => trainers());
    await using run = await running(
      partners,
      all.map(({ start }) => start),
    );
    const { id } = await run.coordinator.plan({ rounds: 3 }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed');
    expect(done.roundsDone).toBe(3);
    const { auc, logLoss } = metricsOfHistogram(histogram);
    for (const { mean } of done.rounds) {
      expect(mean.auc).toBeCloseTo(auc!, 3);
      expect(mean.logLoss).toBeCloseTo(logLoss!, 3);
    }
    for (const [i, partner] of partners.entries()) {
      expect(all[i]!.rounds).toEqual([1, 2, 3]);
      const account = await partner.operator.account(partner.agreementId);
      expect(account.entries.map(({ key, state }) => ({ key, state }))).toEqual(
        [1, 2, 3].flatMap((round) =>
          ['train', 'evaluate'].map((what) => ({ key: `${what}/${id}/${round}`, state: 'committed' })),
        ),
      );
      // Evaluations are no rounds; their ε is composed with that of the rounds.
      expect(account.spent.rounds).toBe(3);
      const paid = account.entries.map(({ basis }) => privacyEventSchema.parse(basis));
      expect(account.spent.epsilon).toBeCloseTo(epsilonOf(paid, 1e-5).epsilon, 9);
      expect(paid[1]).toEqual(histogramEvent(done.plan.evaluation.noise!));
      const stated = done.participants.find(({ participantId }) => participantId === partner.participantId)!;
      expect(stated.privacy!.epsilonSpent).toBeCloseTo(account.spent.epsilon, 9);
      expect(stated.privacy!.epsilonLimit).toBe(50);
      const transfer = (await partner.operator.transfers()).find(
        ({ dataAddress }) => dataAddress?.properties['sessionId'] === id,
      )!;
      await partner.operator.transferUntil(transfer.id, ['COMPLETED']);
    }
  });

  test('is one of ten that its coordinator holds at the same time: few trainers live, and all sessions finish', async () => {
    const partners = await federation.agree({});
    const all = partners.map(() => trainers());
    await using run = await running(
      partners,
      all.map(({ start }) => start),
      { maxTrainers: 2 },
    );
    const sessions = Array.from({ length: 10 }, async () => {
      const plan = { rounds: 1, evaluation: { holdOut: 0, salt: 's', metrics: [] } };
      const { id } = await run.coordinator.plan(plan, partners);
      await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
      return await run.coordinator.until(id, ({ state }) => state === 'completed' || state === 'failed');
    });
    for (const done of await Promise.all(sessions)) expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    for (const { mostLive, rounds } of all) {
      expect(mostLive()).toBeLessThanOrEqual(2);
      expect(rounds).toEqual(Array.from({ length: 10 }, () => 1));
    }
  }, 60_000);

  test.each([
    ['does not allow all that a histogram tells', { metrics: ['auc'] }, /Metric "?logLoss"? may not be released/],
    ['has no budget left for it', { epsilon: 1.936 }, /budget is spent.*this evaluation needs/],
  ])('sends no metrics where its agreement %s, says why, and the round goes on', async (_, terms, why) => {
    const partners = await federation.agree(terms);
    const all = partners.map(() => trainers());
    await using run = await running(
      partners,
      all.map(({ start }) => start),
    );
    const { id } = await run.coordinator.plan({ rounds: 1 }, partners, { endsEarly: true });
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed');
    expect(done.rounds[0]).toMatchObject({ phase: 'done', mean: { auc: null, logLoss: null } });
    for (const [i, partner] of partners.entries()) {
      const { note } = done.participants.find(({ participantId }) => participantId === partner.participantId)!;
      expect(note).toMatch(why);
      expect((await entriesOf(partner)).map(({ key }) => key)).toEqual([`train/${id}/1`]);
      // It is decided before the rows are looked at.
      expect(all[i]!.measured()).toBe(0);
    }
  });

  test('one more round than the contract allows is refused by the partner’s own node, in its words', async () => {
    const partners = await federation.agree({ rounds: 2 });
    const all = partners.map(() => trainers());
    await using run = await running(
      partners,
      all.map(({ start }) => start),
    );
    const { id } = await run.coordinator.plan({ rounds: 2 }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed');
    await run.coordinator.session('POST', `/api/sessions/${id}/rounds`, { additional: 1 });
    const refused = await run.coordinator.until(
      id,
      ({ rounds, state }) => rounds.length === 3 && state === 'completed',
    );
    // The model of the planned rounds stays.
    expect(refused).toMatchObject({ roundsDone: 2, modelHash: done.modelHash });
    expect(refused.reason).toMatch(
      /^Round 3: did:web:\w+\.example refused: .*rounds.*of at least 3 participants are left\.$/,
    );
    // It was refused before a step was trained, and nothing was charged.
    for (const [i, partner] of partners.entries()) {
      expect(all[i]!.rounds).toEqual([1, 2]);
      expect(await roundsOf(partner)).toHaveLength(2);
    }
  });
});

describe('after a crash', () => {
  test('of the coordinator, the same update goes out again: trained once, charged once', async () => {
    const partners = await federation.agree({});
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const all = partners.map((_, i) => trainers(i === 2 ? { hold: () => held } : {}));
    await using run = await running(
      partners,
      all.map(({ start }) => start),
    );
    const { id } = await run.coordinator.plan({ rounds: 1 }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const statusesOf = (view: Awaited<ReturnType<RunningCoordinator['plan']>>): string[] =>
      Object.values(view.rounds[0]?.contributions ?? {}).map(({ status }) => status);
    const two = (view: Parameters<typeof statusesOf>[0]): boolean =>
      statusesOf(view).filter((status) => status === 'received').length === 2;
    await run.coordinator.until(id, two);
    run.coordinator = await run.coordinator.restart();
    // Their sums were lost with the coordinator; they send them again by themselves.
    await run.coordinator.until(id, two);
    release();
    await run.coordinator.until(id, ({ state, roundsDone }) => state === 'completed' && roundsDone === 1);
    for (const [i, partner] of partners.entries()) {
      expect(all[i]!.rounds).toEqual([1]);
      expect(await roundsOf(partner)).toHaveLength(1);
    }
  });

  test('of the coordinator, the same histogram goes out again: counted once, charged once', async () => {
    const partners = await federation.agree({});
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const all = partners.map((_, i) => trainers(i === 2 ? { holdCounts: () => held } : {}));
    await using run = await running(
      partners,
      all.map(({ start }) => start),
    );
    const { id } = await run.coordinator.plan({ rounds: 1 }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const first = partners[0]!.participantId;
    const reported = (view: SessionView): boolean => typeof view.rounds[0]?.contributions[first]?.auc === 'number';
    const before = await run.coordinator.until(id, reported);
    run.coordinator = await run.coordinator.restart();
    release();
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed');
    expect(done.rounds[0]!.contributions[first]!.auc).toBe(before.rounds[0]!.contributions[first]!.auc);
    for (const [i, partner] of partners.entries()) {
      expect(all[i]!.measured()).toBe(1);
      expect((await entriesOf(partner)).map(({ key }) => key)).toEqual([`train/${id}/1`, `evaluate/${id}/1`]);
    }
  });

  test('of a client between training and charge, the update on its disk is charged once and sent without training again', async () => {
    const partners = await federation.agree({});
    const { promise: trained, resolve: isTrained } = Promise.withResolvers<void>();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const all = partners.map((_, i) => trainers(i === 0 ? { hold: () => (isTrained(), held) } : {}));
    await using run = await running(
      partners.slice(1),
      all.slice(1).map(({ start }) => start),
    );
    const first = partners[0]!;
    const client = await federation.client(first, all[0]!.start);
    const { id } = await run.coordinator.plan({ rounds: 1 }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    await trained;
    // Its connector is away when the update is ready: it must wait, and is killed while it does.
    const port = Number(new URL(first.connector.managementUrl).port);
    await first.connector[Symbol.asyncDispose]();
    release();
    await run.coordinator.until(id, ({ participants }) =>
      participants.some(({ participantId, phase }) => participantId === first.participantId && phase === 'charging'),
    );
    await client[Symbol.asyncDispose]();
    const again = await first.restart();
    expect(Number(new URL(again.connector.managementUrl).port)).toBe(port);
    expect((await again.operator.account(first.agreementId)).entries).toHaveLength(0);
    const second = trainers();
    await using _client = await federation.client(first, second.start);
    await run.coordinator.until(id, ({ state }) => state === 'completed');
    expect(second.rounds).toEqual([]);
    expect(await roundsOf({ ...first, operator: again.operator })).toHaveLength(1);
  });
});

describe('when the contract does not allow it any more', () => {
  test('training stops at once, and the session goes on without it; when it does again, it comes back', async () => {
    const partners = await federation.agree({});
    const { promise: begun, resolve: isBegun } = Promise.withResolvers<void>();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const all = partners.map((_, i) =>
      trainers(i === 1 ? { hold: (round) => (isBegun(), round === 1 ? held : undefined) } : {}),
    );
    await using run = await running(
      partners,
      all.map(({ start }) => start),
    );
    const { id } = await run.coordinator.plan({ rounds: 2, minimumCohort: 2 }, partners);
    const second = partners[1]!;
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    await begun;
    const transfer = await transferOf(second, id);
    await second.operator.suspendTransfer(transfer.id, { reason: 'Audit.' });
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed');
    expect(all[1]!.aborted).toEqual([1]);
    expect(all[1]!.live()).toBe(0);
    expect(done.rounds[0]!.contributions[second.participantId]).toMatchObject({
      status: 'missed',
      reason: expect.stringContaining('Audit.') as unknown,
    });
    expect(await entriesOf(second)).toHaveLength(0);
    release();
  });
});
