import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deltaOf, epsilonOf } from './accountant.ts';
import { calibrate, remainingEpsilon, spentEpsilon } from './budget.ts';
import { noiseShare, skellamRound } from './distributed-noise.ts';
import { type PrivacyEvent, PrivacyModelMismatchError, privacyEventSchema, subsampledGaussian } from './event.ts';
import { concentratedEpsilon, rdpOfEvent } from './rdp-of-event.ts';
import { logSkellamWeights } from './privacy-loss/mechanism.ts';
import { averageSensitivity, integerL1Sensitivity } from './sensitivity.ts';
import { binomialTail } from './truncated-sampling.ts';

const record = subsampledGaussian({ noiseMultiplier: 1, samplingRate: 0.1, steps: 10 });
const organisation: PrivacyEvent = {
  mechanism: 'gaussian',
  unit: 'organisation',
  adjacency: 'add-remove',
  convention: 'noise-over-clip',
  noiseMultiplier: 4,
  steps: 1,
};

describe('what an ε is about', () => {
  test('record and organisation, or add/remove and replace-one, never add up', () => {
    expect(() => epsilonOf([record, organisation], 1e-5)).toThrow(PrivacyModelMismatchError);
    expect(() => spentEpsilon([record, organisation], 1e-5, 'tightest')).toThrow(/account for them separately/);
    const replaced = { ...organisation, adjacency: 'replace-one' } as const;
    expect(() => epsilonOf([replaced, organisation], 1e-5)).toThrow(PrivacyModelMismatchError);
  });

  test('an organisation cannot be said to be sampled, and a new mechanism must say what its noise is measured by', () => {
    expect(privacyEventSchema.safeParse({ ...record, unit: 'organisation' }).success).toBe(false);
    const { convention: _, ...silent } = organisation as Record<string, unknown>;
    expect(privacyEventSchema.safeParse(silent).success).toBe(false);
    expect(privacyEventSchema.safeParse(organisation).success).toBe(true);
  });
});

describe('a cap on Poisson batches', () => {
  test('costs δ by how often it cuts: nothing where it never does, everything where it always does', () => {
    const capped = (records: number): number =>
      epsilonOf([{ ...record, batchCap: { records, datasetSize: 1000 } }], 1e-5).epsilon;
    const free = epsilonOf([record], 1e-5).epsilon;
    expect(capped(1001)).toBe(free);
    expect(capped(250)).toBeCloseTo(free, 3);
    expect(capped(180)).toBeGreaterThan(free);
    expect(capped(100)).toBe(Infinity);
    expect(deltaOf([{ ...record, batchCap: { records: 180, datasetSize: 1000 } }], free)).toBeGreaterThan(1e-5);
  });

  test('cuts with the probability of the binomial distribution', () => {
    expect(binomialTail(10, 0.5, 7)).toBeCloseTo((45 + 10 + 1) / 1024, 8);
    expect(binomialTail(1000, 0.1, 250)).toBeLessThan(1e-40);
    expect(binomialTail(10, 0.5, 10)).toBe(0);
    expect(binomialTail(10, 1, 9)).toBe(1);
  });
});

describe('RDP of integer noise', () => {
  test('Skellam: the bound holds for the exact divergence of one integer', () => {
    for (const [variance, sensitivity] of [
      [4, 1],
      [25, 2],
      [400, 5],
    ] as const) {
      const logs = logSkellamWeights(variance, 400);
      const log = (k: number): number => logs[Math.abs(k)] ?? -Infinity;
      const total = Array.from({ length: 601 }, (_, i) => Math.exp(log(i - 300) - log(0))).reduce((a, b) => a + b);
      for (const alpha of [2, 5, 12]) {
        let moment = 0;
        for (let k = -300; k <= 300; k++) {
          moment += Math.exp(alpha * log(k) - (alpha - 1) * log(k - sensitivity) - log(0)) / total;
        }
        const event: PrivacyEvent = {
          mechanism: 'skellam',
          unit: 'organisation',
          adjacency: 'add-remove',
          variance,
          l1Sensitivity: sensitivity,
          l2Sensitivity: sensitivity,
          dimension: 1,
          steps: 1,
        };
        expect(rdpOfEvent(event, alpha)).toBeGreaterThanOrEqual(Math.log(moment) / (alpha - 1));
        expect(rdpOfEvent(event, alpha)).toBeGreaterThanOrEqual((alpha * sensitivity ** 2) / (2 * variance));
      }
    }
  });

  test('sums of discrete Gaussians: one is a Gaussian, many wide ones hardly differ, narrow ones cost', () => {
    const event = (sigma: number, summands: number): Parameters<typeof concentratedEpsilon>[0] => ({
      mechanism: 'discrete-gaussian',
      unit: 'organisation',
      adjacency: 'add-remove',
      sigma,
      summands,
      l2Sensitivity: 1,
      dimension: 1000,
      steps: 1,
    });
    expect(concentratedEpsilon(event(2, 1))).toBe(0.5);
    expect(concentratedEpsilon(event(2, 100))).toBeCloseTo(0.05, 6);
    expect(concentratedEpsilon(event(0.5, 100))).toBeGreaterThan(1);
  });
});

describe('RDP where formulas are lost in rounding', () => {
  const laplace = (noiseMultiplier: number, steps = 1): PrivacyEvent => ({
    mechanism: 'laplace',
    unit: 'record',
    adjacency: 'add-remove',
    convention: 'noise-over-sensitivity',
    noiseMultiplier,
    steps,
  });

  test('very much Laplace noise, very often, costs what Gaussian noise of the same information does', () => {
    // 1/b² is the information of Laplace noise about its centre: b² of them are one Gaussian release of σ = 1.
    const gauss = epsilonOf([subsampledGaussian({ noiseMultiplier: 1, samplingRate: 1, steps: 1 })], 1e-5).epsilon;
    for (const b of [1e3, 1e4, 1e5, 1e6, 9e7]) {
      expect(epsilonOf([laplace(b, b * b)], 1e-5).epsilon / gauss).toBeCloseTo(1, 3);
    }
    for (const order of [1.1, 2, 64, 1024]) expect(rdpOfEvent(laplace(1e12), order)).toBeGreaterThan(0);
  });

  test('sums of discrete Gaussians narrower than their theorem asks for have no bound', () => {
    const sum = { unit: 'record', adjacency: 'add-remove', l2Sensitivity: 1, dimension: 1, steps: 1 } as const;
    const event = { ...sum, mechanism: 'discrete-gaussian', sigma: 0.4 } as const;
    expect(epsilonOf([{ ...event, summands: 1000 }], 1e-5).epsilon).toBe(Infinity);
    expect(epsilonOf([{ ...event, summands: 1 }], 1e-5).epsilon).toBeLessThan(20);
    // As many as one likes, at once.
    expect(epsilonOf([{ ...event, sigma: 0.5, summands: 2 ** 50 }], 1e-5).epsilon).toBeGreaterThan(1);
  });
});

describe('a weighted average', () => {
  test('moves by no more than stated when a member comes, goes or is exchanged', () => {
    const weight = fc.double({ min: 0.1, max: 3, noNaN: true });
    const update = fc.double({ min: -1, max: 1, noNaN: true });
    const member = fc.record({ weight, update });
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), member, member, (others, a, b) => {
        const total = others.reduce((sum, { weight: w }) => sum + w, 0);
        const average = (members: readonly { weight: number; update: number }[]): number =>
          members.reduce((sum, m) => sum + m.weight * m.update, 0) / members.reduce((sum, m) => sum + m.weight, 0);
        const limits = { clipNorm: 1, largestWeight: 3, totalWeight: total, denominator: 'actual' } as const;
        const added = Math.abs(average([...others, a]) - average(others));
        expect(added).toBeLessThanOrEqual(averageSensitivity({ ...limits, adjacency: 'add-remove' }) + 1e-12);
        const exchanged = Math.abs(average([...others, a]) - average([...others, b]));
        expect(exchanged).toBeLessThanOrEqual(averageSensitivity({ ...limits, adjacency: 'replace-one' }) + 1e-12);
      }),
    );
  });

  test('with one heavy member is no more private than that member', () => {
    const limits = { clipNorm: 2, totalWeight: 10, denominator: 'fixed', adjacency: 'add-remove' } as const;
    expect(averageSensitivity({ ...limits, largestWeight: 5 })).toBe(1);
    expect(averageSensitivity({ ...limits, largestWeight: 5, adjacency: 'replace-one' })).toBe(2);
    expect(() => averageSensitivity({ ...limits, largestWeight: 11 })).toThrow(RangeError);
  });

  test('of integers has an L1 norm of at most the square of its L2 norm', () => {
    expect(integerL1Sensitivity(3, 1_000_000)).toBe(9);
    expect(integerL1Sensitivity(100, 25)).toBe(500);
  });
});

describe('noise in shares', () => {
  test('is what it must be with the fewest honest survivors, and the noise of those who dropped out is missing', () => {
    const varianceEach = noiseShare({ needed: 900, leastSurvivors: 8, colluding: 2 });
    expect(varianceEach).toBe(150);
    const common = {
      unit: 'organisation',
      adjacency: 'add-remove',
      colluding: 2,
      l1Sensitivity: 9,
      l2Sensitivity: 3,
      dimension: 10,
      varianceEach,
    } as const;
    expect(skellamRound({ ...common, survivors: 8 }).variance).toBe(900);
    const [all, few] = [10, 5].map((survivors) => epsilonOf([skellamRound({ ...common, survivors })], 1e-6).epsilon);
    expect(few).toBeGreaterThan(all ?? Infinity);
    expect(() => skellamRound({ ...common, survivors: 2 })).toThrow(/larger cohort/);
  });
});

describe('a budget', () => {
  test('allows the noise found for it, hardly less, and less than before once something is spent', () => {
    const budget = { epsilon: 2, delta: 1e-6 };
    const planned = (noiseMultiplier: number): PrivacyEvent[] => [{ ...organisation, noiseMultiplier, steps: 20 }];
    for (const accountant of ['rdp', 'tightest'] as const) {
      const noise = calibrate({ budget, planned, accountant });
      expect(spentEpsilon(planned(noise), budget.delta, accountant)).toBeLessThanOrEqual(budget.epsilon);
      expect(spentEpsilon(planned(noise - 2e-3), budget.delta, accountant)).toBeGreaterThan(budget.epsilon);
      const after = calibrate({ budget, planned, accountant, history: [{ ...organisation, noiseMultiplier: 10 }] });
      expect(after).toBeGreaterThan(noise);
    }
    const [rdp, tightest] = (['rdp', 'tightest'] as const).map((a) => calibrate({ budget, planned, accountant: a }));
    expect(tightest).toBeLessThan(rdp ?? 0);
  });

  test('that is used up has nothing left and allows nothing', () => {
    const budget = { epsilon: 0.5, delta: 1e-6 };
    const history = [{ ...organisation, noiseMultiplier: 4 }];
    expect(remainingEpsilon(history, budget, 'tightest')).toBe(0);
    expect(remainingEpsilon([], budget, 'tightest')).toBe(0.5);
    expect(() => calibrate({ budget, planned: () => [], history, accountant: 'rdp' })).toThrow(/allow more ε/);
  });
});
