/** What a consumer's connector does about a provider that says whatever a test makes it say. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  type DataSpace,
  type JoinOptions,
  type Participant,
} from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { catalogOf, createScriptedPeer, message, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import { verifyAgreement } from '../agreement/signature.ts';
import type { Negotiation } from '../management/model.ts';
import { SIGNATURE } from '../protocol/terms.ts';

const schemas = loadDspSchemas();
const offer = { '@type': 'Offer', '@id': 'o1', target: 'flights', permission: policyTemplate.permission };
const providerPid = `urn:uuid:${randomUUID()}`;
let space: DataSpace;
let provider: ScriptedPeer;
let consumer: Participant;

beforeEach(async () => {
  space = await createDataSpace();
});
afterEach(async () => {
  for (const { body } of provider.received) expect(schemas?.faultsOf(body) ?? []).toEqual([]);
  await provider[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

/** A consumer that has asked the scripted provider for its offer. `ack`: what the provider answers to the request. */
const asked = async (options: JoinOptions = {}, ack: object = { providerPid }): Promise<Negotiation> => {
  const identity = await space.enrol('provider');
  const reply = { status: 201, body: message('ContractNegotiation', { ...ack, state: 'REQUESTED' }) };
  provider = await createScriptedPeer(
    identity,
    ({ body }) => (body['@type'] === 'ContractRequestMessage' ? reply : undefined),
    catalogOf(identity, offer),
  );
  consumer = await space.join('consumer', options);
  const negotiation = await consumer.operator.negotiate({
    counterPartyAddress: new URL(provider.address).origin,
    datasetId: 'flights',
    offerId: 'o1',
  });
  await provider.next('ContractRequestMessage');
  return negotiation;
};
const agreementFor = (fields: object = {}) => ({
  '@id': `urn:uuid:${randomUUID()}`,
  '@type': 'Agreement',
  target: 'flights',
  timestamp: new Date().toISOString(),
  assigner: provider.identity.participantId,
  assignee: consumer.participantId,
  permission: offer.permission,
  ...fields,
});
const say = async (negotiation: Negotiation, path: string, type: string, fields: object) =>
  await provider.post(
    `${consumer.connector.protocolUrl}/2025-1/negotiations/${negotiation.id}/${path}`,
    message(type, { consumerPid: negotiation.id, providerPid, ...fields }),
  );

describe('a consumer', () => {
  it('verifies the agreement, signs it and is done when the provider finalizes', async () => {
    const negotiation = await asked();
    const agreement = agreementFor();
    const signature = await provider.identity.sign(agreement);
    const answer = await say(negotiation, 'agreement', 'ContractAgreementMessage', {
      agreement,
      [SIGNATURE]: signature,
    });
    expect(answer).toMatchObject({ status: 200, body: { state: 'AGREED' } });
    const { path, body } = await provider.next('ContractAgreementVerificationMessage');
    expect(path).toBe(`/negotiations/${providerPid}/agreement/verification`);
    await provider.identity.verify(body[SIGNATURE] as string, agreement, consumer.participantId);
    await say(negotiation, 'events', 'ContractNegotiationEventMessage', { eventType: 'FINALIZED' });
    expect(await consumer.operator.agreement(agreement['@id'])).toMatchObject({ finalized: true, agreement });
  });

  it('verifies an agreement in JSON-LD’s expanded form, and keeps it as it was signed', async () => {
    const negotiation = await asked();
    const odrl = (term: string): string => `http://www.w3.org/ns/odrl/2/${term}`;
    const name = (id: string) => [{ '@id': id }];
    const [{ constraint }] = policyTemplate.permission as [(typeof policyTemplate.permission)[0]];
    const expanded = {
      '@id': `urn:uuid:${randomUUID()}`,
      '@type': [odrl('Agreement')],
      [odrl('target')]: name('flights'),
      [odrl('assigner')]: name(provider.identity.participantId),
      [odrl('assignee')]: name(consumer.participantId),
      'https://w3id.org/dspace/2025/1/timestamp': [{ '@value': new Date().toISOString() }],
      [odrl('permission')]: [
        {
          [odrl('action')]: name(odrl('use')),
          [odrl('constraint')]: constraint.map(({ leftOperand, operator, rightOperand }) => ({
            [odrl('leftOperand')]: name(leftOperand.includes(':') ? leftOperand : odrl(leftOperand)),
            [odrl('operator')]: name(odrl(operator)),
            [odrl('rightOperand')]: [rightOperand].flat().map((value) => ({ '@value': value })),
          })),
        },
      ],
    };
    const signature = await provider.identity.sign(expanded);
    await say(negotiation, 'agreement', 'ContractAgreementMessage', { agreement: expanded, [SIGNATURE]: signature });
    const { body } = await provider.next('ContractAgreementVerificationMessage');
    await provider.identity.verify(body[SIGNATURE] as string, expanded, consumer.participantId);
    await say(negotiation, 'events', 'ContractNegotiationEventMessage', { eventType: 'FINALIZED' });
    const kept = await consumer.operator.agreement(expanded['@id']);
    expect(kept).toMatchObject({ finalized: true, agreement: expanded, assignee: consumer.participantId });
    expect(await verifyAgreement(consumer.identity, kept)).toMatchObject({ valid: true });
  });

  it('learns the provider’s process id from the first message where the answer did not tell it', async () => {
    const negotiation = await asked({}, {});
    expect((await consumer.operator.negotiation(negotiation.id)).providerPid).toBeUndefined();
    await say(negotiation, 'termination', 'ContractNegotiationTerminationMessage', { reason: ['no'] });
    expect(await consumer.operator.negotiation(negotiation.id)).toMatchObject({
      providerPid,
      state: 'TERMINATED',
      reason: 'no',
    });
  });

  const forged: [string, object, RegExp][] = [
    ['other rules', { permission: [{ action: 'use' }] }, /rules of the agreement are not those/],
    ['another data set', { target: 'trains' }, /about trains/],
    ['another assignee', { assignee: 'did:web:x.example' }, /assignee is did:web:x\.example/],
    ['another assigner', { assigner: 'did:web:x.example' }, /assigner is did:web:x\.example/],
  ];
  it.each(forged)('terminates when the signed agreement says %s', async (_what, fields, reason) => {
    const negotiation = await asked();
    const agreement = agreementFor(fields);
    const signature = await provider.identity.sign(agreement);
    await say(negotiation, 'agreement', 'ContractAgreementMessage', { agreement, [SIGNATURE]: signature });
    const { body } = await provider.next('ContractNegotiationTerminationMessage');
    expect(String(body['reason'])).toMatch(reason);
    expect(await consumer.operator.agreements()).toEqual([]);
  });

  it('terminates when the signature is for another agreement', async () => {
    const negotiation = await asked();
    const signature = await provider.identity.sign(agreementFor());
    const fields = { agreement: agreementFor(), [SIGNATURE]: signature };
    await say(negotiation, 'agreement', 'ContractAgreementMessage', fields);
    const { body } = await provider.next('ContractNegotiationTerminationMessage');
    expect(String(body['reason'])).toMatch(/signature of did:web:provider\.example does not hold/);
  });

  it('makes an unsigned agreement only where its configuration allows it', async () => {
    const strict = await asked();
    await say(strict, 'agreement', 'ContractAgreementMessage', { agreement: agreementFor() });
    const { body } = await provider.next('ContractNegotiationTerminationMessage');
    expect(String(body['reason'])).toMatch(/did not sign/);
    await provider[Symbol.asyncDispose]();
    await space[Symbol.asyncDispose]();

    space = await createDataSpace();
    const lenient = await asked({ negotiation: { allowUnsigned: true } });
    const agreement = agreementFor();
    await say(lenient, 'agreement', 'ContractAgreementMessage', { agreement });
    await provider.next('ContractAgreementVerificationMessage');
    const stored = await consumer.operator.agreement(agreement['@id']);
    expect(Object.keys(stored.signatures)).toEqual(['consumer']);
  });

  it('accepts a counter-offer with the rules it asked for, and asks a person about any other', async () => {
    const negotiation = await asked();
    await say(negotiation, 'offers', 'ContractOfferMessage', { offer: { ...offer, '@id': 'o2' } });
    expect((await provider.next('ContractNegotiationEventMessage')).body).toMatchObject({ eventType: 'ACCEPTED' });
    const second = await consumer.operator.negotiate({
      counterPartyAddress: new URL(provider.address).origin,
      datasetId: 'flights',
      offerId: 'o1',
    });
    await provider.next('ContractRequestMessage');
    await say(second, 'offers', 'ContractOfferMessage', { offer: { ...offer, permission: [{ action: 'use' }] } });
    const asking = await consumer.operator.negotiationOrQuestion(second.id, ['TERMINATED']);
    expect(asking.pendingDecision).toMatchObject({ about: 'offer', why: expect.stringContaining('other rules') });
    await consumer.operator.decideNegotiation(second.id, { decision: 'accept' });
    const { body } = await provider.next('ContractNegotiationEventMessage', second.id);
    expect(body).toMatchObject({ eventType: 'ACCEPTED' });
  });

  it('asks a person about an offer that nobody asked for', async () => {
    await asked();
    const pid = `urn:uuid:${randomUUID()}`;
    const unasked = message('ContractOfferMessage', { providerPid: pid, offer, callbackAddress: provider.address });
    const answer = await provider.post(`${consumer.connector.protocolUrl}/2025-1/negotiations/offers`, unasked);
    expect(answer).toMatchObject({ status: 201, body: { '@type': 'ContractNegotiation', providerPid: pid } });
    const id = String(answer.body['consumerPid']);
    const asking = await consumer.operator.negotiationOrQuestion(id, ['TERMINATED']);
    expect(asking).toMatchObject({ state: 'OFFERED', pendingDecision: { about: 'offer' } });
    await consumer.operator.decideNegotiation(id, { decision: 'reject' });
    const { body } = await provider.next('ContractNegotiationTerminationMessage');
    expect(body).toMatchObject({ providerPid: pid, reason: ['A person has looked at it and declines.'] });
  });

  it('counters an offer where its decisions say so', async () => {
    const other = { ...offer, permission: [{ action: 'use' }] };
    let asks = 0;
    const negotiation = await asked({
      decisions: {
        onRequest: () => ({ kind: 'wait' }),
        onOffer: () => ((asks += 1) === 1 ? { kind: 'request', offer: other } : { kind: 'accept' }),
      },
    });
    await say(negotiation, 'offers', 'ContractOfferMessage', { offer });
    const { path, body } = await provider.next('ContractRequestMessage');
    expect(path).toBe(`/negotiations/${providerPid}/request`);
    expect(body).toMatchObject({ providerPid, offer: other });
    await say(negotiation, 'offers', 'ContractOfferMessage', { offer: { ...other, '@id': 'o3' } });
    await provider.next('ContractNegotiationEventMessage');
    expect(await consumer.operator.negotiation(negotiation.id)).toMatchObject({
      state: 'ACCEPTED',
      offer: { '@id': 'o3' },
    });
  });
});
