import { randomUUID } from 'node:crypto';
import { findOffer } from '../catalog/offers.ts';
import { checkPolicy, type Publications } from '../catalog/publications.ts';
import { FoedusError } from '../errors.ts';
import type { Negotiation, OperatorDecision } from '../management/model.ts';
import { faults } from '../protocol/messages.ts';
import { policyTemplateSchema } from '../protocol/policy-schema.ts';
import { compactTerms } from '../protocol/terms.ts';
import type { OfferDecision, RequestDecision } from './decisions.ts';

/**
 * What a person's decision means for a negotiation.
 *
 * @throws FoedusError `conflict` when it is not this side's turn, `bad-request` for rules that are none, or that a
 *   provider could not enforce
 */
export function decisionOf(
  negotiation: Negotiation,
  decision: OperatorDecision,
  publications: Publications,
): RequestDecision | OfferDecision {
  const { role, state, datasetId, offer, counterOffer, counterPartyId } = negotiation;
  const provider = role === 'provider';
  if (state !== (provider ? 'REQUESTED' : 'OFFERED')) {
    throw new FoedusError(
      'conflict',
      `There is nothing to decide: the negotiation with ${counterPartyId} is ${state}, and a ${role} decides when it is ${provider ? 'REQUESTED' : 'OFFERED'}.`,
    );
  }
  switch (decision.decision) {
    case 'reject':
      return { kind: 'terminate', reason: decision.reason ?? 'A person has looked at it and declines.' };
    case 'accept':
      if (!provider) return { kind: 'accept' };
      checkEnforceable(publications, datasetId, offer);
      return { kind: 'agree' };
    case 'counter': {
      const rules = rulesOf(decision.offer);
      if (provider) checkEnforceable(publications, datasetId, rules);
      // A consumer's answer is about the offer that it got, a provider's counter-offer is a new one.
      const id = provider ? `urn:uuid:${randomUUID()}` : String((counterOffer ?? offer)['@id']);
      return { kind: provider ? 'offer' : 'request', offer: { '@id': id, ...rules } };
    }
    default:
      return decision satisfies never;
  }
}

/**
 * The offer that an operator wants to make unasked: one that is published and that the consumer may see, or rules of
 * its own.
 *
 * @throws FoedusError `not-found`, `bad-request`
 */
export function offerFor(
  publications: Publications,
  counterPartyId: string,
  datasetId: string,
  { offerId, offer }: { offerId?: string | undefined; offer?: Record<string, unknown> | undefined },
): Record<string, unknown> {
  if (offerId !== undefined) {
    const published = findOffer(publications, counterPartyId, offerId);
    if (published?.asset.id === datasetId) return published.offer;
    throw new FoedusError(
      'not-found',
      `There is no offer ${offerId} for the data set ${datasetId} that ${counterPartyId} may see. Publish it first.`,
    );
  }
  const rules = rulesOf(offer ?? {});
  checkEnforceable(publications, datasetId, rules);
  return { '@id': `urn:uuid:${randomUUID()}`, ...rules };
}

/** An operator's template as an offer: in the protocol's spelling, without parties and target. */
function rulesOf(template: Record<string, unknown>): Record<string, unknown> {
  const compact = compactTerms(template);
  const shape = policyTemplateSchema.safeParse(compact);
  if (!shape.success) {
    throw new FoedusError('bad-request', `What is to be offered is no offer: ${faults(shape.error).join('; ')}`);
  }
  const dropped = new Set(['@context', '@type', 'target', 'assigner', 'assignee']);
  return Object.fromEntries(Object.entries(shape.data).filter(([term]) => !dropped.has(term)));
}

/** A provider agrees to nothing that it would have to refuse at every use. */
function checkEnforceable(publications: Publications, datasetId: string, rules: Record<string, unknown>): void {
  if (!publications.assets.get(datasetId)) {
    throw new FoedusError(
      'bad-request',
      `There is no asset ${datasetId} here any more: nothing can be agreed about it.`,
    );
  }
  const { target: _target, assigner: _assigner, assignee: _assignee, ...policy } = rules;
  const { '@id': id } = rules;
  checkPolicy({ id: typeof id === 'string' ? id : 'that is to be offered', policy });
}
