import { initialParameters, readUpdate, type SessionPlan } from '@foedus/fl-core';
import type { StartTrainer } from '@foedus/fl-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, parameters, type Federation, type Partner, type RunningCoordinator } from './federation.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul', 'bos']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

const secure = {
  secureAggregation: { mode: 'honest-server' as const, clip: 10 },
  evaluation: { holdOut: 0, salt: 's', metrics: [] },
};

/** A trainer whose update is the same in every round, at every place another value. */
function trainerOf(scale: number, hold: (round: number) => Promise<void> = async () => {}): StartTrainer {
  return async () => ({
    async trainRound(_model, round) {
      await hold(round);
      return { update: updateOf(scale), seconds: 0.01 };
    },
    evaluate: async () => ({ auc: 0.75, logLoss: 0.5 }),
    [Symbol.asyncDispose]: async () => {},
  });
}
const updateOf = (scale: number): Float32Array =>
  Float32Array.from({ length: parameters }, (_, i) => scale * Math.sin(i + 1));

async function modelOf(coordinator: RunningCoordinator, id: string, plan: SessionPlan): Promise<Float32Array> {
  const response = await coordinator.call('GET', `/api/sessions/${id}/model`);
  return (
    await readUpdate(response.body!, { maxCount: parameters, expected: { sessionId: plan.sessionId, kind: 'model' } })
  ).parameters;
}

interface Run extends AsyncDisposable {
  coordinator: RunningCoordinator;
}
async function running(partners: readonly Partner[], starts: readonly StartTrainer[]): Promise<Run> {
  await using stack = new AsyncDisposableStack();
  const run = { coordinator: await federation.coordinator() };
  stack.defer(() => run.coordinator[Symbol.asyncDispose]());
  for (const [i, partner] of partners.entries()) stack.use(await federation.client(partner, starts[i]!));
  const all = stack.move();
  return Object.assign(run, { [Symbol.asyncDispose]: () => all.disposeAsync() });
}

describe('a session under secure aggregation', () => {
  test('has the same mean as one without, to within its quantisation, and charges each round once', async () => {
    const partners = await federation.agree({});
    const scales = [0.1, -0.2, 0.4, 0.6];
    await using run = await running(
      partners,
      scales.map((scale) => trainerOf(scale)),
    );
    const { id } = await run.coordinator.plan({ rounds: 2, ...secure }, partners);
    await run.coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const done = await run.coordinator.until(id, ({ state }) => state === 'completed' || state === 'failed');
    expect(done).toMatchObject({ state: 'completed', roundsDone: 2 });
    const model = await modelOf(run.coordinator, id, done.plan);
    const initial = initialParameters(done.plan);
    const mean = updateOf((0.1 - 0.2 + 0.4 + 0.6) / 4);
    for (const [i, value] of model.entries()) expect(value).toBeCloseTo(initial[i]! + 2 * mean[i]!, 4);
    for (const partner of partners) {
      const account = await partner.operator.account(partner.agreementId);
      expect(account.entries.map(({ key, state }) => ({ key, state }))).toEqual(
        [1, 2].map((round) => ({ key: `train/${id}/${round}`, state: 'committed' })),
      );
    }
  });
});
