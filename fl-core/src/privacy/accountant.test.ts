import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calibrateNoise, epsilonAfter, epsilonOf, marginalEpsilon, stepsWithin } from './accountant.ts';
import { type PrivacyEvent, privacyEventSchema, subsampledGaussian } from './event.ts';
import { rdpOfSubsampledGaussian } from './rdp.ts';

const VECTORS = join(import.meta.dirname, '../../../../shared/vectors/dp-accounting.json');

interface Setting {
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
  readonly steps: number;
}
interface Vectors {
  readonly poissonSubsampledGaussian: readonly (Setting & { name: string; delta: number; epsilonRdp: number })[];
  readonly heterogeneous: readonly { steps: readonly Setting[]; delta: number; epsilonRdp: number }[];
  readonly rdpAtOrder: {
    noiseMultiplier: number;
    samplingRate: number;
    compositions: number;
    values: Record<string, number>;
  };
  readonly noiseCalibration: readonly {
    epsilon: number;
    delta: number;
    samplingRate: number;
    steps: number;
    noiseMultiplierRdp?: number;
    noiseMultiplier?: number;
  }[];
}

function readVectors(): Vectors | undefined {
  try {
    return JSON.parse(readFileSync(VECTORS, 'utf8')) as Vectors;
  } catch (error) {
    if (process.env['CI']) throw error;
    console.log('skipped: reference values ../shared/vectors/dp-accounting.json are not here');
    return undefined;
  }
}

const vectors = readVectors();
const relativeError = (actual: number, expected: number): number => Math.abs(actual - expected) / Math.abs(expected);

describe.skipIf(vectors === undefined)('the reference values of dp_accounting', () => {
  for (const row of vectors?.poissonSubsampledGaussian ?? []) {
    test(`ε of ${row.name} agrees to 1e-4`, () => {
      expect(relativeError(epsilonOf([subsampledGaussian(row)], row.delta).epsilon, row.epsilonRdp)).toBeLessThan(1e-4);
    });
  }
  for (const row of vectors?.heterogeneous ?? []) {
    test(`ε of ${row.steps.length} different settings composed agrees to 1e-4`, () => {
      const { epsilon } = epsilonOf(row.steps.map(subsampledGaussian), row.delta);
      expect(relativeError(epsilon, row.epsilonRdp)).toBeLessThan(1e-4);
    });
  }
  for (const [order, expected] of Object.entries(vectors?.rdpAtOrder.values ?? {})) {
    test(`RDP at order ${order} agrees to 1e-4`, () => {
      const { noiseMultiplier = 0, samplingRate = 0, compositions = 0 } = vectors?.rdpAtOrder ?? {};
      const rdp = compositions * rdpOfSubsampledGaussian(Number(order), noiseMultiplier, samplingRate);
      expect(relativeError(rdp, expected)).toBeLessThan(1e-4);
    });
  }
  for (const row of vectors?.noiseCalibration ?? []) {
    test(`the noise for ε = ${row.epsilon} in ${row.steps} steps is the reference's`, () => {
      const sigma = calibrateNoise({ ...row, targetEpsilon: row.epsilon, tolerance: 1e-6 });
      const expected = row.noiseMultiplierRdp ?? row.noiseMultiplier ?? 0;
      expect(relativeError(sigma, expected)).toBeLessThan(1e-4);
    });
  }
});

const setting = fc.record({
  noiseMultiplier: fc.double({ min: 0.3, max: 20, noNaN: true }),
  samplingRate: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  steps: fc.integer({ min: 1, max: 100_000 }),
});
const delta = fc.constantFrom(1e-3, 1e-5, 1e-8);
const epsilon = (s: Setting, d: number): number => epsilonOf([subsampledGaussian(s)], d).epsilon;
/** Below, whether the series of an order converges in time depends on the setting, and with it which bound counts. */
const hasConverged = (s: Setting, d: number): boolean => epsilonOf([subsampledGaussian(s)], d).order >= 3;
/** Rounding may turn a difference of nothing into one of a few last digits. */
const SLACK = 1 + 1e-9;
const few = { numRuns: 40 };

describe('ε', () => {
  test('grows with the number of steps', () => {
    fc.assert(
      fc.property(setting, delta, fc.integer({ min: 1, max: 1000 }), (s, d, more) => {
        expect(epsilon(s, d)).toBeLessThanOrEqual(epsilon({ ...s, steps: s.steps + more }, d) * SLACK);
      }),
      few,
    );
  });

  test('grows with the sampling rate', () => {
    fc.assert(
      fc.property(setting, delta, fc.double({ min: 0.1, max: 1, noNaN: true }), (s, d, part) => {
        fc.pre(hasConverged(s, d));
        expect(epsilon({ ...s, samplingRate: s.samplingRate * part }, d)).toBeLessThanOrEqual(epsilon(s, d) * SLACK);
      }),
      few,
    );
  });

  test('falls with the noise', () => {
    fc.assert(
      fc.property(setting, delta, fc.double({ min: 1, max: 3, noNaN: true }), (s, d, factor) => {
        fc.pre(hasConverged(s, d));
        const more = { ...s, noiseMultiplier: s.noiseMultiplier * factor };
        expect(epsilon(more, d)).toBeLessThanOrEqual(epsilon(s, d) * SLACK);
      }),
      few,
    );
  });

  test('falls with δ', () => {
    fc.assert(
      fc.property(setting, (s) => {
        expect(epsilon(s, 1e-5)).toBeLessThanOrEqual(epsilon(s, 1e-7));
      }),
      few,
    );
  });

  test('of steps in several events is that of the same steps in one', () => {
    fc.assert(
      fc.property(
        setting,
        delta,
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
        (s, d, n) => {
          const apart = n.map((steps) => subsampledGaussian({ ...s, steps }));
          const together = epsilon({ ...s, steps: n.reduce((a, b) => a + b, 0) }, d);
          expect(epsilonOf(apart, d).epsilon).toBeCloseTo(together, 10);
        },
      ),
      few,
    );
  });

  test('is the sum of the marginal ε of its history', () => {
    fc.assert(
      fc.property(fc.array(setting, { minLength: 1, maxLength: 4 }), delta, (settings, d) => {
        const history: PrivacyEvent[] = [];
        let sum = 0;
        for (const event of settings.map(subsampledGaussian)) {
          sum += marginalEpsilon(history, event, d);
          history.push(event);
        }
        const whole = epsilonOf(history, d).epsilon;
        if (Number.isFinite(whole)) expect(relativeError(sum + 1, whole + 1)).toBeLessThan(1e-9);
      }),
      { numRuns: 20 },
    );
  });

  test('of nothing is 0', () => {
    expect(epsilonOf([], 1e-5).epsilon).toBe(0);
    expect(epsilon({ noiseMultiplier: 1, samplingRate: 0.5, steps: 0 }, 1e-5)).toBe(0);
  });
});

describe('RDP', () => {
  const order = fc.double({ min: 1.01, max: 60, noNaN: true });

  test('does not fall with the order, across integers and fractions', () => {
    fc.assert(
      fc.property(
        setting,
        fc.integer({ min: 2, max: 60 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (s, integer, part) => {
          const at = (a: number): number => rdpOfSubsampledGaussian(a, s.noiseMultiplier, s.samplingRate);
          // Fractional orders are bounded from above, so only the step up from an integer is certain.
          expect(at(integer)).toBeLessThanOrEqual(at(integer + part) * SLACK);
          expect(at(integer)).toBeLessThanOrEqual(at(integer + 1) * SLACK);
        },
      ),
    );
  });

  test('of a subsample is at most that of the whole', () => {
    fc.assert(
      fc.property(setting, order, (s, a) => {
        const whole = rdpOfSubsampledGaussian(a, s.noiseMultiplier, 1);
        expect(rdpOfSubsampledGaussian(a, s.noiseMultiplier, s.samplingRate)).toBeLessThanOrEqual(whole * SLACK);
      }),
    );
  });

  test('at a fractional order is never below the integral that defines it, and close to it', () => {
    // A_α = E_{z∼N(0,σ²)} [(1 + t)^α], t = q·(exp((2z−1)/2σ²) − 1), by the trapezoidal rule; E[t] = 0 is taken out.
    const byIntegration = (a: number, sigma: number, q: number): number => {
      const step = sigma / 500;
      let excess = 0;
      for (let z = -15 * sigma; z <= 15 * sigma + 2 * a; z += step) {
        const density = Math.exp(-(z * z) / (2 * sigma * sigma)) / (sigma * Math.sqrt(2 * Math.PI));
        const t = q * Math.expm1((2 * z - 1) / (2 * sigma * sigma));
        excess += density * ((1 + t) ** a - 1 - a * t) * step;
      }
      return Math.log1p(excess) / (a - 1);
    };
    for (const [a, sigma, q, looseness] of [
      [1.5, 2.5, 0.01, 0.04],
      [2.7, 0.8, 0.5, 0.05],
      [2.7, 1.3, 0.02, 0.002],
      [3.1, 2, 0.5, 0.002],
      [7.3, 1.3, 0.02, 1e-6],
      [1.3, 0.6, 0.5, 1.5],
      [1.1, 2, 0.9, 0.6],
    ] as const) {
      const ratio = rdpOfSubsampledGaussian(a, sigma, q) / byIntegration(a, sigma, q);
      expect(ratio, `order ${a}`).toBeGreaterThan(1 - 1e-6);
      expect(ratio, `order ${a}`).toBeLessThan(1 + looseness);
    }
  });
});

describe('planning', () => {
  test('the steps within a budget stay in it and one more does not', () => {
    fc.assert(
      fc.property(setting, delta, fc.double({ min: 0.1, max: 10, noNaN: true }), (s, d, budget) => {
        const steps = stepsWithin({ ...s, epsilon: budget, delta: d });
        if (steps > 0) expect(epsilon({ ...s, steps }, d)).toBeLessThanOrEqual(budget);
        if (steps < Number.MAX_SAFE_INTEGER) expect(epsilon({ ...s, steps: steps + 1 }, d)).toBeGreaterThan(budget);
      }),
      few,
    );
  });

  test('what was spent before leaves fewer steps', () => {
    const limit = { epsilon: 2, delta: 1e-5, noiseMultiplier: 1, samplingRate: 0.01 };
    const all = stepsWithin(limit);
    const history = [subsampledGaussian({ noiseMultiplier: 1, samplingRate: 0.01, steps: 100 })];
    expect(stepsWithin(limit, history)).toBe(all - 100);
  });

  test('calibrated noise keeps to its target and hardly less noise does not', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.2, max: 8, noNaN: true }), fc.integer({ min: 1, max: 5000 }), (target, steps) => {
        const samplingRate = 0.02;
        const sigma = calibrateNoise({ targetEpsilon: target, delta: 1e-5, samplingRate, steps });
        expect(epsilon({ noiseMultiplier: sigma, samplingRate, steps }, 1e-5)).toBeLessThanOrEqual(target);
        expect(epsilon({ noiseMultiplier: sigma - 2e-4, samplingRate, steps }, 1e-5)).toBeGreaterThan(target);
      }),
      { numRuns: 10 },
    );
  });

  test('a ledger entry without unit and adjacency is a record-level, add/remove event', () => {
    const basis = { mechanism: 'poisson-subsampled-gaussian', noiseMultiplier: 1.1, samplingRate: 0.01, steps: 5 };
    expect(privacyEventSchema.parse(basis)).toEqual(subsampledGaussian(basis));
  });

  test('parameters outside their range are refused', () => {
    expect(() => epsilonOf([], 0)).toThrow(RangeError);
    expect(() => rdpOfSubsampledGaussian(1, 1, 0.5)).toThrow(RangeError);
    expect(() => rdpOfSubsampledGaussian(2, 0, 0.5)).toThrow(RangeError);
    expect(() => rdpOfSubsampledGaussian(2, 1, 1.5)).toThrow(RangeError);
    expect(() => rdpOfSubsampledGaussian(2, 1, Number.NaN)).toThrow(RangeError);
  });
});

describe('ε after so many events more', () => {
  test('is that of all of them, also where batches are cut and a history comes before', () => {
    const at = 1e-5;
    const capped = { records: 150, datasetSize: 10_000 };
    const history = [subsampledGaussian({ noiseMultiplier: 0.9, samplingRate: 0.02, steps: 7 })];
    for (const event of [
      subsampledGaussian({ noiseMultiplier: 1.1, samplingRate: 0.01, steps: 3 }),
      subsampledGaussian({ noiseMultiplier: 1.1, samplingRate: 0.01, steps: 3, batchCap: capped }),
    ]) {
      const after = epsilonAfter(history, event, at);
      for (const count of [0, 1, 5]) {
        const all = [...history, ...Array.from({ length: count }, () => event)];
        expect(after(count)).toBeCloseTo(epsilonOf(all, at).epsilon, 9);
      }
    }
  });
});
