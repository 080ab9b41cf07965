import { FoedusError } from '../errors.ts';
import type { Trust } from '../identity/certificate.ts';
import { verifySignature } from '../identity/signature.ts';
import type { SignedHead } from './head.ts';

/**
 * Verifies that a head is of this agreement and signed by who keeps the ledger: the provider of the data. The certificate must have been valid when the
 * head was made, not now: heads are kept for as long as the agreement.
 *
 * @throws FoedusError `bad-request` for a head of another agreement, `bad-signature`
 */
export function verifyHead(
  { head, signature }: SignedHead,
  { agreementId, signer, trust }: { agreementId: string; signer: string; trust: Trust },
): void {
  if (head.agreementId !== agreementId) {
    throw new FoedusError(
      'bad-request',
      `The head is of agreement ${head.agreementId}, not of ${agreementId}. Present the one that came under this agreement.`,
    );
  }
  verifySignature(signature, head, { expectedSigner: signer, trust, at: new Date(head.at) });
}
