import {
  compile,
  decide,
  limitsOf,
  parsePolicy,
  policyDigest,
  PolicyError,
  TRAIN,
  USE,
  type CompiledPolicy,
  type Decision,
  type UsageRequest,
  type UsageState,
} from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { Account, SignedAgreement } from '../management/model.ts';

/** The policy of one agreement, ready to decide. */
export interface AgreementPolicy {
  decide(request: UsageRequest, state: UsageState): Decision;
  /** `uses` are charged by the action `use`, all other meters by `train`; 0 where the agreement permits no such action. */
  readonly limits: Account['limits'];
}

/** Compiled policies kept in memory: a few kilobytes each. */
const MOST_POLICIES = 1_000;

/**
 * Compiles each agreement's policy once. The key is the digest of what both sides signed, so an agreement that was
 * changed in the store is another policy, not an old one remembered.
 *
 * @returns a function that throws FoedusError `not-permitted` for an agreement whose policy cannot be read
 */
export function createPolicyCache(): (agreement: SignedAgreement) => AgreementPolicy {
  const cache = new Map<string, AgreementPolicy>();
  return (agreement) => {
    const digest = policyDigest(agreement.agreement);
    const cached = cache.get(digest);
    if (cached !== undefined) return cached;
    const policy = toAgreementPolicy(compileAgreement(agreement));
    const oldest = cache.keys().next();
    if (cache.size >= MOST_POLICIES && !oldest.done) cache.delete(oldest.value);
    cache.set(digest, policy);
    return policy;
  };
}

function compileAgreement(agreement: SignedAgreement): CompiledPolicy {
  try {
    return compile(parsePolicy(agreement.agreement));
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new FoedusError(
      'not-permitted',
      `The policy of agreement ${agreement.id} cannot be read, so it permits nothing: ${cause.message}. Negotiate a new agreement.`,
      { cause },
    );
  }
}

function toAgreementPolicy(compiled: CompiledPolicy): AgreementPolicy {
  const { rounds, epsilon, delta } = limitsOf(compiled, TRAIN);
  return {
    decide: (request, state) => decide(compiled, request, state),
    limits: { uses: limitsOf(compiled, USE).uses, rounds, epsilon, delta },
  };
}
