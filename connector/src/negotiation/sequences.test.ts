import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { createScriptedPeer, message, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import {
  negotiationMachine,
  transition,
  type NegotiationMessageName,
  type NegotiationState,
} from '../protocol/state-machine.ts';
import { SIGNATURE } from '../protocol/terms.ts';

const offer = {
  '@type': 'Offer',
  '@id': 'flights-contract:flights',
  target: 'flights',
  permission: policyTemplate.permission,
};
let space: DataSpace;
let provider: Participant;
let peer: ScriptedPeer;

beforeAll(async () => {
  space = await createDataSpace();
  // A provider that answers every request with an offer: so that long conversations come about.
  provider = await space.join('provider', {
    decisions: { onRequest: () => ({ kind: 'offer', offer }), onOffer: () => ({ kind: 'wait' }) },
  });
  await publish(provider, space.file);
  peer = await createScriptedPeer(await space.enrol('peer'));
});
afterAll(async () => {
  await peer[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

const paths: Record<NegotiationMessageName, string> = {
  ContractRequestMessage: 'request',
  ContractOfferMessage: 'offers',
  'ContractNegotiationEventMessage:ACCEPTED': 'events',
  ContractAgreementMessage: 'agreement',
  ContractAgreementVerificationMessage: 'agreement/verification',
  'ContractNegotiationEventMessage:FINALIZED': 'events',
  ContractNegotiationTerminationMessage: 'termination',
};
/** What the provider says by itself, and the state that it is in then. */
const automatic: Partial<Record<NegotiationState, { name: NegotiationMessageName; next: NegotiationState }>> = {
  REQUESTED: { name: 'ContractOfferMessage', next: 'OFFERED' },
  ACCEPTED: { name: 'ContractAgreementMessage', next: 'AGREED' },
  VERIFIED: { name: 'ContractNegotiationEventMessage:FINALIZED', next: 'FINALIZED' },
};

it('a provider follows the state machine through any sequence of a consumer’s messages', async () => {
  const likely: NegotiationMessageName[] = [
    'ContractRequestMessage',
    'ContractNegotiationEventMessage:ACCEPTED',
    'ContractAgreementVerificationMessage',
  ];
  const name = fc.constantFrom(...negotiationMachine.messages, ...likely, ...likely);
  await fc.assert(
    fc.asyncProperty(fc.array(name, { minLength: 2, maxLength: 8 }), async (names) => {
      const consumerPid = `urn:uuid:${randomUUID()}`;
      const base = `${provider.connector.protocolUrl}/2025-1/negotiations`;
      const first = message('ContractRequestMessage', { consumerPid, offer, callbackAddress: peer.address });
      const { body } = await peer.post(`${base}/request`, first);
      const pids = { consumerPid, providerPid: String(body['providerPid']) };
      let state: NegotiationState = 'REQUESTED';
      let agreement: Record<string, unknown> = {
        '@id': 'a',
        '@type': 'Agreement',
        target: 'flights',
        assigner: 'x',
        assignee: 'y',
      };
      agreement = { ...agreement, permission: offer.permission };
      const settle = async (): Promise<void> => {
        const step = automatic[state];
        if (!step) return;
        const said = await peer.next(step.name.split(':')[0]!, consumerPid);
        if (step.name === 'ContractAgreementMessage') agreement = said.body['agreement'] as Record<string, unknown>;
        state = step.next;
      };
      await settle();
      for (const wanted of names) {
        const [type, eventType] = wanted.split(':') as [string, string?];
        const sent = message(type, {
          ...pids,
          ...(eventType === undefined ? {} : { eventType }),
          ...(type === 'ContractAgreementMessage' ? { agreement } : {}),
          ...(/Request|Offer/.test(type) ? { offer } : {}),
          ...(type.includes('Verification') ? { [SIGNATURE]: await peer.identity.sign(agreement) } : {}),
        });
        const next: NegotiationState | undefined = transition(negotiationMachine, state, wanted, 'consumer');
        const { status } = await peer.post(`${base}/${pids.providerPid}/${paths[wanted]}`, sent);
        expect({ state, wanted, status }).toEqual({ state, wanted, status: next === undefined ? 400 : 200 });
        state = next ?? state;
        await settle();
        expect((await peer.get(`${base}/${pids.providerPid}`)).body['state']).toBe(state);
      }
    }),
    { numRuns: 15 },
  );
});
