import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { histogramEvent } from '../metrics/score-histogram.ts';
import { epsilonOf, marginalEpsilon } from '../privacy/accountant.ts';
import { subsampledGaussian } from '../privacy/event.ts';
import { thresholdOf } from '../secure-aggregation/graph.ts';
import { parametersHash, planHash } from './hash.ts';
import { type OrganisationPrivacy, type SessionPlan, sessionPlanSchema } from './plan.ts';
import { flightsDraft } from './plan.test-data.ts';
import { checkPromise, type Contract, type ContractLimits, NO_LIMITS } from './promise.ts';
import { epsilonByRound } from './spending.ts';

const base: SessionPlan = sessionPlanSchema.parse(flightsDraft);

const contract = (limits: Partial<ContractLimits> = {}, i = 0): Contract => ({
  participantId: `did:web:p${i}.example`,
  limits: { ...NO_LIMITS, ...limits },
});
const cohort = (n: number, limits: Partial<ContractLimits> = {}): Contract[] =>
  Array.from({ length: n }, (_, i) => contract(limits, i));
const codes = (promise: ReturnType<typeof checkPromise>): string[] => [
  ...promise.reasons.map(({ code }) => code),
  ...promise.partners.flatMap(({ reasons }) => reasons.map(({ code }) => code)),
];
const round = subsampledGaussian({ noiseMultiplier: 1.2, samplingRate: 0.05, steps: 10 });
const organisation: OrganisationPrivacy = {
  unit: 'organisation',
  adjacency: 'replace-one',
  noiseMultiplier: 4,
  colluding: 1,
  delta: 1e-5,
};

describe('the ε that a session promises', () => {
  test('is what the partner’s ledger will have been charged after each round, whatever was paid before', () => {
    const settings = fc.record({
      noiseMultiplier: fc.double({ min: 0.6, max: 20, noNaN: true }),
      samplingRate: fc.double({ min: 0.001, max: 1, noNaN: true }),
      steps: fc.integer({ min: 1, max: 20 }),
      rounds: fc.integer({ min: 1, max: 6 }),
      before: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(settings, ({ noiseMultiplier, samplingRate, steps, rounds, before }) => {
        const plan: SessionPlan = {
          ...base,
          rounds,
          local: { ...base.local, steps, samplingRate },
          privacy: { unit: 'record', adjacency: 'add-remove', noiseMultiplier, clipNorm: 1, delta: 1e-3 },
        };
        const history = Array.from({ length: before }, () => round);
        const delta = 1e-5;
        const [partner] = checkPromise(plan, [
          { ...contract({ budget: { epsilon: 1e9, delta } }), history: { rounds: before, events: history } },
        ]).partners;
        const event = subsampledGaussian({ noiseMultiplier, samplingRate, steps });
        const ledger = [...history];
        let charged = epsilonOf(ledger, delta).epsilon;
        let largest = 0;
        for (let r = 0; r <= rounds; r++) {
          expect(partner!.byRound[r]!.round).toBe(r);
          expect(partner!.byRound[r]!.epsilon).toBeCloseTo(charged, 8);
          const marginal = marginalEpsilon(ledger, event, delta);
          if (r < rounds) largest = Math.max(largest, marginal);
          charged += marginal;
          ledger.push(event);
        }
        expect(partner!.delta).toBe(delta);
        expect(partner!.largestRound).toBeCloseTo(largest, 8);
      }),
      { numRuns: 6 },
    );
  });

  test('adds at most what is stated as the largest round, also where the first rounds cost nothing', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 8, noNaN: true }),
        fc.integer({ min: 1, max: 5 }),
        fc.double({ min: 0.01, max: 0.5, noNaN: true }),
        (noiseMultiplier, steps, delta) => {
          const event = subsampledGaussian({ noiseMultiplier, samplingRate: 0.3, steps });
          const { byRound, largestRound } = epsilonByRound(event, 40, delta);
          const added = byRound.slice(1).map(({ epsilon }, i) => epsilon - byRound[i]!.epsilon);
          expect(largestRound).toBeCloseTo(Math.max(...added), 9);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('is stated for some rounds of a long session: none before the last left out, the last always there', () => {
    const [partner] = checkPromise({ ...base, rounds: 5_000 }, [contract()]).partners;
    expect(partner!.byRound.length).toBeLessThanOrEqual(61);
    expect(partner!.byRound[0]).toEqual({ round: 0, epsilon: 0 });
    expect(partner!.byRound.at(-1)!.round).toBe(5_000);
    const rising = partner!.byRound.every(({ epsilon }, i, all) => i === 0 || epsilon > all[i - 1]!.epsilon);
    expect(rising).toBe(true);
  });

  test('of an organisation gets no amplification from the sampling of rows, and counts the fewest survivors', () => {
    const of = (overrides: Partial<SessionPlan>, n = 6) =>
      checkPromise({ ...base, rounds: 1, privacy: organisation, ...overrides }, cohort(n));
    const full = of({});
    expect(full.holds).toBe(true);
    const sampled = of({ local: { ...base.local, samplingRate: 0.001 } });
    expect(sampled.partners[0]!.byRound).toEqual(full.partners[0]!.byRound);
    // The noise multiplier is that of the fewest, whoever they are: with more of them each adds less.
    expect(full.fewest).toBe(3);
    const all = of({ minimumCohort: 6 });
    expect(all.partners[0]!.byRound[1]!.epsilon).toBeCloseTo(full.partners[0]!.byRound[1]!.epsilon, 2);
  });
});

describe('a session is refused when', () => {
  const exchanged = {
    mechanism: 'gaussian',
    unit: 'record',
    adjacency: 'replace-one',
    convention: 'noise-over-sensitivity',
    noiseMultiplier: 9,
    steps: 1,
  } as const;
  const cases: readonly (readonly [string, string, Partial<SessionPlan>, Contract[]])[] = [
    ['fewer are invited than the plan needs', 'cohort-too-small', { minimumCohort: 4 }, cohort(3)],
    ['an agreement asks for more participants', 'cohort-too-small', {}, [...cohort(2), contract({ minimumCohort: 9 })]],
    ['a single partner would be summed', 'cohort-too-small', { minimumCohort: 1 }, cohort(1)],
    [
      'the ring is too small for the sum',
      'ring-too-small',
      { secureAggregation: { ...base.secureAggregation!, bits: 12 } },
      cohort(2_000),
    ],
    [
      'organisations are to be hidden from a coordinator that sees each update',
      'unit-needs-secure-aggregation',
      { privacy: organisation, secureAggregation: null },
      cohort(3),
    ],
    ['all survivors might collude', 'no-honest-noise', { privacy: { ...organisation, colluding: 3 } }, cohort(3)],
    [
      'an agreement wants masks and there are none',
      'secure-aggregation-required',
      { secureAggregation: null },
      cohort(3, { secureAggregation: true }),
    ],
    [
      'an agreement has a budget and nothing is noised',
      'privacy-required',
      { privacy: null },
      cohort(3, { budget: { epsilon: 8, delta: 1e-5 } }),
    ],
    [
      'rows were exchanged before under the agreement, and now they are added',
      'unit-not-agreed',
      {},
      cohort(3).map((one) => ({ ...one, history: { rounds: 1, events: [exchanged] } })),
    ],
    ['the rounds cost more than is agreed', 'budget-exceeded', {}, cohort(3, { budget: { epsilon: 1, delta: 1e-5 } })],
    [
      'one round costs more than is agreed',
      'round-budget-exceeded',
      {},
      cohort(3, { roundBudget: { epsilon: 0.5, delta: 1e-5 } }),
    ],
    [
      'a limit of rounds is stated at a smaller δ',
      'round-budget-exceeded',
      {},
      cohort(3, { roundBudget: { epsilon: 90, delta: 1e-9 } }),
    ],
    ['more rounds are planned than agreed', 'too-many-rounds', {}, cohort(3, { rounds: 19 })],
    ['another model is agreed', 'other-model', {}, cohort(3, { modelHash: '0'.repeat(64) })],
    ['another plan is agreed', 'other-plan', {}, cohort(3, { planHash: '0'.repeat(64) })],
    ['an agreement is not for training', 'no-training-permitted', {}, cohort(3, { permitted: false })],
    [
      'an agreement hides rows and nothing is noised',
      'privacy-required',
      { privacy: null },
      cohort(3, { privacyUnit: 'record' }),
    ],
    [
      'one agreement hides organisations and the plan hides rows',
      'unit-required',
      {},
      [...cohort(2), contract({ privacyUnit: 'organisation' }, 2)],
    ],
  ];
  test.each(cases)('%s', (_name, code, overrides, contracts) => {
    const promise = checkPromise({ ...base, ...overrides }, contracts, {
      modelHash: parametersHash(new Float32Array(2)),
    });
    expect(promise.holds).toBe(false);
    expect(new Set(codes(promise))).toEqual(new Set([code]));
  });

  test('nothing is asked for that the plan has not: the same unit or a larger one, the very plan', () => {
    const hiding = { ...base, privacy: organisation, rounds: 1, evaluation: { ...base.evaluation, metrics: [] } };
    for (const plan of [base, hiding]) {
      const agreed = { planHash: planHash(plan), privacyUnit: 'record' as const };
      expect(checkPromise(plan, cohort(6, agreed)).partners.flatMap(({ reasons }) => reasons)).toEqual([]);
    }
    const strict = checkPromise(hiding, cohort(6, { privacyUnit: 'organisation' }));
    expect(strict.partners.flatMap(({ reasons }) => reasons)).toEqual([]);
  });

  test('rounds held before under the agreement leave too few, or too little ε', () => {
    const history = { rounds: 5, events: Array.from({ length: 5 }, () => round) };
    const limits = {
      rounds: 24,
      budget: { epsilon: checkPromise(base, cohort(3)).partners[0]!.byRound.at(-1)!.epsilon, delta: 1e-5 },
    };
    expect(checkPromise(base, cohort(3, limits)).holds).toBe(true);
    const again = checkPromise(
      base,
      cohort(3, limits).map((one) => ({ ...one, history })),
    );
    expect(new Set(codes(again))).toEqual(new Set(['too-many-rounds', 'budget-exceeded']));
  });
});

describe('a refusal for too much ε', () => {
  test.each([1.5, 1.65, 1.74, 1.78, 1.84])(
    'of %d names rounds and noise that would be enough, and they are',
    (epsilon) => {
      const budget = { epsilon, delta: 1e-5 };
      const [reason] = checkPromise(base, cohort(3, { budget })).partners[0]!.reasons;
      const [, rounds, noise] = /enough for (\d+) rounds, or with noise multiplier (\d+\.\d+)/.exec(reason!.words)!;
      expect(checkPromise({ ...base, rounds: Number(rounds) }, cohort(3, { budget })).holds).toBe(true);
      expect(checkPromise({ ...base, rounds: Number(rounds) + 1 }, cohort(3, { budget })).holds).toBe(false);
      const noisier = { ...base.privacy!, noiseMultiplier: Number(noise) } as SessionPlan['privacy'];
      expect(checkPromise({ ...base, privacy: noisier }, cohort(3, { budget })).holds).toBe(true);
    },
  );

  test('looks for enough noise for a few budgets only, however many partners have one each', () => {
    const contracts = [1.5, 1.6, 1.7, 1.75, 1.8].map((epsilon, i) => contract({ budget: { epsilon, delta: 1e-5 } }, i));
    const words = checkPromise(base, contracts).partners.map(({ reasons }) => reasons[0]!.words);
    expect(words.map((one) => /or with (noise multiplier|more noise)/.exec(one)![1])).toEqual([
      'noise multiplier',
      'noise multiplier',
      'noise multiplier',
      'more noise',
      'more noise',
    ]);
    for (const [i, one] of words.entries()) {
      const rounds = Number(/enough for (\d+) rounds/.exec(one)![1]);
      expect(
        checkPromise({ ...base, rounds }, [contracts[i]!, contract(), contract({}, 8)]).partners[0]!.reasons,
      ).toEqual([]);
    }
  });
});

describe('what is promised', () => {
  test('depends on the mode: how many may drop out, and what a coordinator may do', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 40 }), fc.integer({ min: 1, max: 3 }), (n, minimumCohort) => {
        for (const mode of ['honest-server', 'active-server'] as const) {
          const secureAggregation = { ...base.secureAggregation!, mode };
          const promise = checkPromise({ ...base, minimumCohort, secureAggregation }, cohort(n));
          // Fewer may begin the round, and then the threshold is another: only the minimum is certain.
          expect(promise.fewest).toBe(Math.max(2, minimumCohort));
          expect(promise.mayDrop).toBe(n - Math.max(2, minimumCohort, thresholdOf(n - 1, mode)));
          expect(promise.ring!.bits).toBe(24);
        }
      }),
      { numRuns: 30 },
    );
    const open = checkPromise({ ...base, secureAggregation: null }, cohort(5));
    expect(open.words).toContain('The coordinator sees every update.');
    expect([open.fewest, open.ring]).toEqual([3, null]);
  });

  test('names how many may be in league with the coordinator: by the minimum cohort, not by who is invited', () => {
    const seen = (minimumCohort: number, secure: object, invited = 12): string =>
      checkPromise(
        { ...base, minimumCohort, secureAggregation: { ...base.secureAggregation!, ...secure } },
        cohort(invited),
      ).words[0]!;
    const active = { mode: 'active-server' };
    const honest = { mode: 'honest-server' };
    expect(seen(7, active)).toBe(
      'The coordinator sees the sum of at least 7 updates and no single one, whatever it sends, while fewer than a third ' +
        'of the members are in league with it (at most 2 of 7).',
    );
    expect(seen(3, active)).toContain('(none of 3)');
    expect(seen(6, honest)).toMatch(
      /as long as it follows the protocol and while at most half of the members are in league with it \(at most 3 of 6\)\.$/,
    );
    // One of two subtracts its own, and the other's is left.
    expect(seen(2, honest)).toContain('(none of 2)');
    expect(seen(90, { ...honest, degree: 64 }, 100)).toContain('while few of the members');
    expect(seen(90, { ...honest, degree: 64 }, 100)).toContain('(at most 2 of 100)');
    expect(seen(90, { ...honest, degree: 4 }, 100)).toContain('(none of 100)');
  });

  test('keeps metrics that an agreement does not allow, and leaves kinds of purposes to the partner', () => {
    const open = {
      ...base,
      privacy: null,
      evaluation: { ...base.evaluation, metrics: ['auc' as const, 'logLoss' as const] },
    };
    const { holds, partners } = checkPromise(open, [
      ...cohort(2, { metrics: ['auc', 'logLoss'] }),
      contract({ metrics: ['auc'], purposes: ['https://w3id.org/dpv#Marketing'] }, 2),
    ]);
    expect(holds).toBe(true);
    expect(partners[2]!.notes.join(' ')).toMatch(/not report logLoss.*node decides whether/);
    expect(partners[0]!.notes.join(' ')).not.toContain('not report');
    const unclear = checkPromise(open, cohort(3, { problems: ['The operand weather is not known.'] }));
    expect(unclear.holds).toBe(true);
    expect(unclear.partners[0]!.notes.join(' ')).toContain(
      'its node may refuse for it: The operand weather is not known.',
    );
  });

  test('is cautioned about sums of two and about too few neighbours', () => {
    expect(checkPromise({ ...base, minimumCohort: 2 }, cohort(2)).cautions.join()).toContain('With two in a sum');
    const sparse = { ...base.secureAggregation!, degree: 4 };
    const { cautions } = checkPromise({ ...base, minimumCohort: 30, secureAggregation: sparse }, cohort(60));
    expect(cautions.join()).toContain('With 4 neighbours each');
  });
});

describe('metrics of single partners', () => {
  const metrics = ['auc', 'logLoss'] as const;
  const noise = { bins: 32, noiseMultiplier: 6 };
  const measured = (changes: Partial<SessionPlan['evaluation']> = {}): SessionPlan => ({
    ...base,
    evaluation: { ...base.evaluation, metrics: [...metrics], every: 3, noise, ...changes },
  });
  const spent = (rounds: number, evaluations: number): number =>
    epsilonOf(
      [
        { ...round, steps: 10 * rounds },
        { ...histogramEvent(noise), steps: evaluations },
      ],
      1e-5,
    ).epsilon;

  test.each([
    ['with privacy and no noise of their own', measured({ noise: null })],
    ['of organisations that are to be hidden as a whole', { ...measured(), privacy: organisation }],
    ['with noise that no budget counts', { ...measured(), privacy: null }],
  ])('are not planned %s', (_, plan) => {
    expect(codes(checkPromise(plan, cohort(6, { metrics })))).toEqual(['metrics-need-noise']);
  });

  test('are exact where there is no privacy to keep', () => {
    expect(checkPromise({ ...measured({ noise: null }), privacy: null }, cohort(3, { metrics })).holds).toBe(true);
  });

  test('are in the ε by round of whoever sends them, after every so many rounds, and of nobody else', () => {
    const all = [contract({ metrics }), contract({}, 1), contract({ metrics: ['auc'] }, 2)];
    const [one, none, half] = checkPromise(measured(), all).partners;
    for (const { round: r, epsilon } of one!.byRound) expect(epsilon).toBeCloseTo(spent(r, Math.floor(r / 3)), 9);
    for (const { round: r, epsilon } of none!.byRound) expect(epsilon).toBeCloseTo(spent(r, 0), 9);
    expect(half!.byRound).toEqual(none!.byRound);
    expect(one!.notes.join()).toMatch(/noised histogram.*auc and logLoss follow; ε counts it/);
    expect(none!.notes.join()).toMatch(/not report auc and logLoss/);
    expect(half!.notes.join()).toMatch(/all of auc and logLoss, which one histogram tells/);
  });

  test('count in what fits instead, and in the round that costs most', () => {
    const budget = { epsilon: (spent(9, 3) + spent(10, 3)) / 2, delta: 1e-5 };
    const [partner] = checkPromise(measured(), cohort(3, { budget, metrics })).partners;
    expect(partner!.reasons[0]!.words).toContain('enough for 9 rounds');
    const steps = Array.from({ length: 20 }, (_, i) => i + 1);
    const each = steps.map((r) => spent(r, Math.floor(r / 3)) - spent(r - 1, Math.floor((r - 1) / 3)));
    expect(partner!.largestRound).toBeCloseTo(Math.max(...each), 9);
  });

  test('that alone cost more than the budget are named as what is too much', () => {
    const loud = { bins: 32, noiseMultiplier: 0.5 };
    const budget = { epsilon: spent(2, 0) + 1, delta: 1e-5 };
    const [partner] = checkPromise(measured({ noise: loud }), cohort(3, { budget, metrics })).partners;
    expect(partner!.reasons[0]!.words).toMatch(/enough for 2 rounds; no noise of updates is, since evaluations/);
  });
});
