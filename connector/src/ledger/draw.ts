import type { Decision } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { SignedAgreement, UsageRequestBody } from '../management/model.ts';
import type { Drawable, Drawn, Ledger } from './ledger.ts';

/** Reservations whose facts are kept in memory: a stream draws on the same one many times. */
const MOST_REMEMBERED = 1_000;

/** What never changes about a reservation. */
interface Facts extends Drawable {
  readonly policyDigest: string;
  /** What was granted, to be compared with what would be granted now. */
  readonly plan: string;
  readonly limits: Readonly<Record<'rows' | 'bytes', number | null>>;
}

export interface Drawing {
  readonly ledger: Ledger;
  /** @throws FoedusError for an agreement that is not in force */
  readonly inForce: (agreementId: string) => SignedAgreement;
  /** What the agreement says now of a use that was charged before. */
  readonly decideAgain: (agreement: SignedAgreement, request: UsageRequestBody, use: Drawable) => Decision;
  /** The error of a use that is not permitted. */
  readonly denial: (decision: Decision) => FoedusError;
}

/**
 * What `UsageControl.draw` does, inside the caller's transaction: is the use that was reserved still permitted, and is
 * there enough left? Only then are the amounts charged.
 *
 * It is decided again with everything that was charged for it taken off, so that a use which was the last one is not
 * in its own way, and must be granted the same as before: another permission may grant less. Time since the first use
 * does not end the first use itself, which is what starts it.
 */
export function createDraw({ ledger, inForce, decideAgain, denial }: Drawing) {
  const remembered = new Map<string, Facts>();
  const factsOf = (entryId: string): Facts => {
    const known = remembered.get(entryId);
    if (known !== undefined) return known;
    const { use, decision } = ledger.drawable(entryId);
    const limitOf = (meter: 'rows' | 'bytes') =>
      decision.charges.find((charge) => charge.meter === meter)?.limit ?? null;
    const facts: Facts = {
      ...use,
      policyDigest: decision.policyDigest,
      plan: JSON.stringify(decision.plan),
      limits: { rows: limitOf('rows'), bytes: limitOf('bytes') },
    };
    const oldest = remembered.keys().next();
    if (remembered.size >= MOST_REMEMBERED && !oldest.done) remembered.delete(oldest.value);
    remembered.set(entryId, facts);
    return facts;
  };

  return (entryId: string, { rows = 0, bytes = 0 }: Drawn): void => {
    const facts = factsOf(entryId);
    const { request, limits, agreementId } = facts;
    const agreement = inForce(agreementId);
    // Entries from before requests were kept are decided by their limits alone.
    if (request !== undefined) {
      const decision = decideAgain(agreement, request, facts);
      if (!decision.permit) throw denial(decision);
      if (decision.policyDigest !== facts.policyDigest || JSON.stringify(decision.plan) !== facts.plan) {
        throw new FoedusError(
          'not-permitted',
          'The agreement does not grant any more what this use was granted. Ask again for what it grants now.',
        );
      }
    }
    const spent = ledger.spent(agreementId);
    for (const [meter, amount] of [
      ['rows', rows],
      ['bytes', bytes],
    ] as const) {
      const limit = limits[meter];
      if (limit !== null && spent[meter] + amount > limit) {
        throw new FoedusError(
          'budget-exhausted',
          `The agreed ${meter} are spent: ${spent[meter]} of ${limit} have left, and ${amount} more would pass the limit.`,
        );
      }
    }
    ledger.draw(entryId, { rows, bytes });
  };
}
