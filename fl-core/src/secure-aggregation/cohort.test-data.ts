/** A cohort with real certificates' place taken by Ed25519 keys: signing is injected, so any signature will do. */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import canonicalize from 'canonicalize';
import { createRandomBits } from '../noise/random-bits.ts';
import type { MemberEdges } from './client.ts';
import type { RoundTerms } from './terms.ts';

const bytesOf = (document: object): Buffer => Buffer.from(canonicalize(document) ?? '');

export interface Cohort {
  readonly terms: RoundTerms;
  /** Of the member at this index. */
  readonly edges: (member: number) => MemberEdges;
  readonly verify: MemberEdges['verify'];
}

export function createCohort(size: number, overrides: Partial<RoundTerms> = {}): Cohort {
  const cohort = Array.from({ length: size }, (_, i) => `did:web:m${String(i).padStart(6, '0')}.example`);
  const keys = new Map(cohort.map((id) => [id, generateKeyPairSync('ed25519')]));
  const random = createRandomBits();
  const verifySignature: MemberEdges['verify'] = async (signature, document, participant) => {
    const key = keys.get(participant)?.publicKey;
    if (key === undefined || !verify(null, bytesOf(document), key, Buffer.from(signature, 'base64'))) {
      throw new Error('the signature does not fit');
    }
  };
  return {
    terms: {
      protocol: 'foedus-secure-aggregation-1',
      sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90',
      round: 3,
      cohort,
      modelHash: 'ab'.repeat(32),
      policyHash: 'cd'.repeat(32),
      mode: 'honest-server',
      degree: null,
      minimumCohort: 2,
      length: 5,
      bits: 20,
      gridExponent: 10,
      ...overrides,
    },
    verify: verifySignature,
    edges: (member) => ({
      random,
      verify: verifySignature,
      sign: async (document) => sign(null, bytesOf(document), keys.get(cohort[member]!)!.privateKey).toString('base64'),
    }),
  };
}
