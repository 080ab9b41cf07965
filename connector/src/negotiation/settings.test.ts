/** Settings that decide in negotiations between two real connectors. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../../test/src/connectors.ts';

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
  await expect(provider.operator.putPolicy({ id: 'p', policy })).resolves.toBeDefined();
});
