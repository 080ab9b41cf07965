import {
  compile,
  decide,
  limitsOf,
  operandsOf,
  parsePolicy,
  policyDigest,
  PolicyError,
  TRAIN,
  trainingLimits,
  USE,
  type Decision,
  type Policy,
  type TrainingLimits,
  type UsageRequest,
  type UsageState,
} from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { Account, SignedAgreement } from '../management/model.ts';

/** The policy of one agreement, ready to decide. */
export interface AgreementPolicy {
  decide(request: UsageRequest, state: UsageState): Decision;
  /** Whether decisions depend on when earlier uses were, and on no other record than the ledger's. */
  readonly asksForUses: boolean;
  /** `uses`, `rows` and `bytes` are charged by the action `use`, all other meters by `train`; 0 where the agreement permits no such action. */
  readonly limits: Account['limits'];
  /** What it asks of whoever trains. */
  readonly training: TrainingLimits;
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
    const policy = toAgreementPolicy(readAgreement(agreement));
    const oldest = cache.keys().next();
    if (cache.size >= MOST_POLICIES && !oldest.done) cache.delete(oldest.value);
    cache.set(digest, policy);
    return policy;
  };
}

function readAgreement(agreement: SignedAgreement): Policy {
  try {
    return parsePolicy(agreement.agreement);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new FoedusError(
      'not-permitted',
      `The policy of agreement ${agreement.id} cannot be read, so it permits nothing: ${cause.message}. Negotiate a new agreement.`,
      { cause },
    );
  }
}

/** What the ledger's entries answer; a history made of them must not pass for one that has all that was done. */
const BY_USES: ReadonlySet<string> = new Set(['elapsedTime', 'timeInterval']);
const BY_OTHER_RECORDS: ReadonlySet<string> = new Set(['payAmount', 'meteredTime']);

function asksForUses(policy: Policy): boolean {
  const operands = [...operandsOf(policy)];
  const duties = [...policy.permissions, ...policy.prohibitions].some(
    (rule) => [...rule.duties, ...rule.remedies].length > 0,
  );
  return (
    operands.some((each) => BY_USES.has(each)) &&
    !operands.some((each) => BY_OTHER_RECORDS.has(each)) &&
    !duties &&
    policy.obligations.length === 0
  );
}

function toAgreementPolicy(policy: Policy): AgreementPolicy {
  const compiled = compile(policy);
  const { uses, rows, bytes } = limitsOf(compiled, USE);
  const { rounds, epsilon, delta } = limitsOf(compiled, TRAIN);
  return {
    asksForUses: asksForUses(policy),
    decide: (request, state) => decide(compiled, request, state),
    limits: { uses, rounds, epsilon, delta, rows, bytes },
    training: trainingLimits(policy),
  };
}
