import { sameRules } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { Identity } from '../identity/index.ts';
import type { Negotiation, SignedAgreement } from '../management/model.ts';

/**
 * The agreement that a negotiation leads to: the offer's rules between the two parties about the data set.
 *
 * @param id an IRI that nobody else uses, `urn:uuid:…`
 */
export function agreementFrom(
  { offer, datasetId, counterPartyId }: Negotiation,
  { id, assigner, at }: { id: string; assigner: string; at: Date },
): Record<string, unknown> {
  const { '@id': _id, '@type': _type, '@context': _context, target: _target, ...rules } = offer;
  return {
    ...rules,
    '@id': id,
    '@type': 'Agreement',
    target: datasetId,
    assigner,
    assignee: counterPartyId,
    timestamp: at.toISOString(),
  };
}

/**
 * Compares what a provider wants to be agreed with what was asked for: parties, target and every rule.
 *
 * @returns what is wrong, in words; undefined when nothing is
 */
export function objection(
  agreement: SignedAgreement,
  negotiation: Negotiation,
  participantId: string,
): string | undefined {
  const { assigner, assignee, target } = agreement;
  if (assigner !== negotiation.counterPartyId) {
    return `The agreement's assigner is ${assigner}, not the provider ${negotiation.counterPartyId}.`;
  }
  if (assignee !== participantId) return `The agreement's assignee is ${assignee}, not us (${participantId}).`;
  if (target !== negotiation.datasetId) {
    return `The agreement is about ${target}, but ${negotiation.datasetId} was asked for.`;
  }
  if (!sameRules(agreement.agreement, negotiation.offer)) {
    return 'The rules of the agreement are not those of the offer that was asked for.';
  }
  return undefined;
}

/**
 * Checks one side's signature of an agreement.
 *
 * @param allowUnsigned whether a missing signature is accepted; a wrong one never is
 * @returns what is wrong, in words; undefined when nothing is
 */
export function signatureObjection(
  identity: Identity,
  { agreement }: SignedAgreement,
  signature: string | undefined,
  signer: string,
  allowUnsigned: boolean,
): string | undefined {
  if (signature === undefined) {
    if (allowUnsigned) return undefined;
    return `${signer} did not sign the agreement, and this node makes no unsigned agreements.`;
  }
  try {
    identity.now.verify(signature, agreement, signer);
    return undefined;
  } catch (error) {
    if (!(error instanceof FoedusError)) throw error;
    return `The signature of ${signer} does not hold: ${error.message}`;
  }
}
