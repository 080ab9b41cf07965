/** What a connector answers to a message that has crossed one of its own, by how long its own takes to arrive. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { createScriptedPeer, message, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import { createPeerClient, type PeerClient } from '../identity/index.ts';
import { SIGNATURE } from './terms.ts';

let space: DataSpace;
let provider: Participant;
let peer: ScriptedPeer;
let client: PeerClient;
let agreementId: string;
/** What the peer waits for before it answers to a suspension. */
let taken = Promise.resolve();

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  const identity = await space.enrol('peer');
  client = createPeerClient(identity);
  peer = await createScriptedPeer(identity, async ({ body }) => {
    if (body['@type'] === 'TransferSuspensionMessage') await taken;
    return undefined;
  });
  await publish(provider, space.file);
  const consumerPid = `urn:uuid:${randomUUID()}`;
  const offer = { ...policyTemplate, '@id': 'flights-contract:flights', target: 'flights' };
  const asked = message('ContractRequestMessage', { consumerPid, offer, callbackAddress: peer.address });
  const { body } = await peer.post(`${base()}/negotiations/request`, asked);
  const { providerPid } = body;
  const agreement = (await peer.next('ContractAgreementMessage')).body['agreement'] as Record<string, unknown>;
  agreementId = String(agreement['@id']);
  const signature = await identity.sign(agreement);
  const verification = message('ContractAgreementVerificationMessage', {
    consumerPid,
    providerPid,
    [SIGNATURE]: signature,
  });
  await peer.post(`${base()}/negotiations/${String(providerPid)}/agreement/verification`, verification);
  await peer.next('ContractNegotiationEventMessage');
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

const base = (): string => `${provider.connector.protocolUrl}/2025-1`;

/** A transfer that the provider has suspended, and whose consumer does not answer to that yet. */
async function suspendedUnheard() {
  const { promise, resolve: take } = Promise.withResolvers<void>();
  taken = promise;
  const request = message('TransferRequestMessage', {
    consumerPid: `urn:uuid:${randomUUID()}`,
    agreementId,
    format: 'HttpData-PULL',
    callbackAddress: peer.address,
  });
  await peer.post(`${base()}/transfers/request`, request);
  const { body } = await peer.next('TransferStartMessage', request['consumerPid']);
  const pids = { consumerPid: body['consumerPid'], providerPid: body['providerPid'] };
  await provider.operator.suspendTransfer(String(pids.providerPid));
  await peer.next('TransferSuspensionMessage', pids.consumerPid);
  const url = `${base()}/transfers/${String(pids.providerPid)}`;
  const say = async (path: string, said: object) =>
    await client.call(`${url}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(said),
    });
  const state = async () => (await peer.get(url)).body['state'];
  return { pids, take, say, state };
}

it('answers a crossing message once its own has arrived, by what is true then', async () => {
  const { pids, take, say, state } = await suspendedUnheard();
  const order: string[] = [];
  const answer = say('suspension', message('TransferSuspensionMessage', pids)).then((reply) => {
    order.push('answered');
    return reply;
  });
  // The crossing message is there, and waits: later questions are answered before it.
  for (let i = 0; i < 5; i++) expect(await state()).toBe('SUSPENDED');
  order.push('taken');
  take();
  const { status, body } = await answer;
  expect(order).toEqual(['taken', 'answered']);
  expect(status).toBe(400);
  expect(JSON.parse(Buffer.from(body!).toString('utf8'))).toMatchObject({
    '@type': 'TransferError',
    reason: [expect.stringContaining('SUSPENDED')],
  });
});

it('asks the sender to come again where its own message does not arrive in time, and has changed nothing', async () => {
  const { pids, take, say, state } = await suspendedUnheard();
  const crossing = message('TransferSuspensionMessage', pids);
  const late = await say('suspension', crossing);
  expect([late.status, late.headers.get('retry-after')]).toEqual([503, '0']);
  expect(await state()).toBe('SUSPENDED');
  const again = say('suspension', crossing);
  take();
  expect((await again).status).toBe(400);
  const { suspendedBy } = await provider.operator.transfer(String(pids.providerPid));
  expect(suspendedBy).toBe('provider');
});

it('takes a crossing message that ends the process at once, and says nothing more', async () => {
  const { pids, take, say, state } = await suspendedUnheard();
  expect((await say('termination', message('TransferTerminationMessage', pids))).status).toBe(200);
  expect(await state()).toBe('TERMINATED');
  take();
});
