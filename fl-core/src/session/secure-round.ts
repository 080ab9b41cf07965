/** What a session's plan means for a round under secure aggregation: the terms, the encoding, and what a member checks. */
import { z } from 'zod';
import { noiseShare } from '../privacy/distributed-noise.ts';
import { type Encoding, planEncoding } from '../secure-aggregation/encoding.ts';
import { RoundFailure } from '../secure-aggregation/failure.ts';
import { documentHash, type RoundTerms, roundTermsSchema, termsHash } from '../secure-aggregation/terms.ts';
import { parameterCount } from './hash.ts';
import type { SecureAggregationParameters, SessionPlan } from './plan.ts';

/** A participant, and the SHA-256 (hex, RFC 8785 form) of the agreement that both sides signed. */
export type MemberPolicy = readonly [participantId: string, agreementHash: string];

/** What a member is told about the round that it is asked to take part in. */
export const secureTaskSchema = z.object({
  terms: roundTermsSchema,
  /** Of all of the cohort, in its order: what `terms.policyHash` follows from. */
  policies: z.array(z.tuple([z.string().min(1).max(2_048), z.string().regex(/^[0-9a-f]{64}$/)])).max(100_000),
});
export type SecureTask = z.infer<typeof secureTaskSchema>;

/** What the encoding follows from, beside the round's terms. */
type SecurePlan = Pick<SessionPlan, 'privacy' | 'secureAggregation'>;

/** @returns SHA-256, hex, of what is agreed: the session's plan and the agreement of each member */
export const policyHashOf = (planHash: string, policies: readonly MemberPolicy[]): string =>
  documentHash({ planHash, agreements: policies });

/** @throws RangeError for a plan without secure aggregation: a defect of the caller */
function secureOf({ secureAggregation }: Pick<SessionPlan, 'secureAggregation'>): SecureAggregationParameters {
  if (secureAggregation === null) throw new RangeError('The plan does not ask for secure aggregation.');
  return secureAggregation;
}

/**
 * The terms of a round.
 *
 * @param policies of everybody who takes part, in any order: its ids are the cohort
 * @param minimumCohort the largest that the plan and the agreements ask for
 * @throws RangeError when the plan has no secure aggregation, and when no grid fits: plan more bits, a smaller clip or less
 *   noise
 */
export function secureTask(options: {
  readonly plan: SessionPlan;
  readonly planHash: string;
  readonly round: number;
  /** SHA-256 of the parameters that the round starts from. */
  readonly modelHash: string;
  readonly policies: readonly MemberPolicy[];
  readonly minimumCohort: number;
}): SecureTask {
  const { plan, planHash, round, modelHash, minimumCohort } = options;
  const { mode, degree, bits } = secureOf(plan);
  const length = parameterCount(plan);
  const least = Math.max(2, minimumCohort);
  const policies = options.policies
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([participantId, hash]): [string, string] => [participantId, hash]);
  return {
    policies,
    terms: {
      protocol: 'foedus-secure-aggregation-1',
      sessionId: plan.sessionId,
      round,
      cohort: policies.map(([participantId]) => participantId),
      modelHash,
      policyHash: policyHashOf(planHash, policies),
      mode,
      degree,
      minimumCohort: least,
      length,
      bits,
      gridExponent: finestGrid(plan, { length, members: policies.length, minimumCohort: least }),
    },
  };
}

export const COORDINATOR_IS_MEMBER =
  'The coordinator is a member of the cohort: it would subtract its own input from the sum, which is then over one fewer ' +
  'than it says.';

/**
 * What a member knows without the coordinator, compared with what the coordinator says.
 *
 * @throws RoundFailure `other-round`: the member must not take part
 */
export function checkSecureTask(
  { terms, policies }: SecureTask,
  own: {
    readonly plan: SessionPlan;
    readonly planHash: string;
    readonly round: number;
    readonly modelHash: string;
    /** The member's own entry. */
    readonly policy: MemberPolicy;
  },
): void {
  const { plan, planHash, round, modelHash, policy } = own;
  const { mode, degree, bits } = secureOf(plan);
  const expected: Partial<RoundTerms> = {
    sessionId: plan.sessionId,
    round,
    modelHash,
    mode,
    degree,
    bits,
    length: parameterCount(plan),
    policyHash: policyHashOf(planHash, policies),
  };
  for (const [term, value] of Object.entries(expected)) {
    const stated = terms[term as keyof RoundTerms];
    if (stated === value) continue;
    throw new RoundFailure('other-round', `The round's ${term} is ${String(stated)}, but ${String(value)} is agreed.`);
  }
  if (terms.minimumCohort < plan.minimumCohort) {
    throw new RoundFailure(
      'other-round',
      `The round's minimum cohort is ${terms.minimumCohort}; the plan says ${plan.minimumCohort}.`,
    );
  }
  if (terms.cohort.includes(plan.coordinator)) throw new RoundFailure('other-round', COORDINATOR_IS_MEMBER);
  const names = policies.map(([participantId]) => participantId);
  if (names.length !== terms.cohort.length || names.some((name, i) => name !== terms.cohort[i])) {
    throw new RoundFailure('other-round', 'The agreements are not those of the cohort.');
  }
  if (!policies.some(([id, hash]) => id === policy[0] && hash === policy[1])) {
    throw new RoundFailure('other-round', `The round is not held under the agreement that ${policy[0]} signed.`);
  }
  checkGrid(plan, terms);
}

/** Powers of two that a grid may have: 2^−30 to 2^40 ring elements for each unit. */
const COARSEST = -30;
const FINEST = 40;
/**
 * Ring elements squared. A share of noise of this variance is some thousand steps of the grid wide: a finer grid would be
 * hidden by it all the same, and the sampler would take longer.
 */
const MOST_SHARE = 2 ** 24;
/**
 * Whether a grid fits follows from logarithms, whose last bits may differ between platforms: the coordinator leaves this
 * part of the ring, many times what they can differ by, and every member asks for less.
 */
const MARGIN = 1e-9;

/** What a grid follows from, beside the plan. */
interface Sums {
  readonly length: number;
  /** Of the cohort. */
  readonly members: number;
  readonly minimumCohort: number;
}

const sumsOf = ({ length, cohort, minimumCohort }: RoundTerms): Sums => ({
  length,
  members: cohort.length,
  minimumCohort,
});

/**
 * Whether with this grid the sum of the cohort wraps around within the plan's bits with no more than the plan's probability,
 * and no share of noise is wider than it need be.
 *
 * @throws RangeError when no honest survivor is left that would add noise
 */
function encodingWith(
  plan: SecurePlan,
  { length, members, minimumCohort }: Sums,
  exponent: number,
  { margin, rotationSeed = '' }: { readonly margin: number; readonly rotationSeed?: string },
): Encoding | undefined {
  const { clip, bits, wrapProbability } = secureOf(plan);
  const scale = 2 ** exponent;
  const noiseVariance = shareOfNoise(plan, minimumCohort, scale);
  if (noiseVariance * (1 + margin) > MOST_SHARE) return undefined;
  const encoding = tryEncoding(() =>
    planEncoding({
      length,
      clipNorm: clip,
      scale,
      cohort: members,
      rotationSeed,
      noiseVariance,
      wrapProbability,
      margin,
    }),
  );
  return encoding !== undefined && encoding.bits <= bits ? { ...encoding, bits } : undefined;
}

/**
 * The coordinator's choice of a grid for the terms of a round.
 *
 * @returns the exponent of 2: ring elements for each unit of an update
 * @throws RangeError when no grid fits, and when no honest survivor is left that would add noise
 */
export function finestGrid(plan: SecurePlan, sums: Sums): number {
  for (let exponent = FINEST; exponent >= COARSEST; exponent--) {
    if (encodingWith(plan, sums, exponent, { margin: MARGIN }) !== undefined) return exponent;
  }
  throw doesNotFit(plan, sums);
}

const doesNotFit = (plan: SecurePlan, { members }: Sums): RangeError =>
  new RangeError(
    `A cohort of ${members} with clip ${secureOf(plan).clip} does not fit into ${secureOf(plan).bits} bits. Plan more bits, a smaller clip or less noise.`,
  );

/**
 * A finer grid would let sums wrap around; a coarser one rounds more, which loses precision, and costs privacy where noise
 * is for the rounded values.
 *
 * @throws RoundFailure `other-round` for a grid that is not the finest one that fits
 */
function checkGrid(plan: SecurePlan, terms: RoundTerms): void {
  const { gridExponent } = terms;
  const fits = (exponent: number, margin: number): boolean => {
    try {
      return encodingWith(plan, sumsOf(terms), exponent, { margin }) !== undefined;
    } catch (error) {
      if (error instanceof RangeError) throw new RoundFailure('other-round', error.message);
      throw error;
    }
  };
  if (!fits(gridExponent, 0)) {
    throw new RoundFailure('other-round', `The round's grid (2^${gridExponent}) is too fine for the ring of the plan.`);
  }
  if (gridExponent < FINEST && fits(gridExponent + 1, 2 * MARGIN)) {
    throw new RoundFailure('other-round', `The round's grid (2^${gridExponent}) is coarser than the plan asks for.`);
  }
}

/**
 * How updates become ring elements: on the grid of the terms, which is the finest one (a power of two) with which the sum
 * of the cohort does not wrap around within the plan's bits but with the plan's probability. Under privacy of organisations
 * the encoding has each member's share of the noise, and the ring room for it.
 *
 * The fewest survivors are the terms' minimum cohort: a member takes no mask off a smaller sum, while the threshold follows
 * from whoever is there at the round's beginning and promises nothing beforehand.
 *
 * @returns the encoding; its rotation follows from the terms
 * @throws RangeError when the grid does not fit; and when no honest survivor is left that would add noise
 */
export function secureEncoding(plan: SecurePlan, terms: RoundTerms): Encoding {
  const sums = sumsOf(terms);
  const encoding = encodingWith(plan, sums, terms.gridExponent, { margin: 0, rotationSeed: termsHash(terms) });
  if (encoding === undefined) throw doesNotFit(plan, sums);
  return encoding;
}

/** Variance of each member's noise, in ring elements; 0 without privacy of organisations. */
function shareOfNoise({ privacy, secureAggregation }: SecurePlan, leastSurvivors: number, scale: number): number {
  if (privacy?.unit !== 'organisation' || secureAggregation === null) return 0;
  const { noiseMultiplier, colluding } = privacy;
  const needed = (noiseMultiplier * secureAggregation.clip * scale) ** 2;
  return noiseShare({ needed, leastSurvivors, colluding });
}

function tryEncoding(plan: () => Encoding): Encoding | undefined {
  try {
    return plan();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
