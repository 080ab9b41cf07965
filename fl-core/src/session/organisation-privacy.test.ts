import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { epsilonOf } from '../privacy/accountant.ts';
import { aboutRecords, type PrivacyEvent, subsampledGaussian } from '../privacy/event.ts';
import { encode } from '../secure-aggregation/encoding.ts';
import { type SessionPlan, sessionPlanSchema } from './plan.ts';
import { flightsDraft } from './plan.test-data.ts';
import { checkPromise, type Contract, NO_LIMITS } from './promise.ts';
import { roundEvent } from './round-event.ts';
import { secureEncoding, secureTask } from './secure-round.ts';

const draft = {
  ...flightsDraft,
  model: { ...flightsDraft.model, hidden: [64] },
  rounds: 3,
  privacy: { unit: 'organisation', adjacency: 'replace-one', noiseMultiplier: 4, delta: 1e-5 },
};
const planOf = (change: Record<string, unknown> = {}): SessionPlan => sessionPlanSchema.parse({ ...draft, ...change });
const privacyOf = (noiseMultiplier: number, colluding: number) => ({ ...draft.privacy, noiseMultiplier, colluding });

const hash = '0'.repeat(64);
const termsOf = (plan: SessionPlan, members: number, minimumCohort = plan.minimumCohort) =>
  secureTask({
    plan,
    planHash: hash,
    round: 1,
    modelHash: hash,
    policies: Array.from({ length: members }, (_, i) => [`did:web:p${i}.example`, hash] as const),
    minimumCohort,
  }).terms;
const cohort = (n: number, change: Partial<Contract> = {}): Contract[] =>
  Array.from({ length: n }, (_, i) => ({ participantId: `did:web:p${i}.example`, limits: NO_LIMITS, ...change }));

/** A plan, who is invited, and who of them takes part in some round. */
const sessions = fc
  .record({
    minimumCohort: fc.integer({ min: 2, max: 12 }),
    missing: fc.integer({ min: 0, max: 10 }),
    more: fc.integer({ min: 0, max: 30 }),
    stricter: fc.integer({ min: 0, max: 5 }),
    colluding: fc.integer({ min: 0, max: 11 }),
    noiseMultiplier: fc.double({ min: 0.2, max: 40, noNaN: true }),
    clip: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
    bits: fc.integer({ min: 18, max: 32 }),
  })
  .filter(({ minimumCohort, colluding }) => colluding < minimumCohort)
  .map(({ minimumCohort, missing, more, stricter, colluding, noiseMultiplier, clip, bits }) => {
    const plan = planOf({
      minimumCohort,
      privacy: privacyOf(noiseMultiplier, colluding),
      secureAggregation: { mode: 'honest-server', clip, bits },
    });
    const invited = minimumCohort + more;
    const members = Math.max(minimumCohort, invited - missing);
    return { plan, invited, members, least: Math.min(members, minimumCohort + stricter) };
  });

describe('a plan that hides organisations', () => {
  test('counts on one member who colludes, unless it says otherwise', () => {
    expect(planOf().privacy).toEqual({ ...draft.privacy, colluding: 1 });
  });

  test.each([
    ['without secure aggregation', { secureAggregation: null }, /its own share. Plan secure aggregation/],
    [
      'when it would hide who takes part',
      { privacy: { ...draft.privacy, adjacency: 'add-remove' } },
      /plan replace-one/,
    ],
    ['with the clipping of single rows', { privacy: { ...draft.privacy, clipNorm: 1 } }, /clipNorm/],
    ['without noise', { privacy: { ...draft.privacy, noiseMultiplier: 0 } }, /noiseMultiplier/],
  ])('is none %s', (_, change, words) => {
    const parsed = sessionPlanSchema.safeParse({ ...draft, ...change });
    expect(parsed.error?.message).toMatch(words);
  });
});

describe('the noise of a round', () => {
  test('is z·C at least, once all but the fewest have gone and those who collude have subtracted theirs', () => {
    fc.assert(
      fc.property(sessions, ({ plan, members, least }) => {
        const { noiseVariance, scale, clipNorm } = secureEncoding(plan, termsOf(plan, members, least));
        const { noiseMultiplier, colluding } = plan.privacy as { noiseMultiplier: number; colluding: number };
        const left = Math.sqrt((least - colluding) * noiseVariance) / scale;
        expect(left / (noiseMultiplier * clipNorm)).toBeCloseTo(1, 9);
        // Small enough for the sampler to stay fast, however many bits there are.
        expect(noiseVariance).toBeLessThanOrEqual(2 ** 24);
      }),
      { numRuns: 60 },
    );
  });

  test('fits into the ring, at six standard deviations and everybody in the sum', () => {
    fc.assert(
      fc.property(sessions, ({ plan, members, least }) => {
        const { noiseVariance, bits } = secureEncoding(plan, termsOf(plan, members, least));
        expect(6 * Math.sqrt(members * noiseVariance)).toBeLessThan(2 ** (bits - 1));
      }),
      { numRuns: 60 },
    );
  });

  test('is none under privacy of records, where the grid is as fine as the ring allows', () => {
    const record = planOf({
      privacy: { unit: 'record', adjacency: 'add-remove', noiseMultiplier: 1, clipNorm: 1, delta: 1e-5 },
    });
    const encoding = secureEncoding(record, termsOf(record, 5));
    expect(encoding).toEqual(secureEncoding(planOf({ privacy: null }), termsOf(record, 5)));
    expect(encoding.noiseVariance).toBe(0);
  });

  test('is refused where all survivors might collude', () => {
    const plan = planOf({ privacy: privacyOf(4, 3) });
    expect(() => roundEvent(plan, termsOf(plan, 5))).toThrow(/no honest one/);
    expect(() => roundEvent(plan, null)).toThrow(/Plan secure aggregation/);
  });
});

describe('the sensitivity of a round', () => {
  test('is never less than what exchanging one update, however large, moves the sum by', () => {
    const updates = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 193, maxLength: 193 });
    const plan = planOf({ privacy: privacyOf(30, 1) });
    const terms = termsOf(plan, 3);
    const event = roundEvent(plan, terms) as Extract<PrivacyEvent, { mechanism: 'skellam' }>;
    const silent = { ...secureEncoding(plan, terms), noiseVariance: 0 };
    fc.assert(
      fc.property(updates, updates, fc.double({ min: 1e-6, max: 1, noNaN: true }), (one, other, shrink) => {
        const a = new Int32Array(encode(Float64Array.from(one), silent).buffer);
        const b = new Int32Array(
          encode(
            Float64Array.from(other, (value) => -value * shrink),
            silent,
          ).buffer,
        );
        let [l1, square] = [0, 0];
        for (const [i, value] of a.entries()) {
          l1 += Math.abs(value - b[i]!);
          square += (value - b[i]!) ** 2;
        }
        expect(l1).toBeLessThanOrEqual(event.l1Sensitivity);
        expect(Math.sqrt(square)).toBeLessThanOrEqual(event.l2Sensitivity);
      }),
      { numRuns: 40 },
    );
  });

  test('is twice the clip: the ε is that of Gaussian noise z on a sum that moves by 2C, and at most a little more', () => {
    for (const noiseMultiplier of [1, 4, 12]) {
      const plan = planOf({ privacy: privacyOf(noiseMultiplier, 1) });
      const event = roundEvent(plan, termsOf(plan, 6))!;
      const gaussian = {
        mechanism: 'gaussian',
        unit: 'organisation',
        adjacency: 'replace-one',
        convention: 'noise-over-clip',
        noiseMultiplier,
        steps: 1,
      } as const;
      const [epsilon, least] = [epsilonOf([event], 1e-5).epsilon, epsilonOf([gaussian], 1e-5).epsilon];
      expect(epsilon).toBeGreaterThan(least);
      expect(epsilon).toBeLessThan(1.02 * least);
    }
  });
});

describe('the promise of a session that hides organisations', () => {
  test('is what the ledger is charged when all are there, and never less, whoever is', () => {
    fc.assert(
      fc.property(sessions, ({ plan, invited, members, least }) => {
        const promise = checkPromise(plan, cohort(invited));
        fc.pre(promise.holds);
        const promised = promise.partners[0]!.byRound;
        const spent = (n: number, minimum: number, rounds: number): number =>
          epsilonOf([{ ...roundEvent(plan, termsOf(plan, n, minimum))!, steps: rounds }], 1e-5).epsilon;
        for (const { round, epsilon } of promised) {
          expect(epsilon).toBeCloseTo(spent(invited, Math.max(2, plan.minimumCohort), round), 9);
          expect(spent(members, least, round)).toBeLessThanOrEqual(epsilon * (1 + 1e-12));
        }
      }),
      { numRuns: 25 },
    );
  });

  test('is charged to a budget of rows, beside what rows have paid: whoever hides all of them hides each', () => {
    const plan = planOf();
    const round = aboutRecords(roundEvent(plan, termsOf(plan, 4))!);
    const before = subsampledGaussian({ noiseMultiplier: 1, samplingRate: 0.02, steps: 40 });
    const total = epsilonOf([before, { ...round, steps: 3 }], 1e-5).epsilon;
    const promiseWith = (epsilon: number) =>
      checkPromise(
        plan,
        cohort(4, {
          limits: { ...NO_LIMITS, budget: { epsilon, delta: 1e-5 } },
          history: { rounds: 1, events: [before] },
        }),
      );
    expect(promiseWith(total).holds).toBe(true);
    expect(promiseWith(total).partners[0]!.byRound.at(-1)!.epsilon).toBeCloseTo(total, 9);
    expect(promiseWith(total - 1e-3).partners[0]!.reasons.map(({ code }) => code)).toEqual(['budget-exceeded']);
    // And after it rows pay on.
    const rows = planOf({
      privacy: { unit: 'record', adjacency: 'add-remove', noiseMultiplier: 1, clipNorm: 1, delta: 1e-5 },
      secureAggregation: null,
    });
    const history = { rounds: 3, events: [{ ...roundEvent(plan, termsOf(plan, 4))!, steps: 3 }] };
    const [partner] = checkPromise(rows, cohort(4, { history })).partners;
    const all = [
      { ...round, steps: 3 },
      { ...roundEvent(rows, null)!, steps: 3 * 10 },
    ];
    expect(partner!.byRound.at(-1)!.epsilon).toBeCloseTo(epsilonOf(all, 1e-5).epsilon, 9);
  });

  test('hides no membership as rows', () => {
    const member = { ...roundEvent(planOf(), termsOf(planOf(), 4))!, adjacency: 'add-remove' } as PrivacyEvent;
    expect(aboutRecords(member)).toEqual(member);
  });

  test('says why a ring has no room for the noise', () => {
    const plan = planOf({
      privacy: privacyOf(1e5, 1),
      secureAggregation: { mode: 'honest-server', clip: 1, bits: 16 },
    });
    expect(checkPromise(plan, cohort(4)).reasons).toEqual([
      { code: 'ring-too-small', words: expect.stringMatching(/or less noise/) as string },
    ]);
  });
});
