import { randomUUID } from 'node:crypto';
import { agreementFrom, objection, signatureObjection } from '../agreement/agreement.ts';
import type { Negotiation, SignedAgreement } from '../management/model.ts';
import type { NegotiationState, Role } from '../protocol/state-machine.ts';
import { SIGNATURE } from '../protocol/terms.ts';
import type { Transaction } from '../store/transact.ts';
import type { OfferDecision, RequestDecision, StepDecision } from './decisions.ts';
import { negotiationTopic, type NegotiationConversation, type NegotiationOptions } from './negotiations.ts';

export interface NegotiationSteps {
  /** Takes the next step, if there is one to take. */
  step(id: string): Promise<void>;
  /**
   * Takes the next step within the transaction that has brought the negotiation where it is, where that can be decided
   * at once: what was received and what is answered to it are one commit.
   *
   * @returns false when there is a step to take, which has to be decided outside
   */
  stepWithin(transaction: Transaction, negotiation: Negotiation): boolean;
  /**
   * Does what was decided about the request or offer that waits for this side.
   *
   * @returns false when the negotiation has changed since it was seen: then nothing was done
   */
  answer(seen: Negotiation, decision: RequestDecision | OfferDecision): Promise<boolean>;
}

type Decision = RequestDecision | OfferDecision | StepDecision;

/** A question that a state puts to the participant, and what is done about the answer. */
interface Step {
  readonly ask: (negotiation: Negotiation) => Decision | Promise<Decision>;
  readonly act: (transaction: Transaction, negotiation: Negotiation, decision: Decision) => void;
}

/**
 * What this side does by itself in a state: answer a request or an offer, sign, verify, finalize.
 *
 * Deciding may take its time and happens outside the transaction, except where the decisions say that they are
 * immediate; the state is looked at again inside it, and where it has changed meanwhile nothing happens. A step is safe
 * to repeat: nothing of it is visible before its transaction is.
 */
export function createNegotiationSteps(
  options: NegotiationOptions & { readonly conversation: NegotiationConversation },
): NegotiationSteps {
  const { identity, store, agreements, decisions, conversation, group, events, changes, clock } = options;
  const { allowUnsigned } = options;

  const terminate = (transaction: Transaction, negotiation: Negotiation, reason: string): void => {
    conversation.terminate(transaction, negotiation, { code: 'not-acceptable', reason });
  };

  const agree = (transaction: Transaction, negotiation: Negotiation, offer = negotiation.offer): void => {
    const { participantId } = identity;
    const id = `urn:uuid:${randomUUID()}`;
    const at = clock();
    const agreement = agreementFrom({ ...negotiation, offer }, { id, assigner: participantId, at });
    const signature = identity.now.sign(agreement);
    agreements.insert({
      id,
      role: 'provider',
      assigner: participantId,
      assignee: negotiation.counterPartyId,
      target: negotiation.datasetId,
      agreement,
      signatures: { provider: signature },
      finalized: false,
      negotiationId: negotiation.id,
      counterPartyId: negotiation.counterPartyId,
      counterPartyAddress: negotiation.counterPartyAddress,
      createdAt: at.toISOString(),
    });
    events.record(transaction, { type: 'agreement', agreementId: id, step: 'signed' });
    const fields = { agreement, [SIGNATURE]: signature };
    conversation.say(transaction, negotiation, 'ContractAgreementMessage', fields, { agreementId: id });
  };

  /** A question to a person is put once, however often the decisions are asked meanwhile. */
  const ask = (transaction: Transaction, negotiation: Negotiation, why: string): void => {
    if (negotiation.pendingDecision !== undefined) return;
    const since = clock().toISOString();
    const about = negotiation.role === 'provider' ? 'request' : 'offer';
    const asking: Negotiation = { ...negotiation, pendingDecision: { about, why, since }, updatedAt: since };
    store.save(asking);
    events.record(transaction, { type: 'negotiation', by: 'us', negotiation: asking });
    transaction.after(() => changes.notify(negotiationTopic(negotiation.id)));
  };

  const act: Step['act'] = (transaction, negotiation, decision) => {
    switch (decision.kind) {
      case 'wait':
      case 'proceed':
        return;
      case 'ask':
        ask(transaction, negotiation, decision.why);
        return;
      case 'terminate':
        terminate(transaction, negotiation, decision.reason);
        return;
      case 'agree':
        agree(transaction, negotiation, decision.offer);
        return;
      case 'accept': {
        const { counterOffer: offer = negotiation.offer } = negotiation;
        const fields = { eventType: 'ACCEPTED' };
        conversation.say(transaction, negotiation, 'ContractNegotiationEventMessage:ACCEPTED', fields, { offer });
        return;
      }
      case 'offer': {
        const offer = { ...decision.offer, '@type': 'Offer', target: negotiation.datasetId };
        conversation.say(transaction, negotiation, 'ContractOfferMessage', { offer }, { counterOffer: offer });
        return;
      }
      case 'request': {
        const offer = { ...decision.offer, '@type': 'Offer', target: negotiation.datasetId };
        conversation.say(transaction, negotiation, 'ContractRequestMessage', { offer }, { offer });
        return;
      }
      default:
        decision satisfies never;
    }
  };

  const agreementOf = ({ id, agreementId }: Negotiation): SignedAgreement => {
    const agreement = agreementId === undefined ? undefined : agreements.get(agreementId);
    if (!agreement) throw new Error(`negotiation ${id} has lost its agreement`);
    return agreement;
  };

  /** Consumer: the provider has signed. */
  const verify = (transaction: Transaction, negotiation: Negotiation): void => {
    const agreement = agreementOf(negotiation);
    const { provider } = agreement.signatures;
    const fault =
      objection(agreement, negotiation, identity.participantId) ??
      signatureObjection(identity, agreement, provider, negotiation.counterPartyId, allowUnsigned);
    if (fault !== undefined) {
      terminate(transaction, negotiation, fault);
      return;
    }
    const consumer = identity.now.sign(agreement.agreement);
    agreements.save({ ...agreement, signatures: { ...agreement.signatures, consumer } });
    events.record(transaction, { type: 'agreement', agreementId: agreement.id, step: 'signed' });
    conversation.say(transaction, negotiation, 'ContractAgreementVerificationMessage', { [SIGNATURE]: consumer });
  };

  /** Provider: the consumer has verified, and signed. */
  const finalize = (transaction: Transaction, negotiation: Negotiation): void => {
    const agreement = agreementOf(negotiation);
    const { consumer } = agreement.signatures;
    const fault = signatureObjection(identity, agreement, consumer, negotiation.counterPartyId, allowUnsigned);
    if (fault !== undefined) {
      terminate(transaction, negotiation, fault);
      return;
    }
    agreements.save({ ...agreement, finalized: true });
    events.record(transaction, { type: 'agreement', agreementId: agreement.id, step: 'finalized' });
    const fields = { eventType: 'FINALIZED' };
    conversation.say(transaction, negotiation, 'ContractNegotiationEventMessage:FINALIZED', fields);
  };

  const ifAllowed = (proceed: (transaction: Transaction, negotiation: Negotiation) => void): Step => ({
    ask: (seen) => decisions.onStep?.(seen) ?? { kind: 'proceed' },
    act: (transaction, negotiation, decision) => {
      if (decision.kind === 'proceed') proceed(transaction, negotiation);
      else act(transaction, negotiation, decision);
    },
  });
  const steps: Readonly<Partial<Record<`${Role} ${NegotiationState}`, Step>>> = {
    'provider REQUESTED': { ask: (seen) => decisions.onRequest(seen), act },
    'provider ACCEPTED': ifAllowed((transaction, negotiation) => agree(transaction, negotiation)),
    'provider VERIFIED': ifAllowed(finalize),
    'consumer OFFERED': { ask: (seen) => decisions.onOffer(seen), act },
    'consumer AGREED': ifAllowed(verify),
  };
  const stepOf = ({ role, state }: Negotiation): Step | undefined => steps[`${role} ${state}`];

  /** Runs `work` if the negotiation is still as it was seen. @returns whether it is */
  const still = (seen: Negotiation, work: (transaction: Transaction, now: Negotiation) => void): Promise<boolean> =>
    group.run((transaction) => {
      const now = store.get(seen.id);
      if (now?.state !== seen.state || now.updatedAt !== seen.updatedAt) return false;
      work(transaction, now);
      return true;
    });

  return {
    step: async (id) => {
      const seen = store.get(id);
      const step = seen && stepOf(seen);
      if (!step) return;
      const decision = await step.ask(seen);
      // What changes nothing needs no transaction.
      if (decision.kind === 'wait' || (decision.kind === 'ask' && seen.pendingDecision !== undefined)) return;
      await still(seen, (transaction, now) => step.act(transaction, now, decision));
    },
    stepWithin: (transaction, negotiation) => {
      const step = stepOf(negotiation);
      if (!step) return true;
      if (decisions.immediate !== true) return false;
      const decision = step.ask(negotiation);
      if (decision instanceof Promise) return false;
      step.act(transaction, negotiation, decision);
      return true;
    },
    answer: (seen, decision) => still(seen, (transaction, now) => act(transaction, now, decision)),
  };
}
