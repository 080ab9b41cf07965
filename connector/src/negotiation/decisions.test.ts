/** Negotiations about which a person decides, between two real connectors. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import type { Negotiation } from '../management/model.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let wish: { counterPartyAddress: string; counterPartyId: string; datasetId: string };

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  consumer = await space.join('consumer');
  await publish(provider, space.file);
  wish = {
    counterPartyAddress: consumer.connector.protocolUrl,
    counterPartyId: consumer.participantId,
    datasetId: 'flights',
  };
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

/** Rules that are published nowhere: so many uses. */
const uses = (count: number) => ({
  permission: [
    { action: 'use', constraint: [{ leftOperand: 'count', operator: 'lteq', rightOperand: String(count) }] },
  ],
});
/** Waits until a person is asked. */
const question = async ({ operator }: Participant, id: string): Promise<Negotiation> => {
  const asking = await operator.negotiationOrQuestion(id, ['FINALIZED', 'TERMINATED']);
  expect(asking.pendingDecision?.about).toBe(asking.role === 'provider' ? 'request' : 'offer');
  return asking;
};
/** The consumer's id of a negotiation, as soon as it has heard of it. */
const arrived = async (providerPid: string): Promise<string> => {
  const response = await fetch(`${consumer.connector.managementUrl}/events?type=negotiation`, {
    headers: { authorization: `Bearer ${consumer.token}`, 'last-event-id': '0' },
  });
  for await (const _chunk of response.body!) {
    const found = (await consumer.operator.negotiations()).find((one) => one.providerPid === providerPid);
    if (found) return found.id;
  }
  throw new Error('the offer did not arrive');
};

describe('a person', () => {
  it('of the consumer accepts an offer that nobody asked for', async () => {
    const { id } = await provider.operator.offer({ ...wish, offerId: 'flights-contract:flights' });
    const own = await question(consumer, await arrived(id));
    expect(own).toMatchObject({ state: 'OFFERED', pendingDecision: { about: 'offer' } });
    expect(await consumer.operator.negotiations({ pendingDecision: true })).toMatchObject([{ id: own.id }]);
    const answered = await consumer.operator.decideNegotiation(own.id, { decision: 'accept' });
    expect(answered.pendingDecision).toBeUndefined();
    const ended = await consumer.operator.negotiationUntil(own.id, ['FINALIZED']);
    expect(ended.pendingDecision).toBeUndefined();
    expect((await provider.operator.agreement(ended.agreementId!)).finalized).toBe(true);
    expect(await consumer.operator.negotiations({ pendingDecision: true })).toEqual([]);
  });

  it('of either side counters until one of them accepts, and the agreement says what was said last', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const own = (await question(consumer, await arrived(id))).id;
    await consumer.operator.decideNegotiation(own, { decision: 'counter', offer: uses(5) });
    const asked = await question(provider, id);
    expect(asked).toMatchObject({ state: 'REQUESTED', offer: uses(5), pendingDecision: { about: 'request' } });
    await provider.operator.decideNegotiation(id, { decision: 'counter', offer: uses(3) });
    await consumer.operator.negotiationUntil(own, ['OFFERED']);
    expect(await question(consumer, own)).toMatchObject({ counterOffer: uses(3) });
    await consumer.operator.decideNegotiation(own, { decision: 'counter', offer: uses(4) });
    await provider.operator.negotiationUntil(id, ['REQUESTED']);
    await question(provider, id);
    await provider.operator.decideNegotiation(id, { decision: 'accept' });
    const { agreementId } = await provider.operator.negotiationUntil(id, ['FINALIZED']);
    expect((await consumer.operator.agreement(agreementId!)).agreement).toMatchObject(uses(4));
  });

  it('is not asked again when the provider comes round to what the consumer has asked for', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const own = await question(consumer, await arrived(id));
    expect(own.pendingDecision?.why).toContain('nobody here has asked for');
    await consumer.operator.decideNegotiation(own.id, { decision: 'counter', offer: uses(6) });
    await provider.operator.negotiationUntil(id, ['REQUESTED']);
    await provider.operator.decideNegotiation(id, { decision: 'counter', offer: uses(6) });
    const ended = await provider.operator.negotiationUntil(id, ['FINALIZED']);
    expect((await consumer.operator.agreement(ended.agreementId!)).agreement).toMatchObject(uses(6));
  });

  it('is told what is new when the provider offers other rules than the consumer has asked for', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const own = (await question(consumer, await arrived(id))).id;
    await consumer.operator.decideNegotiation(own, { decision: 'counter', offer: uses(6) });
    await provider.operator.negotiationUntil(id, ['REQUESTED']);
    await provider.operator.decideNegotiation(id, { decision: 'counter', offer: uses(2) });
    await consumer.operator.negotiationUntil(own, ['OFFERED']);
    expect((await question(consumer, own)).pendingDecision?.why).toContain(
      'other rules than those that were asked for',
    );
    await consumer.operator.decideNegotiation(own, { decision: 'reject' });
  });

  it('is not asked again when the consumer takes what the provider has offered instead', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(7) });
    const own = (await question(consumer, await arrived(id))).id;
    await consumer.operator.decideNegotiation(own, { decision: 'counter', offer: uses(7) });
    const ended = await provider.operator.negotiationUntil(id, ['FINALIZED']);
    expect((await provider.operator.agreement(ended.agreementId!)).agreement).toMatchObject(uses(7));
  });

  it('rejects, and the other side is told why', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const own = (await question(consumer, await arrived(id))).id;
    await consumer.operator.decideNegotiation(own, { decision: 'reject', reason: 'Too little.' });
    expect(await provider.operator.negotiationUntil(id, ['TERMINATED'])).toMatchObject({ reason: 'Too little.' });
    const again = consumer.operator.decideNegotiation(own, { decision: 'accept' });
    await expect(again).rejects.toMatchObject({ code: 'conflict' });
  });

  it('is told when there is nothing to decide, or when the rules are none that this node could enforce', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const own = (await question(consumer, await arrived(id))).id;
    const early = provider.operator.decideNegotiation(id, { decision: 'accept' });
    await expect(early).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('OFFERED') });
    const empty = consumer.operator.decideNegotiation(own, { decision: 'counter', offer: {} });
    await expect(empty).rejects.toMatchObject({ code: 'bad-request' });
    const strange = {
      permission: [{ action: 'use', constraint: [{ leftOperand: 'moonPhase', operator: 'eq', rightOperand: 'full' }] }],
    };
    await consumer.operator.decideNegotiation(own, { decision: 'counter', offer: strange });
    await question(provider, id);
    for (const decision of [{ decision: 'accept' }, { decision: 'counter', offer: strange }] as const) {
      await expect(provider.operator.decideNegotiation(id, decision)).rejects.toMatchObject({
        code: 'bad-request',
        message: expect.stringContaining('moonPhase'),
      });
    }
    await expect(provider.operator.offer({ ...wish, offer: strange })).rejects.toMatchObject({ code: 'bad-request' });
    const { state, pendingDecision } = await provider.operator.negotiation(id);
    expect({ state, about: pendingDecision?.about }).toEqual({ state: 'REQUESTED', about: 'request' });
  });

  it('is told by the event stream that there is something to decide', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const own = await question(consumer, await arrived(id));
    const response = await fetch(`${consumer.connector.managementUrl}/events?type=negotiation`, {
      headers: { authorization: `Bearer ${consumer.token}`, 'last-event-id': '0' },
    });
    const expected = `"pendingDecision":${JSON.stringify(own.pendingDecision)}`;
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes(expected)) break;
    }
    expect(text).toContain(`"id":"${own.id}"`);
    await consumer.operator.decideNegotiation(own.id, { decision: 'reject' });
  });

  it('is still asked after a restart, the same question', async () => {
    const { id } = await provider.operator.offer({ ...wish, offer: uses(1) });
    const before = await question(consumer, await arrived(id));
    consumer = await consumer.restart();
    expect(await consumer.operator.negotiation(before.id)).toEqual(before);
    await consumer.operator.decideNegotiation(before.id, { decision: 'accept' });
    await provider.operator.negotiationUntil(id, ['FINALIZED']);
  });

  it('offers only what is there, and what is published only to those who may see it', async () => {
    const { operator } = provider;
    await publish(provider, space.file, { assetId: 'private', audience: ['did:web:somebody.example'] });
    const cases = [
      [{ datasetId: 'private', offerId: 'private-contract:private' }, 'not-found'],
      [{ datasetId: 'private', offerId: 'flights-contract:flights' }, 'not-found'],
      [{ datasetId: 'nothing', offer: uses(1) }, 'bad-request'],
      [{ offerId: 'flights-contract:flights', offer: uses(1) }, 'bad-request'],
      [{}, 'bad-request'],
      [{ offer: uses(1), counterPartyId: provider.participantId }, 'bad-request'],
      [{ offer: uses(1), counterPartyAddress: 'https://localhost:1' }, 'unavailable'],
    ] as const;
    for (const [fields, code] of cases) {
      await expect(operator.offer({ ...wish, ...fields }), JSON.stringify(fields)).rejects.toMatchObject({ code });
    }
  });
});

it.skipIf(!schemas)('every message of these negotiations is valid by the published schemas', () => {
  for (const { body, answer } of space.exchanges) {
    if (body !== undefined) expect(schemas?.faultsOf(body)).toEqual([]);
    if (answer !== undefined) expect(schemas?.faultsOf(answer)).toEqual([]);
  }
});
