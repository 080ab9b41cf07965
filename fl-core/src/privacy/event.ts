/** What a training did that costs privacy, as it is written into the ledger and composed by the accountant. */
import { z } from 'zod';

/**
 * `steps` releases of the Gaussian mechanism on Poisson samples of one data set: every row is in a step's sample
 * independently with probability `samplingRate` (q), a row's contribution has L2 norm at most C, and the noise has
 * standard deviation `noiseMultiplier`·C (σ·C). Unit of privacy: one row. Adjacency: one row added or removed.
 */
export const privacyEventSchema = z.object({
  mechanism: z.literal('poisson-subsampled-gaussian'),
  unit: z.literal('record').default('record'),
  adjacency: z.literal('add-remove').default('add-remove'),
  noiseMultiplier: z.number().positive(),
  samplingRate: z.number().gt(0).max(1),
  steps: z.int().min(0),
});
export type PrivacyEvent = z.infer<typeof privacyEventSchema>;
