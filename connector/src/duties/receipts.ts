import { randomUUID } from 'node:crypto';
import { FoedusError } from '../errors.ts';
import type { Identity } from '../identity/index.ts';
import { digest } from '../identity/canonical.ts';
import type { Duty, SignedReceipt } from './model.ts';

const RECEIPT = 'https://w3id.org/foedus/ns#DutyReceipt';

/** Clocks of two organisations may differ by so much, in milliseconds. */
export const CLOCK_DIFFERENCE = 5 * 60 * 1000;

/** The receipt for a duty of ours. The evidence stays here: only its digest is signed. */
export async function signReceipt(
  identity: Identity,
  { agreementId, duty, action }: Pick<Duty, 'agreementId' | 'duty' | 'action'>,
  { at, evidence }: { at: Date; evidence: unknown },
): Promise<SignedReceipt> {
  const receipt = {
    '@type': RECEIPT,
    id: `urn:uuid:${randomUUID()}`,
    agreementId,
    duty,
    action,
    by: identity.participantId,
    at: at.toISOString(),
    evidence: digest(evidence ?? null),
  } as const;
  return { receipt, signature: await identity.sign(receipt) };
}

/**
 * Checks that a receipt is about this duty, is signed by who owes it, and is not of the future.
 *
 * @throws FoedusError `bad-request`, `bad-signature`
 */
export async function checkReceipt(
  identity: Pick<Identity, 'verify'>,
  { receipt, signature }: SignedReceipt,
  duty: Duty,
  now: Date,
): Promise<void> {
  const { agreementId, duty: key, action, by, at } = receipt;
  if (agreementId !== duty.agreementId || key !== duty.duty || action !== duty.action || by !== duty.owedBy) {
    throw new FoedusError(
      'bad-request',
      `The receipt is for "${action}" by ${by} (${key}), the duty is "${duty.action}" by ${duty.owedBy} (${duty.duty}). Send the receipt of this duty.`,
    );
  }
  if (Date.parse(at) > now.getTime() + CLOCK_DIFFERENCE) {
    throw new FoedusError(
      'bad-request',
      `The receipt says that it was done at ${at}, which has not come yet. Set your clock, and sign again.`,
    );
  }
  await identity.verify(signature, receipt, duty.owedBy);
}
