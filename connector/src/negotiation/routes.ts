import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import type { Logger } from 'pino';
import type { AgreementStore } from '../agreement/agreement-store.ts';
import type { Events } from '../events.ts';
import type { Negotiation } from '../management/model.ts';
import { messageHandlers } from '../protocol/message-handler.ts';
import { readMessage } from '../protocol/messages.ts';
import { rawValue, SIGNATURE } from '../protocol/terms.ts';
import { badMessage } from '../protocol/receive.ts';
import type { Role } from '../protocol/state-machine.ts';
import { peerAddress } from '../protocol/version.ts';
import { findOffer } from '../catalog/offers.ts';
import type { Publications } from '../catalog/publications.ts';
import { acceptedOffer, finalizeAgreement } from './effects.ts';
import type { NegotiationConversation } from './negotiations.ts';

/** The negotiation paths of DSP 2025-1, of both roles: the record that an id belongs to says which one is meant. */
export function negotiationRoutes(options: {
  conversation: NegotiationConversation;
  agreements: AgreementStore;
  publications: Publications;
  /** Lets a counterparty begin a negotiation. @throws FoedusError `unavailable` */
  admit: (role: Role, counterPartyId: string) => void;
  events: Events;
  clock: () => Date;
  logger: Logger;
}): Hono {
  const { conversation, agreements, publications, admit, events, clock, logger } = options;
  const { post, get } = messageHandlers('ContractNegotiationError', logger);
  const app = new Hono({ strict: false });

  const first = (
    fields: Pick<Negotiation, 'id' | 'role' | 'state' | 'consumerPid' | 'offer'> & {
      providerPid: string;
      counterPartyId: string;
      callbackAddress: string | undefined;
      datasetId: string;
    },
  ): Negotiation => {
    const { callbackAddress, role, ...rest } = fields;
    if (callbackAddress === undefined) throw badMessage('$.callbackAddress: is missing in a first message');
    const now = clock().toISOString();
    return {
      ...rest,
      role,
      counterPartyAddress: peerAddress(callbackAddress),
      initiatedBy: role === 'provider' ? 'consumer' : 'provider',
      createdAt: now,
      updatedAt: now,
    };
  };

  app.post(
    '/negotiations/request',
    post(201, (incoming) => {
      const { consumerPid, offer, callbackAddress } = readMessage('ContractRequestMessage', incoming.body);
      return conversation.hearFirst(incoming, 'ContractRequestMessage', 'consumer', consumerPid, (state) => {
        const published = findOffer(publications, incoming.caller, offer['@id']);
        const datasetId = published?.asset.id;
        if (datasetId === undefined || (offer.target ?? datasetId) !== datasetId) {
          throw badMessage(`$.offer['@id']: there is no such offer for you here${about(offer.target)}`);
        }
        admit('provider', incoming.caller);
        const id = `urn:uuid:${randomUUID()}`;
        const pids = { id, consumerPid, providerPid: id, counterPartyId: incoming.caller };
        return first({ ...pids, role: 'provider', state, offer, datasetId, callbackAddress });
      });
    }),
  );

  app.post(
    '/negotiations/offers',
    post(201, (incoming) => {
      const { providerPid, offer, callbackAddress } = readMessage('ContractOfferMessage', incoming.body);
      return conversation.hearFirst(incoming, 'ContractOfferMessage', 'provider', providerPid, (state) => {
        admit('consumer', incoming.caller);
        const id = `urn:uuid:${randomUUID()}`;
        const pids = { id, consumerPid: id, providerPid, counterPartyId: incoming.caller };
        const negotiation = first({
          ...pids,
          role: 'consumer',
          state,
          offer,
          datasetId: offer.target,
          callbackAddress,
        });
        return { ...negotiation, counterOffer: offer };
      });
    }),
  );

  app.get(
    '/negotiations/:id',
    get((caller, id) => conversation.stateFor(caller, id)),
  );

  app.post(
    '/negotiations/:id/request',
    post(200, (incoming, id) => {
      const { consumerPid, providerPid, offer } = readMessage('ContractRequestMessage', incoming.body);
      if (providerPid === undefined) throw badMessage('$.providerPid: is missing in a message about a negotiation');
      return conversation.hear(
        incoming,
        id,
        'ContractRequestMessage',
        { consumerPid, providerPid },
        (_transaction, { datasetId }) => {
          checkTarget(offer.target, datasetId);
          return { offer: { ...offer, target: datasetId } };
        },
      );
    }),
  );

  app.post(
    '/negotiations/:id/offers',
    post(200, (incoming, id) => {
      const { consumerPid, providerPid, offer } = readMessage('ContractOfferMessage', incoming.body);
      if (consumerPid === undefined) throw badMessage('$.consumerPid: is missing in a message about a negotiation');
      return conversation.hear(
        incoming,
        id,
        'ContractOfferMessage',
        { consumerPid, providerPid },
        (_transaction, { datasetId }) => {
          checkTarget(offer.target, datasetId);
          return { counterOffer: offer };
        },
      );
    }),
  );

  app.post(
    '/negotiations/:id/events',
    post(200, (incoming, id) => {
      const { eventType, ...pids } = readMessage('ContractNegotiationEventMessage', incoming.body);
      const name = `ContractNegotiationEventMessage:${eventType}` as const;
      return conversation.hear(incoming, id, name, pids, (transaction, negotiation) => {
        if (eventType === 'ACCEPTED') return acceptedOffer(negotiation);
        finalizeAgreement(transaction, negotiation, { agreements, events });
        return {};
      });
    }),
  );

  app.post(
    '/negotiations/:id/agreement',
    post(200, (incoming, id) => {
      const message = readMessage('ContractAgreementMessage', incoming.body);
      const { agreement, [SIGNATURE]: provider, ...pids } = message;
      return conversation.hear(incoming, id, 'ContractAgreementMessage', pids, (transaction, negotiation) => {
        if (agreements.get(agreement['@id'])) {
          throw badMessage("$.agreement['@id']: is the id of another agreement");
        }
        agreements.insert({
          id: agreement['@id'],
          role: 'consumer',
          assigner: agreement.assigner,
          assignee: agreement.assignee,
          target: agreement.target,
          // As it came, in whatever spelling: this is what the signature covers.
          agreement: rawValue(incoming.body, 'agreement') as Record<string, unknown>,
          signatures: provider === undefined ? {} : { provider },
          finalized: false,
          negotiationId: negotiation.id,
          counterPartyId: negotiation.counterPartyId,
          counterPartyAddress: negotiation.counterPartyAddress,
          createdAt: clock().toISOString(),
        });
        events.record(transaction, { type: 'agreement', agreementId: agreement['@id'], step: 'received' });
        return { agreementId: agreement['@id'] };
      });
    }),
  );

  app.post(
    '/negotiations/:id/agreement/verification',
    post(200, (incoming, id) => {
      const { [SIGNATURE]: consumer, ...pids } = readMessage('ContractAgreementVerificationMessage', incoming.body);
      return conversation.hear(
        incoming,
        id,
        'ContractAgreementVerificationMessage',
        pids,
        (_transaction, negotiation) => {
          const agreement = agreements.get(negotiation.agreementId ?? '');
          if (!agreement) throw new Error(`negotiation ${id} has lost its agreement`);
          if (consumer !== undefined) {
            agreements.save({ ...agreement, signatures: { ...agreement.signatures, consumer } });
          }
          return {};
        },
      );
    }),
  );

  app.post(
    '/negotiations/:id/termination',
    post(200, (incoming, id) => {
      const { consumerPid, providerPid } = readMessage('ContractNegotiationTerminationMessage', incoming.body);
      const pids = { consumerPid, providerPid };
      return conversation.hear(incoming, id, 'ContractNegotiationTerminationMessage', pids);
    }),
  );
  return app;
}

function about(target: string | undefined): string {
  return target === undefined ? '' : ` for the data set ${target.slice(0, 200)}`;
}

function checkTarget(target: string | undefined, datasetId: string): void {
  if (target !== undefined && target !== datasetId)
    throw badMessage('$.offer.target: is not what this negotiation is about');
}
