import { describe, expect, test } from 'vitest';
import { histogramEvent } from '../metrics/score-histogram.ts';
import { epsilonOf } from '../privacy/accountant.ts';
import { type PrivacyEvent, subsampledGaussian } from '../privacy/event.ts';
import { type SessionPlan, sessionPlanSchema } from './plan.ts';
import { flightsDraft } from './plan.test-data.ts';
import { checkPromise, type Contract, type ContractLimits, NO_LIMITS } from './promise.ts';
import { lengthsAround, sessionTradeOff } from './trade-off.ts';

const plan: SessionPlan = sessionPlanSchema.parse(flightsDraft);
const delta = 1e-5;
const contract = (limits: Partial<ContractLimits>, i: number, events: readonly PrivacyEvent[] = []): Contract => ({
  participantId: `did:web:p${i}.example`,
  limits: { ...NO_LIMITS, ...limits },
  history: { rounds: events.length, events },
});
const budget = (epsilon: number): Partial<ContractLimits> => ({ budget: { epsilon, delta } });
const isAscending = (values: readonly (number | null)[]): boolean =>
  values.every((value, i) => i === 0 || value === null || value >= (values[i - 1] ?? Infinity));

describe('the trade-off of a session', { timeout: 120_000 }, () => {
  test('compares lengths from an eighth of the plan to four times as much, and its own', () => {
    expect(lengthsAround(1)).toEqual([1, 2, 3, 4]);
    expect(lengthsAround(20)).toEqual([3, 4, 6, 9, 14, 20, 22, 34, 52, 80]);
  });

  test('has for every length the least noise that keeps to each partner’s budget, the tightest first', () => {
    const contracts = [contract(budget(6), 0), contract(budget(2), 1), contract(budget(6), 2)];
    const { budgets, lengths, planned, omitted } = sessionTradeOff(plan, contracts, [3, 20, 80]);
    expect(planned).toEqual({ rounds: 20, noiseMultiplier: 1.2 });
    expect(omitted).toBe(0);
    expect(lengths).toEqual([3, 20, 80]);
    expect(budgets.map(({ epsilon, participantIds }) => [epsilon, participantIds])).toEqual([
      [2, ['did:web:p1.example']],
      [6, ['did:web:p0.example', 'did:web:p2.example']],
    ]);
    for (const { epsilon, leastNoise } of budgets) {
      expect(isAscending(leastNoise)).toBe(true);
      for (const [i, noiseMultiplier] of leastNoise.entries()) {
        const costs = (noise: number): number =>
          epsilonOf(
            [subsampledGaussian({ noiseMultiplier: noise, samplingRate: 0.05, steps: 10 * lengths[i]! })],
            delta,
          ).epsilon;
        expect(costs(noiseMultiplier!)).toBeLessThanOrEqual(epsilon);
        expect(costs(noiseMultiplier! - 2e-3)).toBeGreaterThan(epsilon);
      }
    }
  });

  test('agrees with the promise about which partners the plan has room for', () => {
    const contracts = [3, 3.5, 4, 4.5].map((epsilon, i) => contract(budget(epsilon), i));
    const { budgets, omitted } = sessionTradeOff(plan, contracts.toReversed(), [20]);
    const { partners } = checkPromise(plan, contracts);
    const holds = new Map(partners.map(({ participantId, reasons }) => [participantId, reasons.length === 0]));
    expect(new Set(holds.values())).toEqual(new Set([true, false]));
    for (const { participantIds, leastNoise, holds: fits } of budgets) {
      expect(fits).toBe(holds.get(participantIds[0]!));
      expect(leastNoise[0]! <= 1.2).toBe(holds.get(participantIds[0]!));
    }
    // Of more budgets than curves that can be told apart, those with the least room are there.
    expect(omitted).toBe(1);
    expect(budgets.map(({ epsilon }) => epsilon)).toEqual([3, 3.5, 4]);
  });

  test('counts what was paid for before, and evaluations of those who take part in them', () => {
    const evaluated: SessionPlan = {
      ...plan,
      evaluation: { ...plan.evaluation, metrics: ['auc'], every: 2, noise: { bins: 8, noiseMultiplier: 10 } },
    };
    const before = subsampledGaussian({ noiseMultiplier: 2, samplingRate: 0.05, steps: 50 });
    const metrics = ['auc', 'logLoss'];
    const { budgets } = sessionTradeOff(
      evaluated,
      [
        contract(budget(4), 0),
        contract({ ...budget(4), metrics }, 1),
        contract({ ...budget(4), metrics }, 2, [before]),
      ],
      [20],
    );
    expect(budgets.map(({ participantIds }) => participantIds[0])).toEqual(
      [2, 1, 0].map((i) => `did:web:p${i}.example`),
    );
    const noiseMultiplier = budgets[0]!.leastNoise[0]!;
    const all = (noise: number): PrivacyEvent[] => [
      before,
      subsampledGaussian({ noiseMultiplier: noise, samplingRate: 0.05, steps: 200 }),
      { ...histogramEvent({ noiseMultiplier: 10 }), steps: 10 },
    ];
    expect(epsilonOf(all(noiseMultiplier), delta).epsilon).toBeLessThanOrEqual(4);
    expect(epsilonOf(all(noiseMultiplier - 2e-3), delta).epsilon).toBeGreaterThan(4);
  });

  test('goes through the plan itself where no agreement has a budget', () => {
    const { budgets } = sessionTradeOff(plan, [contract({}, 0), contract({}, 1)], [20]);
    const [partner] = checkPromise(plan, [contract({}, 0), contract({}, 1)]).partners;
    expect(budgets).toHaveLength(1);
    expect(budgets[0]).toMatchObject({ isPlanned: true, participantIds: ['did:web:p0.example', 'did:web:p1.example'] });
    expect(budgets[0]!.epsilon).toBeCloseTo(partner!.byRound.at(-1)!.epsilon, 6);
    expect(budgets[0]!.holds).toBe(true);
    expect(budgets[0]!.leastNoise[0]).toBe(1.2);
  });

  test('has no noise where the budget is used up, and nothing to show without privacy', () => {
    const before = subsampledGaussian({ noiseMultiplier: 0.6, samplingRate: 0.5, steps: 1_000 });
    const { budgets } = sessionTradeOff(plan, [contract(budget(1), 0, [before])]);
    expect(new Set(budgets[0]!.leastNoise)).toEqual(new Set([null]));
    const nothing = { planned: null, lengths: [], budgets: [], omitted: 0 };
    expect(sessionTradeOff({ ...plan, privacy: null }, [contract(budget(1), 0)])).toEqual(nothing);
  });

  test('is about what hides whole organisations, where the plan does', () => {
    const organisations: SessionPlan = {
      ...plan,
      rounds: 2,
      secureAggregation: { ...plan.secureAggregation!, clip: 0.5, bits: 24 },
      privacy: { unit: 'organisation', adjacency: 'replace-one', noiseMultiplier: 4, colluding: 1, delta },
    };
    const contracts = Array.from({ length: 10 }, (_, i) => contract(budget(6), i));
    const { budgets, lengths } = sessionTradeOff(organisations, contracts);
    const least = budgets[0]!.leastNoise[lengths.indexOf(2)]!;
    const holdsWith = (noiseMultiplier: number): boolean =>
      checkPromise({ ...organisations, privacy: { ...organisations.privacy!, noiseMultiplier } }, contracts).holds;
    expect(holdsWith(least)).toBe(true);
    expect(holdsWith(least - 2e-3)).toBe(false);
  });
});
