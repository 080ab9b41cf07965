import type { AgreementStore } from '../agreement/agreement-store.ts';
import type { Events } from '../events.ts';
import type { Negotiation } from '../management/model.ts';
import type { Transaction } from '../store/transact.ts';

/** What ACCEPTED changes at the provider: the consumer takes what it was offered. */
export function acceptedOffer(negotiation: Negotiation): Pick<Negotiation, 'offer'> {
  return { offer: negotiation.counterOffer ?? negotiation.offer };
}

/** What FINALIZED changes at the consumer: the agreement is in force. */
export function finalizeAgreement(
  transaction: Transaction,
  { id, agreementId }: Negotiation,
  { agreements, events }: { agreements: AgreementStore; events: Events },
): void {
  const agreement = agreements.get(agreementId ?? '');
  if (!agreement) throw new Error(`negotiation ${id} has lost its agreement`);
  agreements.save({ ...agreement, finalized: true });
  events.record(transaction, { type: 'agreement', agreementId: agreement.id, step: 'finalized' });
}
