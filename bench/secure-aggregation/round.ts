/** Rounds for measuring: what one member and the coordinator do is timed, the others' messages come from the same functions. */
import {
  type Advertised,
  advertiseKeys,
  createRandomBits,
  type Encoding,
  openRound,
  planEncoding,
  type RoundTerms,
} from '@foedus/fl-core';

// Signatures are ECDSA of the participants' certificates in a round; what they cost is not this protocol's.
export const edges = { random: createRandomBits(), sign: async () => 'signature', verify: async () => {} };

export function encodingFor(cohort: number, length: number): Encoding {
  return planEncoding({ length, clipNorm: 1, scale: 2 ** 16, cohort, rotationSeed: 'bench', noiseVariance: 100 });
}

/** @param degree null, or as many as there are others, for everybody with everybody */
export function termsFor(members: number, degree: number | null, { length, bits, scale }: Encoding): RoundTerms {
  return {
    protocol: 'foedus-secure-aggregation-1',
    sessionId: 'bench',
    round: 1,
    cohort: Array.from({ length: members }, (_, i) => `did:web:member-${String(i).padStart(5, '0')}.example`),
    modelHash: '0'.repeat(64),
    policyHash: '0'.repeat(64),
    mode: 'honest-server',
    degree: degree !== null && degree < members - 1 ? degree : null,
    minimumCohort: 2,
    length,
    bits,
    gridExponent: Math.log2(scale),
  };
}

/**
 * Everybody's keys, and the coordinator's stage after them.
 *
 * @param measure runs what is the coordinator's
 */
export async function exchangeKeys(
  terms: RoundTerms,
  measure: <T>(run: () => T | Promise<T>) => Promise<T> = async (run) => run(),
) {
  const stage = await measure(() => openRound(terms, edges.verify));
  const states: Advertised[] = [];
  let bytes = 0;
  for (const [member, id] of terms.cohort.entries()) {
    const { state, message } = await advertiseKeys(terms, id, edges);
    await measure(() => stage.accept(member, message));
    states.push(state);
    bytes = JSON.stringify(message).length;
  }
  return { ...(await measure(() => stage.close())), states, bytes };
}
