/** What it takes to hide whole organisations: the noise for a budget, and what it does to the mean of their updates. */
import { FoedusError } from '@foedus/connector/errors';
import {
  epsilonByRound,
  finestGrid,
  lengthsAround,
  noiseByRounds,
  type PrivacyEvent,
  roundEvent,
} from '@foedus/fl-core';
import { z } from 'zod';
import { print, printTable } from '../terminal.ts';
import { budgetWords, positiveUpTo, properDelta, readOptions, wholeWithin } from './privacy-options.ts';
import { drawCurve } from './terminal-chart.ts';

const optionsSchema = z
  .object({
    epsilon: positiveUpTo(1_000),
    delta: properDelta(),
    members: wholeWithin({ from: 2, to: 10_000 }),
    minimum: wholeWithin({ from: 2, to: 10_000 }),
    colluding: wholeWithin({ from: 0, to: 10_000 }),
    parameters: wholeWithin({ from: 1, to: 2 ** 28 }),
    rounds: wholeWithin({ from: 1, to: 100_000 }),
    clip: positiveUpTo(1e9),
    bits: wholeWithin({ from: 12, to: 32 }),
  })
  .refine(({ minimum, members }) => minimum <= members, { path: ['minimum'], message: 'is more than are invited' })
  .refine(({ colluding, minimum }) => colluding < minimum, {
    path: ['colluding'],
    message: 'leaves nobody of the minimum cohort who adds honest noise',
  });
type Question = z.infer<typeof optionsSchema>;

/** What commander gives: text as typed. */
export type OrganisationPlanOptions = Partial<Record<keyof Question, string>>;

export interface OrganisationPlan {
  /** z of the session plan: privacy.noiseMultiplier. */
  readonly noiseMultiplier: number;
  /** Least noise for other numbers of rounds within the same budget, ascending. */
  readonly byRounds: readonly { readonly rounds: number; readonly noiseMultiplier: number }[];
  /** After each of some rounds, ascending; the last is the whole. */
  readonly spent: readonly { readonly round: number; readonly epsilon: number }[];
  /**
   * Standard deviation of the noise in each value of the mean, when everybody's update is in it, by minimum cohort: with
   * a larger one each member has to add less.
   */
  readonly noiseInMean: readonly { readonly minimum: number; readonly deviation: number }[];
}

/** @throws RangeError when no noise keeps the rounds within the budget */
export function organisationPlanOf(question: Question): OrganisationPlan {
  const { epsilon, delta, members, minimum, colluding, rounds, clip } = question;
  const noiseFor = (lengths: readonly number[]): (number | null)[] =>
    noiseByRounds({
      budget: { epsilon, delta },
      lengths,
      releasesOf: (noise, count) => [{ ...eventOf(question, noise), steps: count }],
    });
  const [noiseMultiplier = null] = noiseFor([rounds]);
  if (noiseMultiplier === null) {
    throw new RangeError(
      `No noise keeps ${rounds} rounds within ${budgetWords(question)} and fits into ${question.bits} bits: ` +
        'plan fewer rounds or more bits, or allow more ε.',
    );
  }
  const lengths = lengthsAround(rounds);
  const minima = [...new Set([minimum, colluding + 1, Math.ceil(members / 2), members])]
    .filter((least) => least >= 2 && least > colluding)
    .toSorted((a, b) => a - b);
  return {
    noiseMultiplier,
    byRounds: noiseFor(lengths).flatMap((least, index) =>
      least === null ? [] : [{ rounds: lengths[index] ?? rounds, noiseMultiplier: least }],
    ),
    spent: epsilonByRound(eventOf(question, noiseMultiplier), rounds, delta).byRound.filter(({ round }) => round > 0),
    noiseInMean: minima.map((least) => ({
      minimum: least,
      deviation: (noiseMultiplier * clip * Math.sqrt(members / (least - colluding))) / members,
    })),
  };
}

/** One round with everybody invited, as the coordinator promises it. */
function eventOf(question: Question, noiseMultiplier: number): PrivacyEvent {
  const { delta, members, minimum, colluding, parameters, clip, bits } = question;
  const hash = '0'.repeat(64);
  const plan = {
    privacy: { unit: 'organisation', adjacency: 'replace-one', noiseMultiplier, colluding, delta },
    secureAggregation: {
      mode: 'honest-server',
      clip,
      bits,
      wrapProbability: 1e-6,
      degree: null,
      stepTimeoutSeconds: 60,
    },
    local: { steps: 1, samplingRate: 1, learningRate: 1 },
  } as const;
  const event = roundEvent(plan, {
    protocol: 'foedus-secure-aggregation-1',
    sessionId: 'planned',
    round: 1,
    cohort: Array.from({ length: members }, (_, i) => String(i).padStart(5, '0')),
    modelHash: hash,
    policyHash: hash,
    mode: 'honest-server',
    degree: null,
    minimumCohort: minimum,
    length: parameters,
    bits,
    gridExponent: finestGrid(plan, { length: parameters, members, minimumCohort: minimum }),
  });
  if (event === null) throw new Error('a plan with privacy has an event');
  return event;
}

/**
 * `foedus privacy plan-organisations`: the least noise with which the rounds fit into the budget when all that one
 * organisation contributes is hidden.
 *
 * @throws FoedusError `bad-request` for values out of range or a budget that allows nothing
 */
export function planOrganisations(options: OrganisationPlanOptions): void {
  const question = readOptions(optionsSchema, options);
  let plan: OrganisationPlan;
  try {
    plan = organisationPlanOf(question);
  } catch (cause) {
    throw cause instanceof RangeError ? new FoedusError('bad-request', cause.message, { cause }) : cause;
  }
  const { noiseMultiplier, byRounds, spent, noiseInMean } = plan;
  const rounds = question.rounds === 1 ? '1 round' : `${question.rounds} rounds`;
  const chosen = noiseMultiplier.toFixed(3);
  print(`Noise z = ${chosen} keeps ${rounds} within ${budgetWords(question)}.`);
  print();
  printTable(
    ['what', 'value'],
    [
      ['protected', 'one organisation, exchanged for another'],
      ['budget', budgetWords(question)],
      ['rounds', String(question.rounds)],
      ['clip norm C', String(question.clip)],
      ['noise multiplier z', `${chosen} (the sum of a round has noise of at least z·C)`],
      ['ε as the ledger counts it', (spent.at(-1)?.epsilon ?? 0).toFixed(4)],
    ],
    '',
  );
  print();
  const mark = [question.rounds, noiseMultiplier] as const;
  const points = byRounds.map((one) => [one.rounds, one.noiseMultiplier] as const);
  print(drawCurve({ title: 'Noise z by number of rounds, within the budget', points, mark, isLogarithmic: true }));
  print(
    drawCurve({
      title: `ε by round, with z = ${chosen}`,
      points: spent.map(({ round, epsilon }) => [round, epsilon] as const),
      mark: [question.rounds, spent.at(-1)?.epsilon ?? 0],
    }),
  );
  print('● is this plan.');
  print();
  print(`Noise in each value of the mean of ${question.members} updates, which have norm ${question.clip} at most:`);
  printTable(
    ['minimum cohort', 'may drop out', 'standard deviation', `norm over ${question.parameters} values`],
    noiseInMean.map(({ minimum, deviation }) => [
      String(minimum),
      String(question.members - minimum),
      deviation.toPrecision(3),
      (deviation * Math.sqrt(question.parameters)).toPrecision(3),
    ]),
    '',
  );
}
