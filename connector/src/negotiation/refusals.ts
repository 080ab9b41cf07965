import type { Enforcement } from '@foedus/usage-policies';
import { refusalOf } from '../catalog/refusal.ts';
import type { NegotiationDecisions, StepDecision, Terminate } from './decisions.ts';

/** Decisions that bind this node to nothing that its operator refuses, whatever they would have decided. */
export function refusing(decisions: NegotiationDecisions, refuse: readonly Enforcement[]): NegotiationDecisions {
  if (refuse.length === 0) return decisions;
  /** What was decided, unless it would bind this node to `rules` that are refused. */
  const unless = <D>(decision: D, rules: Record<string, unknown> | undefined): D | Terminate => {
    const reason = rules && refusalOf(rules, refuse);
    return reason === undefined ? decision : { kind: 'terminate', reason };
  };
  return {
    ...(decisions.immediate === undefined ? {} : { immediate: decisions.immediate }),
    onRequest: (negotiation) =>
      once(decisions.onRequest(negotiation), (decision) => {
        const binding = decision.kind === 'agree' || decision.kind === 'offer';
        return unless(decision, binding ? (decision.offer ?? negotiation.offer) : undefined);
      }),
    onOffer: (negotiation) =>
      once(decisions.onOffer(negotiation), (decision) => {
        if (decision.kind === 'request') return unless(decision, decision.offer);
        const accepted = negotiation.counterOffer ?? negotiation.offer;
        return unless(decision, decision.kind === 'accept' ? accepted : undefined);
      }),
    // The last word before this side signs, also where a person has decided.
    onStep: (negotiation) =>
      once<StepDecision, StepDecision>(decisions.onStep?.(negotiation) ?? { kind: 'proceed' }, (decision) =>
        unless(decision, decision.kind === 'proceed' ? negotiation.offer : undefined),
      ),
  };
}

/** Goes on at once with what is there already. */
function once<A, B>(value: A | Promise<A>, next: (value: A) => B): B | Promise<B> {
  return value instanceof Promise ? later(value, next) : next(value);
}

async function later<A, B>(value: Promise<A>, next: (value: A) => B): Promise<B> {
  return next(await value);
}
