import type { StartTrainer } from '@foedus/fl-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createFederation,
  parameters,
  transferOf,
  type Federation,
  type Partner,
  type RunningCoordinator,
} from './federation.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

/** A trainer whose rounds the test can count, hold and watch. */
function trainers(options: { readonly hold?: (round: number) => Promise<void> | undefined } = {}) {
  const rounds: number[] = [];
  const aborted: number[] = [];
  let live = 0;
  const start: StartTrainer = async () => {
    live += 1;
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
      [Symbol.asyncDispose]: async () => {
        live -= 1;
      },
    };
  };
  return { start, rounds, aborted, live: () => live };
}

interface Run extends AsyncDisposable {
  coordinator: RunningCoordinator;
}

/** A coordinator and the clients of all partners, as long as a test lasts. */
async function running(partners: readonly Partner[], starts: readonly StartTrainer[]): Promise<Run> {
  await using stack = new AsyncDisposableStack();
  const run = { coordinator: await federation.coordinator() };
  stack.defer(() => run.coordinator[Symbol.asyncDispose]());
  for (const [i, partner] of partners.entries()) stack.use(await federation.client(partner, starts[i]!));
  const all = stack.move();
  return Object.assign(run, { [Symbol.asyncDispose]: () => all.disposeAsync() });
}

const entriesOf = async ({ operator, agreementId }: Partner) => (await operator.account(agreementId)).entries;

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
    expect(done.rounds.map(({ mean }) => mean)).toEqual([1, 2, 3].map(() => ({ auc: 0.75, logLoss: 0.5 })));
    for (const [i, partner] of partners.entries()) {
      expect(all[i]!.rounds).toEqual([1, 2, 3]);
      const account = await partner.operator.account(partner.agreementId);
      expect(account.entries.map(({ key, state }) => ({ key, state }))).toEqual(
        [1, 2, 3].map((round) => ({ key: `train/${id}/${round}`, state: 'committed' })),
      );
      expect(account.spent.rounds).toBe(3);
      const stated = done.participants.find(({ participantId }) => participantId === partner.participantId)!;
      expect(stated.privacy!.epsilonSpent).toBeCloseTo(account.spent.epsilon, 9);
      expect(stated.privacy!.epsilonLimit).toBe(50);
      const transfer = (await partner.operator.transfers()).find(
        ({ dataAddress }) => dataAddress?.properties['sessionId'] === id,
      )!;
      await partner.operator.transferUntil(transfer.id, ['COMPLETED']);
    }
  });

  test('reports only the metrics that its agreement allows', async () => {
    const partners = await federation.agree({ metrics: ['auc'] });
    await using run = await running(
      partners,
      partners.map(() => trainers().start),
    );
    const { id } = await run.coordinator.plan({ rounds: 1 }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed');
    expect(done.rounds[0]!.mean).toEqual({ auc: 0.75, logLoss: null });
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
      expect(await entriesOf(partner)).toHaveLength(2);
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
      expect(await entriesOf(partner)).toHaveLength(1);
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
    expect((await again.operator.account(first.agreementId)).entries).toHaveLength(1);
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
