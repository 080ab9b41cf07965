import { randomUUID } from 'node:crypto';
import { agreementFrom, objection, signatureObjection } from '../agreement/agreement.ts';
import type { Negotiation, SignedAgreement } from '../management/model.ts';
import { SIGNATURE } from '../protocol/terms.ts';
import type { Transaction } from '../store/transact.ts';
import type { OfferDecision, RequestDecision } from './decisions.ts';
import { negotiationTopic, type NegotiationConversation, type NegotiationOptions } from './negotiations.ts';

export interface NegotiationSteps {
  /** Takes the next step, if there is one to take. */
  step(id: string): Promise<void>;
  /**
   * Does what was decided about the request or offer that waits for this side.
   *
   * @returns false when the negotiation has changed since it was seen: then nothing was done
   */
  answer(seen: Negotiation, decision: RequestDecision | OfferDecision): Promise<boolean>;
}

/**
 * What this side does by itself in a state: answer a request or an offer, sign, verify, finalize.
 *
 * Deciding and signing take their time and happen outside the transaction; the state is looked at again inside it,
 * and where it has changed meanwhile nothing happens. A step is safe to repeat: nothing of it is visible before its
 * transaction is.
 */
export function createNegotiationSteps(
  options: NegotiationOptions & { readonly conversation: NegotiationConversation },
): NegotiationSteps {
  const { identity, store, agreements, decisions, conversation, group, events, changes, clock } = options;
  const { allowUnsigned } = options;

  /** Runs `work` if the negotiation is still as it was seen. @returns whether it is */
  const still = (seen: Negotiation, work: (transaction: Transaction, now: Negotiation) => void): Promise<boolean> =>
    group.run((transaction) => {
      const now = store.get(seen.id);
      if (now?.state !== seen.state || now.updatedAt !== seen.updatedAt) return false;
      work(transaction, now);
      return true;
    });
  const terminate = (seen: Negotiation, reason: string): Promise<boolean> =>
    still(seen, (transaction, now) => {
      conversation.terminate(transaction, now, { code: 'not-acceptable', reason });
    });

  const agree = async (negotiation: Negotiation, offer = negotiation.offer): Promise<boolean> => {
    const { participantId } = identity;
    const id = `urn:uuid:${randomUUID()}`;
    const agreement = agreementFrom({ ...negotiation, offer }, { id, assigner: participantId, at: clock() });
    const signature = await identity.sign(agreement);
    return await still(negotiation, (transaction, now) => {
      agreements.insert({
        id,
        role: 'provider',
        assigner: participantId,
        assignee: now.counterPartyId,
        target: now.datasetId,
        agreement,
        signatures: { provider: signature },
        finalized: false,
        negotiationId: now.id,
        counterPartyId: now.counterPartyId,
        counterPartyAddress: now.counterPartyAddress,
        createdAt: clock().toISOString(),
      });
      events.record(transaction, { type: 'agreement', agreementId: id, step: 'signed' });
      const fields = { agreement, [SIGNATURE]: signature };
      conversation.say(transaction, now, 'ContractAgreementMessage', fields, { agreementId: id });
    });
  };

  /** A question to a person is put once, however often the decisions are asked meanwhile. */
  const ask = async (seen: Negotiation, why: string): Promise<boolean> => {
    if (seen.pendingDecision !== undefined) return true;
    return await still(seen, (transaction, now) => {
      const since = clock().toISOString();
      const about = now.role === 'provider' ? 'request' : 'offer';
      const asking: Negotiation = { ...now, pendingDecision: { about, why, since }, updatedAt: since };
      store.save(asking);
      events.record(transaction, { type: 'negotiation', by: 'us', negotiation: asking });
      transaction.after(() => changes.notify(negotiationTopic(now.id)));
    });
  };

  const answer: NegotiationSteps['answer'] = async (seen, decision) => {
    switch (decision.kind) {
      case 'wait':
        return true;
      case 'ask':
        return await ask(seen, decision.why);
      case 'terminate':
        return await terminate(seen, decision.reason);
      case 'agree':
        return await agree(seen, decision.offer);
      case 'accept':
        return await still(seen, (transaction, now) => {
          const { counterOffer: offer = now.offer } = now;
          const fields = { eventType: 'ACCEPTED' };
          conversation.say(transaction, now, 'ContractNegotiationEventMessage:ACCEPTED', fields, { offer });
        });
      case 'offer': {
        const offer = { ...decision.offer, '@type': 'Offer', target: seen.datasetId };
        return await still(seen, (transaction, now) => {
          conversation.say(transaction, now, 'ContractOfferMessage', { offer }, { counterOffer: offer });
        });
      }
      case 'request': {
        const offer = { ...decision.offer, '@type': 'Offer', target: seen.datasetId };
        return await still(seen, (transaction, now) => {
          conversation.say(transaction, now, 'ContractRequestMessage', { offer }, { offer });
        });
      }
      default:
        return decision satisfies never;
    }
  };

  const agreementOf = ({ id, agreementId }: Negotiation): SignedAgreement => {
    const agreement = agreementId === undefined ? undefined : agreements.get(agreementId);
    if (!agreement) throw new Error(`negotiation ${id} has lost its agreement`);
    return agreement;
  };

  /** Consumer: the provider has signed. */
  const verify = async (negotiation: Negotiation): Promise<void> => {
    const agreement = agreementOf(negotiation);
    const { provider } = agreement.signatures;
    const fault =
      objection(agreement, negotiation, identity.participantId) ??
      (await signatureObjection(identity, agreement, provider, negotiation.counterPartyId, allowUnsigned));
    if (fault !== undefined) {
      await terminate(negotiation, fault);
      return;
    }
    const consumer = await identity.sign(agreement.agreement);
    await still(negotiation, (transaction, now) => {
      agreements.save({ ...agreement, signatures: { ...agreement.signatures, consumer } });
      events.record(transaction, { type: 'agreement', agreementId: agreement.id, step: 'signed' });
      conversation.say(transaction, now, 'ContractAgreementVerificationMessage', { [SIGNATURE]: consumer });
    });
  };

  /** Provider: the consumer has verified, and signed. */
  const finalize = async (negotiation: Negotiation): Promise<void> => {
    const agreement = agreementOf(negotiation);
    const { consumer } = agreement.signatures;
    const fault = await signatureObjection(identity, agreement, consumer, negotiation.counterPartyId, allowUnsigned);
    if (fault !== undefined) {
      await terminate(negotiation, fault);
      return;
    }
    await still(negotiation, (transaction, now) => {
      agreements.save({ ...agreement, finalized: true });
      events.record(transaction, { type: 'agreement', agreementId: agreement.id, step: 'finalized' });
      const fields = { eventType: 'FINALIZED' };
      conversation.say(transaction, now, 'ContractNegotiationEventMessage:FINALIZED', fields);
    });
  };

  const ifAllowed = async (
    negotiation: Negotiation,
    step: (negotiation: Negotiation) => Promise<unknown>,
  ): Promise<void> => {
    const decision = (await decisions.onStep?.(negotiation)) ?? { kind: 'proceed' };
    if (decision.kind === 'proceed') await step(negotiation);
    else if (decision.kind === 'terminate') await terminate(negotiation, decision.reason);
  };

  const step = async (id: string): Promise<void> => {
    const negotiation = store.get(id);
    if (!negotiation) return;
    const { role, state } = negotiation;
    if (role === 'provider' && state === 'REQUESTED') await answer(negotiation, await decisions.onRequest(negotiation));
    else if (role === 'provider' && state === 'ACCEPTED') await ifAllowed(negotiation, agree);
    else if (role === 'provider' && state === 'VERIFIED') await ifAllowed(negotiation, finalize);
    else if (role === 'consumer' && state === 'OFFERED')
      await answer(negotiation, await decisions.onOffer(negotiation));
    else if (role === 'consumer' && state === 'AGREED') await ifAllowed(negotiation, verify);
  };
  return { step, answer };
}
