import { isDeepStrictEqual } from 'node:util';
import { compareOffers, parsePolicy, PolicyError, sameRules } from '@foedus/usage-policies';
import { findOffer } from '../catalog/offers.ts';
import type { Publications } from '../catalog/publications.ts';
import type { Negotiation } from '../management/model.ts';

export type Terminate = { readonly kind: 'terminate'; readonly reason: string };
/** Nothing now: `reconsider` asks again. */
type Wait = { readonly kind: 'wait' };
/** Nothing now: a person decides through the operator's API, and is told why. */
type Ask = { readonly kind: 'ask'; readonly why: string };

/** What a provider does about a request. */
export type RequestDecision =
  /** To the offer asked for, or to `offer`, which says the same in this node's own words. */
  | { readonly kind: 'agree'; readonly offer?: Record<string, unknown> | undefined }
  | { readonly kind: 'offer'; readonly offer: Record<string, unknown> }
  | Terminate
  | Ask
  | Wait;

/** What a consumer does about an offer. */
export type OfferDecision =
  | { readonly kind: 'accept' }
  | { readonly kind: 'request'; readonly offer: Record<string, unknown> }
  | Terminate
  | Ask
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
  /**
   * Whether it decides at once and does nothing else: then it is asked within the transaction that stores what it is
   * asked about, and both are one commit. A promise is waited for outside of it in any case.
   *
   * @default false
   */
  readonly immediate?: boolean;
}

export interface DefaultDecisionOptions {
  /** Whether a provider agrees to rules that provably ask less of it than those that it has offered. @default false */
  readonly acceptLess?: boolean;
}

/**
 * The default. A provider agrees to what it has published, or has offered in this negotiation; a consumer accepts what
 * it has asked for. About everything else a person is asked. Only what is not on offer to the caller at all is declined
 * without one, so that nobody learns by asking what others are offered.
 */
export function decideByPublications(
  publications: Publications,
  { acceptLess = false }: DefaultDecisionOptions = {},
): NegotiationDecisions {
  return {
    immediate: true,
    onRequest: ({ counterPartyId, offer, counterOffer, datasetId }) => {
      const id = String(offer['@id']);
      const published = findOffer(publications, counterPartyId, id);
      if (published?.asset.id === datasetId && sameRules(published.offer, offer)) {
        return { kind: 'agree', offer: published.offer };
      }
      if (counterOffer) {
        if (sameRules(counterOffer, offer)) return { kind: 'agree', offer: counterOffer };
        if (acceptLess && asksForLess(counterOffer, offer)) return { kind: 'agree' };
        return { kind: 'ask', why: `${counterPartyId} asks for other rules than those that it was offered.` };
      }
      if (published?.asset.id === datasetId) {
        if (acceptLess && asksForLess(published.offer, offer)) return { kind: 'agree' };
        return { kind: 'ask', why: `${counterPartyId} asks for other rules than those of the offer ${id}.` };
      }
      return { kind: 'terminate', reason: `There is no offer ${id} for the data set ${datasetId}.` };
    },
    onOffer: ({ initiatedBy, offer, counterOffer, counterPartyId }) => {
      // Until this side has asked for something, `offer` is what was offered to it, word for word.
      if (initiatedBy === 'provider' && isDeepStrictEqual(offer, counterOffer)) {
        return { kind: 'ask', why: `${counterPartyId} offers something that nobody here has asked for.` };
      }
      if (counterOffer && sameRules(offer, counterOffer)) return { kind: 'accept' };
      return { kind: 'ask', why: `${counterPartyId} offers other rules than those that were asked for.` };
    },
  };
}

function asksForLess(published: Record<string, unknown>, asked: Record<string, unknown>): boolean {
  try {
    return compareOffers(parsePolicy(published), parsePolicy(asked)).ask === 'less';
  } catch (error) {
    if (error instanceof PolicyError) return false;
    throw error;
  }
}
