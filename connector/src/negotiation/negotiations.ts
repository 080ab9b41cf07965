import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { AgreementStore } from '../agreement/agreement-store.ts';
import type { CatalogClient } from '../catalog/ask.ts';
import { FoedusError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { Identity } from '../identity/index.ts';
import type { Publications } from '../catalog/publications.ts';
import type { Negotiation, OperatorDecision } from '../management/model.ts';
import type { Changes } from '../protocol/changes.ts';
import { createConversation, existing, type Conversation } from '../protocol/conversation.ts';
import type { Inbox } from '../protocol/inbox.ts';
import type { Outbox, ProcessKind } from '../protocol/outbox.ts';
import type { Process, ProcessStore } from '../protocol/process-store.ts';
import {
  negotiationMachine,
  openStates,
  type NegotiationMessageName,
  type NegotiationState,
} from '../protocol/state-machine.ts';
import { createStepper } from '../protocol/stepper.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import type { Transact } from '../store/transact.ts';
import { decisionOf, offerFor } from './decisions-by-person.ts';
import type { NegotiationDecisions } from './decisions.ts';
import { acceptedOffer, finalizeAgreement } from './effects.ts';
import { createNegotiationSteps } from './steps.ts';

export interface NegotiationOptions {
  readonly identity: Identity;
  readonly store: ProcessStore<Negotiation>;
  readonly agreements: AgreementStore;
  readonly decisions: NegotiationDecisions;
  readonly catalog: CatalogClient;
  readonly publications: Publications;
  /** Finds the base of another connector's protocol paths. @throws FoedusError `unavailable`, `bad-request` */
  readonly discover: (root: string) => Promise<string>;
  readonly group: GroupCommit;
  readonly transact: Transact;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly events: Events;
  readonly changes: Changes;
  readonly logger: Logger;
  readonly clock: () => Date;
  readonly allowUnsigned: boolean;
  /** See `ConversationOptions`. */
  readonly heard: (participantId: string) => void;
  readonly moved: (kind: ProcessKind, process: Process) => void;
  /** Base of the protocol's paths as others reach it. */
  readonly baseUrl: () => string;
}

export type NegotiationConversation = Conversation<Negotiation, NegotiationState, NegotiationMessageName>;

/** The contract negotiations of this node, in both roles. */
export interface Negotiations extends AsyncDisposable {
  /**
   * Asks a provider for an offer of its catalog.
   *
   * @throws FoedusError `unavailable`, `wrong-peer`, `not-found`, `bad-request`
   */
  request(wish: { counterPartyAddress: string; datasetId: string; offerId: string }): Promise<Negotiation>;
  /**
   * Offers a published offer to a consumer that has not asked for it.
   *
   * @param consumer its participant id, and the base of its protocol paths
   */
  offer(
    consumer: { participantId: string; address: string },
    datasetId: string,
    offer: Record<string, unknown>,
  ): Promise<Negotiation>;
  /**
   * The same for an operator, who knows the consumer's address, and chooses a published offer or writes one.
   *
   * @throws FoedusError `not-found`, `bad-request`, `unavailable`
   */
  offerTo(wish: {
    counterPartyAddress: string;
    counterPartyId: string;
    datasetId: string;
    offerId?: string | undefined;
    offer?: Record<string, unknown> | undefined;
  }): Promise<Negotiation>;
  /**
   * A person's decision about what the counterparty asks for or offers.
   *
   * @throws FoedusError `not-found`, `conflict` when it is not this side's turn, `bad-request` for rules that cannot be
   *   agreed to here
   */
  decide(id: string, decision: OperatorDecision): Promise<Negotiation>;
  /** @throws FoedusError `not-found`, `illegal-transition` */
  terminate(id: string, why: { code?: string | undefined; reason?: string | undefined }): Negotiation;
  /** Asks the decisions again about a negotiation that waits for one. */
  reconsider(id: string): void;
  /** Takes up every open negotiation, after a start. */
  recover(): void;
  readonly conversation: NegotiationConversation;
}

/** Topic of `Changes` for one negotiation. */
export const negotiationTopic = (id: string): string => `negotiation:${id}`;

export function createNegotiations(options: NegotiationOptions): Negotiations {
  const { identity, store, events, changes, transact, logger, clock, baseUrl } = options;
  const conversation: NegotiationConversation = createConversation({
    ...options,
    kind: 'negotiation',
    machine: negotiationMachine,
    termination: 'ContractNegotiationTerminationMessage',
    forget: { pendingDecision: undefined },
    changed: (transaction, negotiation, _before, by) => {
      events.record(transaction, { type: 'negotiation', by, negotiation });
      // What was never agreed leaves no agreement behind, whoever has ended the negotiation.
      const { state, agreementId } = negotiation;
      if (state === 'TERMINATED' && agreementId !== undefined) options.agreements.remove(agreementId);
      transaction.after(() => changes.notify(negotiationTopic(negotiation.id)));
      if (!stepWithin(negotiation)) transaction.after(() => stepper.wake(negotiation.id));
    },
    inferred: (transaction, negotiation, name) => {
      if (name === 'ContractNegotiationEventMessage:FINALIZED') finalizeAgreement(transaction, negotiation, options);
      return name === 'ContractNegotiationEventMessage:ACCEPTED' ? acceptedOffer(negotiation) : {};
    },
  });
  const steps = createNegotiationSteps({ ...options, conversation });
  const stepper = createStepper((id) => steps.step(id), logger);
  /** @returns false when the step is to be taken later, also because it has failed: what has come in stays */
  const stepWithin = (negotiation: Negotiation): boolean => {
    try {
      return transact.attempt((transaction) => steps.stepWithin(transaction, negotiation));
    } catch (error) {
      logger.error({ err: error, process: negotiation.id }, 'a step failed and is tried again');
      return false;
    }
  };

  const newNegotiation = (
    role: Negotiation['role'],
    counterParty: { id: string; address: string },
    datasetId: string,
    offer: Record<string, unknown>,
  ): Negotiation => {
    if (counterParty.id === identity.participantId) {
      throw new FoedusError('bad-request', 'The other connector is this one. Negotiate with somebody else.');
    }
    const id = `urn:uuid:${randomUUID()}`;
    const now = clock().toISOString();
    return {
      id,
      role,
      state: role === 'consumer' ? 'REQUESTED' : 'OFFERED',
      ...(role === 'consumer' ? { consumerPid: id } : { providerPid: id }),
      counterPartyId: counterParty.id,
      counterPartyAddress: counterParty.address,
      datasetId,
      initiatedBy: role,
      offer,
      createdAt: now,
      updatedAt: now,
    };
  };

  const offerUnasked: Negotiations['offer'] = ({ participantId, address }, datasetId, rules) => {
    const offered = { ...rules, '@type': 'Offer', target: datasetId };
    const negotiation = newNegotiation('provider', { id: participantId, address }, datasetId, offered);
    return conversation.begin({ ...negotiation, counterOffer: offered }, 'ContractOfferMessage', {
      providerPid: negotiation.id,
      offer: offered,
      callbackAddress: baseUrl(),
    });
  };

  return {
    conversation,
    request: async ({ counterPartyAddress, datasetId, offerId }) => {
      const { base, participantId, offer } = await options.catalog.offer(counterPartyAddress, datasetId, offerId);
      const asked = { ...offer, '@type': 'Offer', target: datasetId };
      const negotiation = newNegotiation('consumer', { id: participantId, address: base }, datasetId, asked);
      return conversation.begin(negotiation, 'ContractRequestMessage', {
        consumerPid: negotiation.id,
        offer: asked,
        callbackAddress: baseUrl(),
      });
    },
    offer: offerUnasked,
    offerTo: async ({ counterPartyAddress, counterPartyId, datasetId, ...wanted }) => {
      const rules = offerFor(options.publications, counterPartyId, datasetId, wanted);
      const address = await options.discover(counterPartyAddress);
      return offerUnasked({ participantId: counterPartyId, address }, datasetId, rules);
    },
    decide: async (id, decision) => {
      const seen = existing(store.get(id), 'negotiation', id);
      const done = await steps.answer(seen, decisionOf(seen, decision, options.publications));
      if (done) return existing(store.get(id), 'negotiation', id);
      throw new FoedusError('conflict', 'The negotiation has changed meanwhile. Look at it again, and decide then.');
    },
    terminate: (id, why) =>
      transact((transaction) => conversation.terminate(transaction, existing(store.get(id), 'negotiation', id), why)),
    reconsider: (id) => stepper.wake(id),
    recover: () => {
      for (const { id } of store.inStates(openStates(negotiationMachine))) stepper.wake(id);
    },
    [Symbol.asyncDispose]: () => stepper[Symbol.asyncDispose](),
  };
}
