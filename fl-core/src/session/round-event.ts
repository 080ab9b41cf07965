/** What a round of a session releases, as the accountants count it and as the ledger keeps it. */
import { skellamRound } from '../privacy/distributed-noise.ts';
import { type PrivacyEvent, subsampledGaussian } from '../privacy/event.ts';
import type { Encoding } from '../secure-aggregation/encoding.ts';
import type { RoundTerms } from '../secure-aggregation/terms.ts';
import { NEEDS_SECURE_AGGREGATION, type OrganisationPrivacy, type SessionPlan } from './plan.ts';
import { secureEncoding } from './secure-round.ts';

/**
 * @param terms of the round under secure aggregation; null without
 * @returns null for a plan without privacy
 * @throws RangeError for privacy of organisations without secure aggregation, with survivors who might all collude, or
 *   with a ring that has no room for the noise
 */
export function roundEvent(
  plan: Pick<SessionPlan, 'privacy' | 'local' | 'secureAggregation'>,
  terms: RoundTerms | null,
): PrivacyEvent | null {
  const { privacy, local, secureAggregation } = plan;
  if (privacy === null) return null;
  if (privacy.unit === 'record') {
    const { samplingRate, steps } = local;
    return subsampledGaussian({ noiseMultiplier: privacy.noiseMultiplier, samplingRate, steps });
  }
  if (terms === null || secureAggregation === null) throw new RangeError(NEEDS_SECURE_AGGREGATION);
  return organisationEvent(privacy, secureEncoding(plan, terms), terms.minimumCohort);
}

/**
 * Every organisation is in every round, so nothing is amplified (q = 1). The noise counts that is certainly there: of the
 * fewest survivors without those who may collude.
 *
 * @throws RangeError when no honest survivor is left
 */
export function organisationEvent(privacy: OrganisationPrivacy, encoding: Encoding, fewest: number): PrivacyEvent {
  return skellamRound({
    unit: 'organisation',
    adjacency: privacy.adjacency,
    varianceEach: encoding.noiseVariance,
    survivors: fewest,
    colluding: privacy.colluding,
    // The sums of two neighbours differ by one rounded update less another.
    l1Sensitivity: 2 * encoding.l1Bound,
    l2Sensitivity: 2 * encoding.l2Bound,
    dimension: encoding.length,
  });
}
