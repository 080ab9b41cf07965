/** What it takes to hide whole organisations: the noise for a budget, and what it does to the mean of their updates. */
import { FoedusError } from '@foedus/connector/errors';
import { calibrate, epsilonByRound, type PrivacyEvent, roundEvent } from '@foedus/fl-core';
import { z } from 'zod';
import { plot } from 'simple-ascii-chart';
import { print, printTable } from '../terminal.ts';

const optionsSchema = z
  .object({
    epsilon: z.coerce.number().positive().max(1_000),
    delta: z.coerce.number().gt(0).lt(1),
    members: z.coerce.number().int().min(2).max(10_000),
    minimum: z.coerce.number().int().min(2),
    colluding: z.coerce.number().int().min(0),
    parameters: z.coerce
      .number()
      .int()
      .min(1)
      .max(2 ** 28),
    rounds: z.coerce.number().int().min(1).max(100_000),
    clip: z.coerce.number().positive().max(1e9),
    bits: z.coerce.number().int().min(12).max(32),
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
  const noiseMultiplier = calibrate({
    budget: { epsilon, delta },
    planned: (noise) => [{ ...eventOf(question, noise), steps: rounds }],
    // Rényi composition is what the ledger charges by, so the plan holds there.
    accountant: 'rdp',
  });
  const minima = [...new Set([minimum, colluding + 1, Math.ceil(members / 2), members])]
    .filter((least) => least >= 2 && least > colluding)
    .toSorted((a, b) => a - b);
  return {
    noiseMultiplier,
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
  const event = roundEvent(
    {
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
    },
    {
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
    },
  );
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
  const parsed = optionsSchema.safeParse(options);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `  --${path.join('.')}: ${message}`);
    throw new FoedusError('bad-request', `The plan cannot be made from these values.\n${lines.join('\n')}`);
  }
  const question = parsed.data;
  let plan: OrganisationPlan;
  try {
    plan = organisationPlanOf(question);
  } catch (cause) {
    throw cause instanceof RangeError ? new FoedusError('bad-request', cause.message, { cause }) : cause;
  }
  const { noiseMultiplier, spent, noiseInMean } = plan;
  printTable(
    ['', ''],
    [
      ['unit and neighbours', 'one organisation, exchanged for another'],
      ['budget', `ε = ${question.epsilon} at δ = ${question.delta}`],
      ['rounds', String(question.rounds)],
      ['noise multiplier z', noiseMultiplier.toFixed(3)],
      ['clip norm C', String(question.clip)],
      ['ε as the ledger counts it', (spent.at(-1)?.epsilon ?? 0).toFixed(4)],
    ],
    '',
  );
  print();
  const points = spent.map(({ round, epsilon }): [number, number] => [round, epsilon]);
  const formatter = (value: number): number => Number(value.toPrecision(3));
  print(plot(points, { title: 'ε by round', width: 60, height: 12, formatter }));
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
