/** What both sides check about a round in the same way. */
import type { z } from 'zod';
import { RoundFailure } from './failure.ts';
import type { Confirmation, Roster, SignedAdvertisement } from './messages.ts';
import { documentHash, type RoundTerms, termsHash } from './terms.ts';

/**
 * @param hash the round's terms, which a message must name
 * @throws RoundFailure bad-message, other-round
 */
export function parse<T>(schema: z.ZodType<T>, message: unknown, hash?: string): T {
  const parsed = schema.safeParse(message);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RoundFailure(
      'bad-message',
      `${issue?.path.join('.') ?? 'The message'}: ${issue?.message ?? 'not valid'}.`,
    );
  }
  const named = (parsed.data as { readonly termsHash?: string }).termsHash;
  if (hash !== undefined && named !== hash) {
    throw new RoundFailure('other-round', 'The message belongs to another round, or to other terms of this one.');
  }
  return parsed.data;
}

/** @throws RoundFailure out-of-order, for callers that types do not stop */
export function requirePhase(state: { readonly phase: string }, phase: string): void {
  if (state.phase !== phase) {
    throw new RoundFailure('out-of-order', `The round is in phase "${state.phase}"; this belongs to "${phase}".`);
  }
}

/** @returns SHA-256 of all advertisements' hashes: what everybody's view of the members is compared by */
export const rosterHash = ({ termsHash: hash, members }: Pick<Roster, 'termsHash' | 'members'>): string =>
  documentHash({ termsHash: hash, members });

/**
 * @param survivorsHash documentHash of the survivors; it takes longer than the rest, and is the same for all members
 * @returns the document that a member signs about the survivors
 */
export const confirmationOf = (
  terms: RoundTerms,
  hash: string,
  view: string,
  survivorsHash: string,
  member: number,
): Confirmation => ({
  type: 'foedus-survivors',
  participant: terms.cohort[member]!,
  termsHash: hash,
  rosterHash: view,
  survivorsHash,
});

/** A round's terms, and the hashes that name them and the cohort in every advertisement. */
export interface RoundNames {
  readonly terms: RoundTerms;
  readonly hash: string;
  readonly cohortHash: string;
}

export const namesOf = (terms: RoundTerms): RoundNames => ({
  terms,
  hash: termsHash(terms),
  cohortHash: documentHash(terms.cohort),
});

/** @throws RoundFailure unless the advertisement is the member's, for these terms, and signed by it */
export async function checkAdvertisement(
  { advertisement, signature }: SignedAdvertisement,
  member: number,
  { terms, hash, cohortHash }: RoundNames,
  verify: (signature: string, document: object, participant: string) => Promise<void>,
): Promise<void> {
  const participant = terms.cohort[member]!;
  if (
    advertisement.participant !== participant ||
    advertisement.termsHash !== hash ||
    advertisement.sessionId !== terms.sessionId ||
    advertisement.round !== terms.round ||
    advertisement.cohortHash !== cohortHash ||
    advertisement.modelHash !== terms.modelHash ||
    advertisement.policyHash !== terms.policyHash
  ) {
    throw new RoundFailure('other-round', `The keys of ${participant} were advertised for another round.`);
  }
  await verify(signature, advertisement, participant).catch((cause: unknown) => {
    throw new RoundFailure('bad-signature', `The keys of ${participant} are not signed by it: ${String(cause)}.`);
  });
}
