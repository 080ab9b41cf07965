/**
 * What was done that costs privacy, as it is written into the ledger and composed by the accountants. Every event
 * says whose privacy it is about (`unit`), what two neighbouring data sets are (`adjacency`) and, where the two could
 * be confused, what its noise is measured by (`convention`). Events that differ in unit or adjacency never add up.
 */
import { z } from 'zod';

/** Whose presence is hidden: one row of one organisation, or all that one organisation contributed. */
export const privacyUnitSchema = z.enum(['record', 'organisation']);
export type PrivacyUnit = z.infer<typeof privacyUnitSchema>;

/** Neighbours: one unit more or less, or one unit exchanged for any other in a data set of known size. */
export const adjacencySchema = z.enum(['add-remove', 'replace-one']);
export type Adjacency = z.infer<typeof adjacencySchema>;

/**
 * What noise multiplier 1 means. `noise-over-clip`: the largest norm C of one unit's contribution; exchanging a unit
 * moves the result by up to 2C, so the same number is worth half as much under replace-one. `noise-over-sensitivity`:
 * the largest distance of the results of two neighbours, whatever they are.
 */
export const noiseConventionSchema = z.enum(['noise-over-clip', 'noise-over-sensitivity']);
export type NoiseConvention = z.infer<typeof noiseConventionSchema>;

const noiseMultiplier = z.number().positive();
const steps = z.int().min(0);
const model = { unit: privacyUnitSchema, adjacency: adjacencySchema };

/**
 * `steps` releases of the Gaussian mechanism on Poisson samples of one data set: every row is in a step's sample
 * independently with probability `samplingRate` (q), a row's contribution has L2 norm at most C, and the noise has
 * standard deviation `noiseMultiplier`·C (σ·C). Under add/remove both conventions say the same. The unit is a record:
 * an organisation that takes part in every round is not sampled, and nothing is amplified for it.
 *
 * `batchCap`: samples of more than `records` rows are cut to that size, in a data set of at most `datasetSize` rows.
 * A row's chance then depends on the others, which costs an additional δ (truncatedSampling).
 */
export const sampledGaussianSchema = z.object({
  mechanism: z.literal('poisson-subsampled-gaussian'),
  unit: z.literal('record').default('record'),
  adjacency: z.literal('add-remove').default('add-remove'),
  noiseMultiplier,
  samplingRate: z.number().gt(0).max(1),
  steps,
  batchCap: z.object({ records: z.int().min(1), datasetSize: z.int().min(1) }).optional(),
});

/** `steps` releases with Gaussian noise, everybody in every one: q = 1. */
export const gaussianSchema = z.object({
  mechanism: z.literal('gaussian'),
  ...model,
  convention: noiseConventionSchema,
  noiseMultiplier,
  steps,
});

/** `steps` Gaussian releases, each on `batchSize` of the `datasetSize` records, drawn without replacement. */
export const fixedSizeGaussianSchema = z.object({
  mechanism: z.literal('fixed-size-subsampled-gaussian'),
  unit: z.literal('record'),
  adjacency: z.literal('replace-one'),
  convention: noiseConventionSchema,
  noiseMultiplier,
  batchSize: z.int().min(1),
  datasetSize: z.int().min(1),
  steps,
});

/** `steps` releases with Laplace noise of scale b = `noiseMultiplier` times the L1 clip norm or L1 sensitivity. */
export const laplaceSchema = z.object({
  mechanism: z.literal('laplace'),
  ...model,
  convention: noiseConventionSchema,
  noiseMultiplier,
  steps,
});

/**
 * Integers with discrete Gaussian noise. `sigma`: the parameter of every summand, in integer units. `summands`: how
 * many independent such noises were really added (survivors, not those who enrolled). Sensitivities are distances of
 * the results of two neighbours under the stated adjacency.
 */
export const discreteGaussianSchema = z.object({
  mechanism: z.literal('discrete-gaussian'),
  ...model,
  sigma: z.number().positive(),
  summands: z.int().min(1),
  l2Sensitivity: z.number().positive(),
  dimension: z.int().min(1),
  steps,
});

/** Integers with Skellam noise of `variance` in all (sums of Skellam noises are Skellam, their variances add up). */
export const skellamSchema = z.object({
  mechanism: z.literal('skellam'),
  ...model,
  variance: z.number().positive(),
  l1Sensitivity: z.number().positive(),
  l2Sensitivity: z.number().positive(),
  dimension: z.int().min(1),
  steps,
});

export const privacyEventSchema = z.discriminatedUnion('mechanism', [
  sampledGaussianSchema,
  gaussianSchema,
  fixedSizeGaussianSchema,
  laplaceSchema,
  discreteGaussianSchema,
  skellamSchema,
]);
export type PrivacyEvent = z.infer<typeof privacyEventSchema>;
export type SampledGaussian = z.infer<typeof sampledGaussianSchema>;
export type FixedSizeGaussian = z.infer<typeof fixedSizeGaussianSchema>;
export type DiscreteGaussianEvent = z.infer<typeof discreteGaussianSchema>;
export type SkellamEvent = z.infer<typeof skellamSchema>;

/** Events of different units or neighbours in one sum: there is no such ε. */
export class PrivacyModelMismatchError extends RangeError {
  override readonly name = 'PrivacyModelMismatchError';
  readonly code = 'privacy-model-mismatch';
}

/**
 * @returns the unit and adjacency that all events share; undefined when there are none
 * @throws PrivacyModelMismatchError when they differ
 * @throws RangeError when a number of steps is negative
 */
export function commonModel(
  events: readonly PrivacyEvent[],
): { readonly unit: PrivacyUnit; readonly adjacency: Adjacency } | undefined {
  const [first] = events;
  for (const event of events) {
    if (!(event.steps >= 0)) throw new RangeError(`The number of steps must not be negative; it is ${event.steps}.`);
    if (first !== undefined && (event.unit !== first.unit || event.adjacency !== first.adjacency)) {
      throw new PrivacyModelMismatchError(
        `Privacy of one ${first.unit} under ${first.adjacency} and of one ${event.unit} under ${event.adjacency} ` +
          'cannot be added up: account for them separately.',
      );
    }
  }
  return first === undefined ? undefined : { unit: first.unit, adjacency: first.adjacency };
}

/**
 * What an event says about rows. Whoever exchanges, adds or removes one row of an organisation has exchanged the
 * organisation's data: what hides all of it under replace-one hides each row at least as well, under both adjacencies.
 * Nothing of the kind holds the other way round.
 *
 * @param adjacency of the rows
 * @returns the event itself when it is about records
 */
export function aboutRecords(event: PrivacyEvent, adjacency: Adjacency = 'add-remove'): PrivacyEvent {
  if (event.unit !== 'organisation' || event.adjacency !== 'replace-one') return event;
  if ('convention' in event) {
    // What the noise is measured by must not change with the adjacency.
    const noise = event.noiseMultiplier / sensitivityFactor(event);
    return { ...event, unit: 'record', adjacency, convention: 'noise-over-sensitivity', noiseMultiplier: noise };
  }
  return { ...event, unit: 'record', adjacency };
}

/** @returns how far neighbours' results are apart, in units of what the noise multiplier is measured by: 1 or 2 */
export function sensitivityFactor(event: {
  readonly adjacency: Adjacency;
  readonly convention: NoiseConvention;
}): number {
  return event.convention === 'noise-over-clip' && event.adjacency === 'replace-one' ? 2 : 1;
}

/** A Poisson-subsampled Gaussian event of record-level, add/remove privacy. */
export function subsampledGaussian(
  parameters: Pick<SampledGaussian, 'noiseMultiplier' | 'samplingRate' | 'steps'> &
    Partial<Pick<SampledGaussian, 'batchCap'>>,
): SampledGaussian {
  const { noiseMultiplier: sigma, samplingRate, steps: count, batchCap } = parameters;
  return {
    mechanism: 'poisson-subsampled-gaussian',
    unit: 'record',
    adjacency: 'add-remove',
    noiseMultiplier: sigma,
    samplingRate,
    steps: count,
    ...(batchCap === undefined ? {} : { batchCap }),
  };
}
