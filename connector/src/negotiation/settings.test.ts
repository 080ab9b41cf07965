/** Settings that decide in negotiations between two real connectors. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../../test/src/connectors.ts';
import { createScriptedPeer, message, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let wish: { counterPartyAddress: string; counterPartyId: string; datasetId: string };

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider', { negotiation: { acceptLess: true } });
  consumer = await space.join('consumer', { negotiation: { refuse: ['not-understood'] } });
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

const rules = (...constraint: object[]) => ({ permission: [{ action: 'use', constraint }] });
const uses = (count: number) => ({ leftOperand: 'count', operator: 'lteq', rightOperand: String(count) });
const inGermany = { leftOperand: 'spatial', operator: 'eq', rightOperand: 'urn:de' };

/** The consumer's id of a negotiation, once a person of the consumer is asked or it has ended. */
const arrived = async (providerPid: string): Promise<string> => {
  const response = await fetch(`${consumer.connector.managementUrl}/events?type=negotiation`, {
    headers: { authorization: `Bearer ${consumer.token}`, 'last-event-id': '0' },
  });
  for await (const _chunk of response.body!) {
    const found = (await consumer.operator.negotiations()).find((one) => one.providerPid === providerPid);
    if (found) return (await consumer.operator.negotiationOrQuestion(found.id, ['TERMINATED'])).id;
  }
  throw new Error('the offer did not arrive');
};

it('a provider that accepts less agrees to fewer uses than it has offered, and asks a person about more', async () => {
  const { id } = await provider.operator.offer({ ...wish, offer: rules(uses(5)) });
  const own = await arrived(id);
  await consumer.operator.decideNegotiation(own, { decision: 'counter', offer: rules(uses(3)) });
  const { agreementId } = await consumer.operator.negotiationUntil(own, ['FINALIZED']);
  expect((await provider.operator.agreement(agreementId!)).agreement).toMatchObject(rules(uses(3)));

  const second = await provider.operator.offer({ ...wish, offer: rules(uses(5)) });
  await consumer.operator.decideNegotiation(await arrived(second.id), { decision: 'counter', offer: rules(uses(6)) });
  expect(await provider.operator.negotiationOrQuestion(second.id, ['FINALIZED', 'TERMINATED'])).toMatchObject({
    pendingDecision: { about: 'request' },
  });
});

it('a consumer that refuses what is not understood signs nothing of it, though a person accepts', async () => {
  const { id } = await provider.operator.offer({ ...wish, offer: rules(inGermany) });
  const own = await arrived(id);
  await consumer.operator.decideNegotiation(own, { decision: 'accept' });
  expect(await consumer.operator.negotiationUntil(own, ['TERMINATED'])).toMatchObject({
    reason: 'This node refuses rules that are not understood: the place of use is urn:de',
  });
  expect((await provider.operator.negotiationUntil(id, ['TERMINATED'])).state).toBe('TERMINATED');
});

it('a provider that refuses what is not understood does not publish it', async () => {
  const policy = { '@type': 'Offer', ...rules(inGermany) };
  await expect(consumer.operator.putPolicy({ id: 'p', policy })).rejects.toMatchObject({
    code: 'bad-request',
    message: expect.stringContaining('not understood: the place of use is urn:de'),
  });
  expect(await provider.operator.putPolicy({ id: 'p', policy })).toMatchObject({ id: 'p', policy });
});

it('a counterparty may have as many offers and requests waiting for an answer as the settings say', async () => {
  const busy = await space.join('busy', { negotiation: { mostWaiting: 2 } });
  await publish(busy, space.file);
  await using peer = await createScriptedPeer(await space.enrol('eager'));
  await using other = await createScriptedPeer(await space.enrol('other'));
  const base = `${busy.connector.protocolUrl}/2025-1/negotiations`;
  const offer = (from: ScriptedPeer) =>
    message('ContractOfferMessage', {
      providerPid: `urn:uuid:${randomUUID()}`,
      offer: { '@type': 'Offer', '@id': 'urn:offer', target: 'theirs', ...rules(uses(1)) },
      callbackAddress: from.address,
    });
  const request = () =>
    message('ContractRequestMessage', {
      consumerPid: `urn:uuid:${randomUUID()}`,
      offer: { '@type': 'Offer', '@id': 'flights-contract:flights', target: 'flights', ...rules(uses(9)) },
      callbackAddress: peer.address,
    });
  for (const [path, write] of [
    ['offers', () => offer(peer)],
    ['request', request],
  ] as const) {
    const first = write();
    const one = await peer.post(`${base}/${path}`, first);
    expect([one.status, (await peer.post(`${base}/${path}`, write())).status]).toEqual([201, 201]);
    const late = write();
    expect(await peer.post(`${base}/${path}`, late)).toMatchObject({
      status: 503,
      body: {
        '@type': 'ContractNegotiationError',
        code: 'unavailable',
        reason: [expect.stringMatching(/^2 neg.* 2\./)],
      },
    });
    // What has begun goes on, and so does everybody else.
    expect(await peer.post(`${base}/${path}`, first)).toEqual(one);
    expect((await other.post(`${base}/offers`, offer(other))).status).toBe(201);
    const own = String(one.body[path === 'offers' ? 'consumerPid' : 'providerPid']);
    await busy.operator.decideNegotiation(own, { decision: 'reject' });
    expect((await peer.post(`${base}/${path}`, late)).status).toBe(201);
  }
});
