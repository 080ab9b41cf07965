import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode } from '../secure-aggregation/encoding.ts';
import { termsHash } from '../secure-aggregation/terms.ts';
import { type SessionPlan, sessionPlanSchema } from './plan.ts';
import { flightsDraft } from './plan.test-data.ts';
import { checkSecureTask, secureEncoding, secureTask } from './secure-round.ts';

const planOf = (change: Record<string, unknown> = {}): SessionPlan =>
  sessionPlanSchema.parse({
    ...flightsDraft,
    model: { kind: 'mlp', hidden: [16], activation: 'tanh', seed: '5e'.repeat(32) },
    privacy: null,
    secureAggregation: { mode: 'honest-server', clip: 2 },
    minimumCohort: 2,
    ...change,
  });
const hashes = { a: 'aa'.repeat(32), b: 'bb'.repeat(32), c: 'cc'.repeat(32) };
const policies = (['c', 'a', 'b'] as const).map((name) => [`did:web:${name}.example`, hashes[name]] as const);
const about = { planHash: '11'.repeat(32), round: 3, modelHash: '22'.repeat(32) };
const task = (plan = planOf(), change: Partial<Parameters<typeof secureTask>[0]> = {}) =>
  secureTask({ plan, ...about, policies, minimumCohort: 2, ...change });
const own = { plan: planOf(), ...about, policy: policies[0]! };

describe('the terms of a round', () => {
  test('are those that every member expects, in whatever order members enrolled', () => {
    expect(task().terms.cohort).toEqual(['did:web:a.example', 'did:web:b.example', 'did:web:c.example']);
    const other = task(planOf(), { policies: policies.toReversed() });
    expect(termsHash(other.terms)).toBe(termsHash(task().terms));
    for (const policy of policies) checkSecureTask(task(), { ...own, policy });
  });

  test('are refused by a member that knows another round, model, plan, or agreement of its own', () => {
    const plan = planOf({ secureAggregation: { mode: 'active-server', clip: 2 } });
    for (const change of [
      { round: 4 },
      { modelHash: '33'.repeat(32) },
      { planHash: '33'.repeat(32) },
      { plan },
      { plan: planOf({ minimumCohort: 3 }) },
      { plan: planOf({ model: { ...plan.model, hidden: [8] } }) },
      { policy: ['did:web:a.example', hashes.b] as const },
      { policy: ['did:web:d.example', hashes.a] as const },
    ]) {
      expect(() => checkSecureTask(task(), { ...own, ...change }), JSON.stringify(change)).toThrow(
        expect.objectContaining({ code: 'other-round' }),
      );
    }
  });

  test('are refused when the agreements listed are not those that they bind, or not of the cohort', () => {
    const { terms, policies: listed } = task();
    const swapped = listed.map(([id], i): [string, string] => [id, listed[(i + 1) % 3]![1]]);
    expect(() => checkSecureTask({ terms, policies: swapped }, own)).toThrow(/policyHash/);
    const stranger = task(planOf(), { policies: [...policies, ['did:web:d.example', hashes.a]] });
    const inTerms = { ...stranger.terms, cohort: terms.cohort };
    expect(() => checkSecureTask({ ...stranger, terms: inTerms }, own)).toThrow(/not those of the cohort/);
  });
});

describe('the encoding of a round', () => {
  test('gives back the mean of clipped updates to within the grid’s spacing, with the bits that the plan says', () => {
    const updates = fc.array(fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 49, maxLength: 49 }), {
      minLength: 2,
      maxLength: 6,
    });
    fc.assert(
      fc.property(updates, fc.constantFrom(16, 20, 24, 32), (all, bits) => {
        const plan = planOf({ secureAggregation: { mode: 'honest-server', clip: 8, bits } });
        const members = all.map((_, i) => [`did:web:m${i}.example`, hashes.a] as const);
        const { terms } = task(plan, { policies: members });
        expect(terms.length).toBe(49);
        const encoding = secureEncoding(plan, terms);
        expect(encoding.bits).toBe(bits);
        const sum = new Uint32Array(49);
        for (const update of all) encode(Float64Array.from(update), encoding).forEach((word, i) => (sum[i]! += word));
        const decoded = decode(sum, encoding);
        // Each member's rounding moves a rotated value by less than a grid step, and rotating back keeps norms.
        const bound = (all.length * Math.sqrt(49) * 1.001) / encoding.scale;
        for (let i = 0; i < 49; i++) {
          const exact = all.reduce((total, update) => total + update[i]!, 0);
          expect(Math.abs(decoded[i]! - exact)).toBeLessThanOrEqual(bound);
        }
      }),
    );
  });

  test('takes the finest grid that fits, and says so when none does', () => {
    const scaleFor = (bits: number): number => {
      const plan = planOf({ secureAggregation: { mode: 'honest-server', clip: 2, bits } });
      return secureEncoding(plan, task(plan).terms).scale;
    };
    expect(scaleFor(24) / scaleFor(20)).toBe(16);
    const huge = planOf({ secureAggregation: { mode: 'honest-server', clip: 1e9, bits: 12 } });
    const crowd = Array.from({ length: 5_000 }, (_, i) => [`did:web:m${i}.example`, hashes.a] as const);
    expect(() => task(huge, { policies: crowd })).toThrow(/does not fit into 12 bits/);
  });

  test('has the grid that the terms bind, which a member refuses when it is finer or coarser than the plan asks for', () => {
    const withGrid = (change: number, plan = planOf()) => {
      const { terms, policies: listed } = task(plan);
      return { policies: listed, terms: { ...terms, gridExponent: terms.gridExponent + change } };
    };
    expect(secureEncoding(own.plan, task().terms).scale).toBe(2 ** task().terms.gridExponent);
    expect(termsHash(withGrid(-1).terms)).not.toBe(termsHash(task().terms));
    expect(() => checkSecureTask(withGrid(1), own)).toThrow(/too fine/);
    expect(() => checkSecureTask(withGrid(-1), own)).toThrow(/coarser/);
    expect(() => secureEncoding(own.plan, withGrid(1).terms)).toThrow(RangeError);
  });

  test('is the same for members whose logarithms differ in the last bits, whatever the plan', () => {
    const [log, cosh] = [Math.log, Math.cosh];
    /** As another engine has them: both differ by some units in the last place. */
    const elsewhere = (by: number, work: () => void): void => {
      Math.log = (x) => log(x) * (1 + by);
      Math.cosh = (x) => cosh(x) * (1 + by);
      try {
        work();
      } finally {
        [Math.log, Math.cosh] = [log, cosh];
      }
    };
    // A clip at which the sums just fill the ring: a hair more would take a coarser grid.
    const exponentOf = (clip: number): number => task(clipped(clip)).terms.gridExponent;
    const clipped = (clip: number): SessionPlan => planOf({ secureAggregation: { mode: 'honest-server', clip } });
    let [fits, doesNot] = [1, 2];
    const finest = exponentOf(fits);
    expect(exponentOf(doesNot)).toBeLessThan(finest);
    while (doesNot - fits > Number.EPSILON * 2) {
      const middle = (fits + doesNot) / 2;
      if (exponentOf(middle) === finest) fits = middle;
      else doesNot = middle;
    }
    for (const clip of [fits, doesNot]) {
      const plan = clipped(clip);
      const round = task(plan);
      for (const by of [-4e-16, 4e-16]) {
        elsewhere(by, () => {
          expect(() => checkSecureTask(round, { ...own, plan })).not.toThrow();
          expect(secureEncoding(plan, round.terms).scale).toBe(2 ** round.terms.gridExponent);
        });
      }
    }
  });
});

test('a plan with neighbours against an active coordinator is no plan', () => {
  expect(() => planOf({ secureAggregation: { mode: 'active-server', clip: 1, degree: 8 } })).toThrow(/degree/);
});
