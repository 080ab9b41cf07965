import { type Contract, NO_LIMITS, type SessionPlan, type SessionTradeOff, sessionPlanSchema } from '@foedus/fl-core';
import { describe, expect, test } from 'vitest';
import { flightsDraft } from '../../../fl-core/src/session/plan.test-data.ts';
import { createTradeOffs } from './trade-offs.ts';

const plan: SessionPlan = sessionPlanSchema.parse(flightsDraft);
const contracts: Contract[] = [
  { participantId: 'did:web:p.example', limits: { ...NO_LIMITS, budget: { epsilon: 4, delta: 1e-5 } } },
];
const found: SessionTradeOff = { planned: null, lengths: [], budgets: [], omitted: 0 };
const titled = (title: string): SessionPlan => ({ ...plan, title });

describe('trade-offs for whoever looks at a session', { timeout: 120_000 }, () => {
  test('are worked out in another thread, and the answer is the one of the function itself', async () => {
    await using tradeOffs = createTradeOffs({ mostSeconds: 120 });
    const short: SessionPlan = { ...plan, rounds: 1 };
    const answer = await tradeOffs.of(short, contracts);
    expect(answer.planned).toEqual({ rounds: 1, noiseMultiplier: 1.2 });
    expect(answer.lengths).toEqual([1, 2, 3, 4]);
    expect(answer.budgets).toHaveLength(1);
    expect(answer.budgets[0]!.leastNoise[0]).toBeLessThan(1.2);
  });

  test('are worked out once for the same plan and agreements, however many ask, and again after a failure', async () => {
    const asked: string[] = [];
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    let fails = true;
    await using tradeOffs = createTradeOffs({
      mostSeconds: 60,
      async work({ title }) {
        asked.push(title);
        await held;
        if (title === 'fails' && fails) throw new Error('out of memory');
        return found;
      },
    });
    const same = [tradeOffs.of(titled('a'), contracts), tradeOffs.of(titled('a'), contracts)];
    const failing = tradeOffs.of(titled('fails'), contracts);
    letGo();
    expect(await Promise.all(same)).toEqual([found, found]);
    await expect(failing).rejects.toMatchObject({ code: 'unavailable' });
    expect(await tradeOffs.of(titled('a'), contracts)).toBe(found);
    fails = false;
    expect(await tradeOffs.of(titled('fails'), contracts)).toBe(found);
    const dearer = contracts.map((one) => ({ ...one, limits: { ...one.limits, budget: { epsilon: 9, delta: 1e-5 } } }));
    await tradeOffs.of(titled('a'), dearer);
    expect(asked).toEqual(['a', 'fails', 'fails', 'a']);
  });

  test('are worked on one at a time; of too many the last are put off, and none is begun after the end', async () => {
    let [atOnce, most] = [0, 0];
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const tradeOffs = createTradeOffs({
      mostSeconds: 60,
      async work() {
        most = Math.max(most, (atOnce += 1));
        await held;
        atOnce -= 1;
        return found;
      },
    });
    const asked = Array.from({ length: 8 }, (_, i) => tradeOffs.of(titled(String(i)), contracts));
    await expect(tradeOffs.of(titled('one too many'), contracts)).rejects.toMatchObject({ code: 'unavailable' });
    letGo();
    expect(await Promise.all(asked)).toHaveLength(8);
    expect(most).toBe(1);
    await tradeOffs[Symbol.asyncDispose]();
    await expect(tradeOffs.of(titled('late'), contracts)).rejects.toThrow(/is being stopped/);
  });

  test('that take too long are given up', async () => {
    await using tradeOffs = createTradeOffs({
      mostSeconds: 0.01,
      work: (_plan, _contracts, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        }),
    });
    await expect(tradeOffs.of(plan, contracts)).rejects.toThrow(/not worked out within 0.01 seconds/);
  });
});
