/** Whether what a coordinator describes is what the contract is about. */
import { FoedusError } from '@foedus/connector/errors';
import type { Transfer } from '@foedus/connector/operator-client';
import { type SessionDescription, initialParameters, parameterCount, parametersHash, planHash } from '@foedus/fl-core';
import { z } from 'zod';

const TRAINING_ENDPOINT_TYPE = 'https://w3id.org/foedus/ns#FederatedTraining';

const addressSchema = z.object({
  endpointType: z.literal(TRAINING_ENDPOINT_TYPE),
  endpoint: z.url({ protocol: /^https$/ }).refine((text) => {
    const url = new URL(text);
    return url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  }),
  properties: z.object({ sessionId: z.uuid() }),
});

const rejected = (why: string): FoedusError => new FoedusError('plan-rejected', why);

/** Where the training is coordinated, from the transfer's data address. @throws FoedusError `plan-rejected` */
export function trainingAddress(transfer: Transfer): { readonly endpoint: string; readonly sessionId: string } {
  const parsed = addressSchema.safeParse(transfer.dataAddress);
  if (!parsed.success) {
    throw rejected(`The transfer's data address is not one of a federated training. ${z.prettifyError(parsed.error)}`);
  }
  return { endpoint: parsed.data.endpoint, sessionId: parsed.data.properties.sessionId };
}

/**
 * @param maxParameters the largest model that this node trains
 * @throws FoedusError `plan-rejected`, in words for both operators
 */
export function checkDescription(
  description: SessionDescription,
  transfer: Transfer,
  sessionId: string,
  maxParameters: number,
): void {
  const { plan, planHash: stated, modelHash, agreementId } = description;
  if (plan.sessionId !== sessionId) throw rejected(`The plan is of session ${plan.sessionId}, not of ${sessionId}.`);
  if (plan.coordinator !== transfer.counterPartyId) {
    throw rejected(
      `The plan's coordinator is ${plan.coordinator}, but the contract is with ${transfer.counterPartyId}.`,
    );
  }
  if (agreementId !== transfer.agreementId) {
    throw rejected(
      `The session is run under agreement ${agreementId}, but the transfer under ${transfer.agreementId}.`,
    );
  }
  if (planHash(plan) !== stated) throw rejected('The plan has another SHA-256 than the coordinator states.');
  const parameters = parameterCount(plan);
  if (parameters > maxParameters) {
    throw rejected(`The model has ${parameters} parameters; this node trains at most ${maxParameters}.`);
  }
  if (parametersHash(initialParameters(plan)) !== modelHash) {
    throw rejected("The initial parameters have another SHA-256 than follows from the plan's seed.");
  }
}
