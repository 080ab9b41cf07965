import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import type { Negotiation } from '../management/model.ts';
import type { RequestDecision, StepDecision } from './decisions.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let provider: Participant;
let consumer: Participant;

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  consumer = await space.join('consumer');
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

/** The newest negotiation of a participant that has none yet, as soon as it is in `state`. */
const firstIn = async (
  { connector, operator, token }: Participant,
  state: Negotiation['state'],
): Promise<Negotiation> => {
  const response = await fetch(`${connector.managementUrl}/events`, {
    headers: { authorization: `Bearer ${token}`, 'last-event-id': '0' },
  });
  for await (const _chunk of response.body!) {
    const found = (await operator.negotiations()).find((negotiation) => negotiation.state === state);
    if (found) return found;
  }
  throw new Error(`no negotiation came to ${state}`);
};

describe('a negotiation of a published offer', () => {
  it('ends with an agreement that both sides hold with both signatures', async () => {
    const { datasetId, offerId } = await publish(provider, space.file);
    const begun = await consumer.operator.negotiate({
      counterPartyAddress: provider.connector.protocolUrl,
      datasetId,
      offerId,
    });
    expect(begun.state).toBe('REQUESTED');
    const ended = await consumer.operator.negotiationUntil(begun.id, ['FINALIZED', 'TERMINATED']);
    expect(ended).toMatchObject({ state: 'FINALIZED', counterPartyId: provider.participantId });

    const own = await consumer.operator.agreement(ended.agreementId!);
    const theirs = await provider.operator.agreement(ended.agreementId!);
    expect(own).toMatchObject({ finalized: true, assigner: provider.participantId, assignee: consumer.participantId });
    expect(theirs.agreement).toEqual(own.agreement);
    expect(theirs.signatures).toEqual(own.signatures);
    for (const { identity } of [provider, consumer]) {
      await identity.verify(own.signatures.provider!, own.agreement, provider.participantId);
      await identity.verify(own.signatures.consumer!, own.agreement, consumer.participantId);
    }
  });
});

describe('where somebody else decides', () => {
  it('a provider may counter with another offer, and agrees when the consumer accepts it', async () => {
    const { datasetId, offerId } = await publish(provider, space.file);
    let answer: RequestDecision = { kind: 'wait' };
    const slow = await space.join('slow', {
      decisions: { onRequest: () => answer, onOffer: () => ({ kind: 'wait' }) },
    });
    await publish(slow, space.file);
    const wish = { counterPartyAddress: slow.connector.protocolUrl, datasetId, offerId };
    const { id } = await consumer.operator.negotiate(wish);
    const seen = await firstIn(slow, 'REQUESTED');
    answer = { kind: 'offer', offer: { ...policyTemplate, '@id': 'counter', '@context': undefined } };
    slow.connector.negotiations.reconsider(seen.id);
    const ended = await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    expect(ended.offer['@id']).toBe('counter');
    expect((await slow.operator.agreement(ended.agreementId!)).finalized).toBe(true);
  });

  it.each([
    { kind: 'proceed', ends: 'FINALIZED' },
    { kind: 'terminate', ends: 'TERMINATED' },
  ] as const)('a consumer may hold back before it signs, and then $kind', async ({ kind, ends }) => {
    const { datasetId, offerId } = await publish(provider, space.file);
    let answer: StepDecision = { kind: 'wait' };
    const careful = await space.join(`careful-${kind}`, {
      decisions: { onRequest: () => ({ kind: 'wait' }), onOffer: () => ({ kind: 'wait' }), onStep: () => answer },
    });
    const wish = { counterPartyAddress: provider.connector.protocolUrl, datasetId, offerId };
    const { id } = await careful.operator.negotiate(wish);
    const { state, agreementId } = await careful.operator.negotiationUntil(id, ['AGREED']);
    expect(state).toBe('AGREED');
    answer = kind === 'proceed' ? { kind } : { kind, reason: 'our lawyer objects' };
    careful.connector.negotiations.reconsider(id);
    const ended = await careful.operator.negotiationUntil(id, [ends]);
    await provider.operator.negotiationUntil(ended.providerPid!, [ends]);
    const agreements = await careful.operator.agreements();
    expect(agreements.map((agreement) => agreement.id)).toEqual(kind === 'proceed' ? [agreementId] : []);
  });

  it('what fails while a message is taken is tried again, and the message stays', async () => {
    const { datasetId, offerId } = await publish(provider, space.file);
    let asked = 0;
    const stumbling = await space.join('stumbling', {
      decisions: {
        immediate: true,
        onRequest: () => {
          asked += 1;
          if (asked === 1) throw new Error('this decision fails');
          return { kind: 'agree' };
        },
        onOffer: () => ({ kind: 'wait' }),
      },
    });
    await publish(stumbling, space.file);
    const wish = { counterPartyAddress: stumbling.connector.protocolUrl, datasetId, offerId };
    const { id } = await consumer.operator.negotiate(wish);
    const { providerPid } = await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    expect(asked).toBe(2);
    expect(await stumbling.operator.negotiations()).toMatchObject([{ id: providerPid, state: 'FINALIZED' }]);
    const requests = space.exchanges.filter(({ url }) => url.startsWith(stumbling.connector.protocolUrl));
    expect(requests.filter(({ url }) => url.endsWith('/negotiations/request'))).toMatchObject([{ status: 201 }]);
  });

  it('a provider may offer what nobody has asked for, and a consumer may take it', async () => {
    const { datasetId } = await publish(provider, space.file);
    const open = await space.join('open', {
      decisions: { onRequest: () => ({ kind: 'wait' }), onOffer: () => ({ kind: 'accept' }) },
    });
    const offer = { '@id': 'urn:present', permission: policyTemplate.permission };
    const to = { participantId: open.participantId, address: `${open.connector.protocolUrl}/2025-1` };
    const { id } = await provider.connector.negotiations.offer(to, datasetId, offer);
    const ended = await provider.operator.negotiationUntil(id, ['FINALIZED']);
    expect(ended).toMatchObject({ initiatedBy: 'provider', consumerPid: expect.stringContaining('urn:uuid:') });
    expect(await open.operator.agreement(ended.agreementId!)).toMatchObject({ role: 'consumer', target: datasetId });
  });
});

it.skipIf(!schemas)('every message and answer is valid by the published schemas', () => {
  expect(space.exchanges.length).toBeGreaterThan(5);
  for (const { body, answer } of space.exchanges) {
    if (body !== undefined) expect(schemas?.faultsOf(body)).toEqual([]);
    if (answer !== undefined) expect(schemas?.faultsOf(answer)).toEqual([]);
  }
});
