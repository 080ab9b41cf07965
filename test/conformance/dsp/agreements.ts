import { randomUUID } from 'node:crypto';
import type { Identity } from '@foedus/connector/identity';
import type { OperatorClient } from '@foedus/connector/operator-client';
import { message } from '../../src/scripted-peer.ts';
import { ownOfferId } from './cases.ts';
import type { Reply } from './edge.ts';

const SIGNATURE = 'https://w3id.org/foedus/ns#signature';
export const rules = { permission: [{ action: 'use' }] };

/**
 * The kit's participant while the agreements are made that the transfer cases stand on: it agrees to everything, and
 * signs. After that the kit speaks for it.
 */
export function createSignatory(
  identity: Identity,
  connectorId: string,
  say: (path: string, message: unknown) => Promise<Reply>,
): (path: string, message: unknown) => Promise<Reply> {
  const wanted = new Map<unknown, string>();
  const respond: Record<string, (body: Record<string, unknown>) => Promise<unknown>> = {
    ContractRequestMessage: async ({ consumerPid, offer }) => {
      const { target } = offer as { target: string };
      const pids = { consumerPid, providerPid: wanted.get(consumerPid) };
      const agreement = {
        ...rules,
        '@id': target,
        '@type': 'Agreement',
        target,
        assigner: identity.participantId,
        assignee: connectorId,
        timestamp: new Date().toISOString(),
      };
      const fields = { ...pids, agreement, [SIGNATURE]: await identity.sign(agreement) };
      return await say(`/negotiations/${String(consumerPid)}/agreement`, message('ContractAgreementMessage', fields));
    },
    ContractAgreementVerificationMessage: ({ consumerPid, providerPid }) =>
      say(
        `/negotiations/${String(consumerPid)}/events`,
        message('ContractNegotiationEventMessage', { consumerPid, providerPid, eventType: 'FINALIZED' }),
      ),
    ContractAgreementMessage: async ({ consumerPid, providerPid, agreement }) =>
      say(
        `/negotiations/${String(providerPid)}/agreement/verification`,
        message('ContractAgreementVerificationMessage', {
          consumerPid,
          providerPid,
          [SIGNATURE]: await identity.sign(agreement),
        }),
      ),
  };
  return async (_path, incoming) => {
    const body = incoming as Record<string, unknown>;
    const type = String(body['@type']);
    const { consumerPid } = body;
    if (type === 'ContractRequestMessage') wanted.set(consumerPid, `urn:uuid:${randomUUID()}`);
    // Not before this message has been answered.
    setImmediate(() => void respond[type]?.(body));
    if (type !== 'ContractRequestMessage') return { status: 200, body: undefined };
    const providerPid = wanted.get(consumerPid);
    return { status: 201, body: message('ContractNegotiation', { consumerPid, providerPid, state: 'REQUESTED' }) };
  };
}

/** An agreement about a data set of the connector's. @returns its id */
export async function agreeAsConsumer(
  operator: OperatorClient,
  say: (path: string, message: unknown) => Promise<Reply>,
  callbackAddress: string,
  datasetId: string,
): Promise<string> {
  const offer = { ...rules, '@type': 'Offer', '@id': ownOfferId(datasetId), target: datasetId };
  const consumerPid = `urn:uuid:${randomUUID()}`;
  const request = message('ContractRequestMessage', { consumerPid, offer, callbackAddress });
  const { body } = await say('/negotiations/request', request);
  const { providerPid } = body as { providerPid: string };
  const { agreementId } = await operator.negotiationUntil(providerPid, ['FINALIZED']);
  return agreementId!;
}

/** An agreement about a data set of the kit's participant, which gives it the data set's id. */
export async function agreeAsProvider(
  operator: OperatorClient,
  counterPartyAddress: string,
  datasetId: string,
  offerId: string,
): Promise<string> {
  const { id } = await operator.negotiate({ counterPartyAddress, datasetId, offerId });
  const { agreementId } = await operator.negotiationUntil(id, ['FINALIZED']);
  return agreementId!;
}
