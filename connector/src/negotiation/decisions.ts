import { sameRules } from '@foedus/usage-policies';
import { findOffer } from '../catalog/offers.ts';
import type { Publications } from '../catalog/publications.ts';
import type { Negotiation } from '../management/model.ts';

type Terminate = { readonly kind: 'terminate'; readonly reason: string };
/** Nothing now: `reconsider` asks again. */
type Wait = { readonly kind: 'wait' };

/** What a provider does about a request. */
export type RequestDecision =
  /** To the offer asked for, or to `offer`, which says the same in this node's own words. */
  | { readonly kind: 'agree'; readonly offer?: Record<string, unknown> }
  | { readonly kind: 'offer'; readonly offer: Record<string, unknown> }
  | Terminate
  | Wait;

/** What a consumer does about an offer. */
export type OfferDecision =
  | { readonly kind: 'accept' }
  | { readonly kind: 'request'; readonly offer: Record<string, unknown> }
  | Terminate
  | Wait;

/** Whether this side takes a step that the protocol expects of it. */
export type StepDecision = { readonly kind: 'proceed' } | Terminate | Wait;

/**
 * Who decides, where the protocol leaves it to the participants. Asked again after a restart, so an answer must not
 * depend on having been asked before. Whoever needs time answers `wait`, and has the question put again when it is up.
 */
export interface NegotiationDecisions {
  onRequest(negotiation: Negotiation): RequestDecision | Promise<RequestDecision>;
  onOffer(negotiation: Negotiation): OfferDecision | Promise<OfferDecision>;
  /**
   * The last word before this side binds itself: a provider that signs what was ACCEPTED or finalizes what was
   * VERIFIED, a consumer that signs what was AGREED.
   *
   * @default proceed
   */
  onStep?(negotiation: Negotiation): StepDecision | Promise<StepDecision>;
}

/** The default: a provider sticks to what it has published, a consumer to what it has asked for. */
export function decideByPublications(publications: Publications): NegotiationDecisions {
  return {
    onRequest: ({ counterPartyId, offer, datasetId }) => {
      const id = String(offer['@id']);
      const published = findOffer(publications, counterPartyId, id);
      if (published?.asset.id !== datasetId) {
        return { kind: 'terminate', reason: `There is no offer ${id} for the data set ${datasetId}.` };
      }
      if (!sameRules(published.offer, offer)) {
        return {
          kind: 'terminate',
          reason: `The rules that were asked for are not those of the offer ${id}. Ask for it as it stands in the catalog.`,
        };
      }
      return { kind: 'agree', offer: published.offer };
    },
    onOffer: ({ initiatedBy, offer, counterOffer, counterPartyId }) => {
      if (initiatedBy === 'provider') {
        return { kind: 'terminate', reason: 'Nobody here has asked for this offer.' };
      }
      if (counterOffer && sameRules(offer, counterOffer)) return { kind: 'accept' };
      return { kind: 'terminate', reason: `${counterPartyId} offers other rules than those that were asked for.` };
    },
  };
}
