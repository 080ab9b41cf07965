import type { Enforcement } from '@foedus/usage-policies';
import { refusalOf } from '../catalog/refusal.ts';
import type { NegotiationDecisions } from './decisions.ts';

/** Decisions that bind this node to nothing that its operator refuses, whatever they would have decided. */
export function refusing(decisions: NegotiationDecisions, refuse: readonly Enforcement[]): NegotiationDecisions {
  if (refuse.length === 0) return decisions;
  return {
    async onRequest(negotiation) {
      const decision = await decisions.onRequest(negotiation);
      if (decision.kind !== 'agree' && decision.kind !== 'offer') return decision;
      const reason = refusalOf(decision.offer ?? negotiation.offer, refuse);
      return reason === undefined ? decision : { kind: 'terminate', reason };
    },
    async onOffer(negotiation) {
      const decision = await decisions.onOffer(negotiation);
      if (decision.kind !== 'accept' && decision.kind !== 'request') return decision;
      const offer = decision.kind === 'request' ? decision.offer : (negotiation.counterOffer ?? negotiation.offer);
      const reason = refusalOf(offer, refuse);
      return reason === undefined ? decision : { kind: 'terminate', reason };
    },
    // The last word before this side signs, also where a person has decided.
    async onStep(negotiation) {
      const decision = (await decisions.onStep?.(negotiation)) ?? { kind: 'proceed' };
      if (decision.kind !== 'proceed') return decision;
      const reason = refusalOf(negotiation.offer, refuse);
      return reason === undefined ? decision : { kind: 'terminate', reason };
    },
  };
}
