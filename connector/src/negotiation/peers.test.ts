/** What a provider's connector does about a consumer that says whatever a test makes it say. */
import { Hono } from 'hono';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { createScriptedPeer, message, type Reply, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import { CONTEXT, SIGNATURE } from '../protocol/terms.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let provider: Participant;
let peer: ScriptedPeer;
let stranger: ScriptedPeer;
let base: string;
const offer = {
  '@type': 'Offer',
  '@id': 'flights-contract:flights',
  target: 'flights',
  permission: policyTemplate.permission,
};

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  peer = await createScriptedPeer(await space.enrol('peer'));
  stranger = await createScriptedPeer(await space.enrol('stranger'));
  base = `${provider.connector.protocolUrl}/2025-1`;
  await publish(provider, space.file);
  await publish(provider, space.file, { assetId: 'private', audience: ['did:web:somebody.example'] });
});
afterAll(async () => {
  await peer[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

const request = (fields: object = {}) =>
  message('ContractRequestMessage', {
    consumerPid: `urn:uuid:${randomUUID()}`,
    offer,
    callbackAddress: peer.address,
    ...fields,
  });
const pidsOf = ({ body }: { body: Record<string, unknown> }) => ({
  consumerPid: body['consumerPid'] as string,
  providerPid: body['providerPid'] as string,
});
/** A typed error that the published schema accepts. */
const expectError = ({ status, body }: Reply, expected: number): unknown => {
  expect({ status, body }).toMatchObject({ status: expected, body: { '@type': 'ContractNegotiationError' } });
  expect(schemas?.faultsOf(body) ?? []).toEqual([]);
  return body['reason'];
};
const agreed = async () => {
  const answer = await peer.post(`${base}/negotiations/request`, request());
  expect(answer).toMatchObject({ status: 201, body: { '@type': 'ContractNegotiation', state: 'REQUESTED' } });
  const { body } = await peer.next('ContractAgreementMessage');
  return { pids: pidsOf(answer), agreement: body['agreement'] as Record<string, unknown>, body };
};

describe('a provider', () => {
  it('signs the agreement, takes the signed verification, and finalizes', async () => {
    const { pids, agreement, body } = await agreed();
    await peer.identity.verify(body[SIGNATURE] as string, agreement, provider.participantId);
    expect(agreement).toMatchObject({ target: 'flights', assignee: peer.identity.participantId });
    const signature = await peer.identity.sign(agreement);
    const verification = message('ContractAgreementVerificationMessage', { ...pids, [SIGNATURE]: signature });
    const answer = await peer.post(`${base}/negotiations/${pids.providerPid}/agreement/verification`, verification);
    expect(answer).toMatchObject({ status: 200, body: { state: 'VERIFIED' } });
    expect((await peer.next('ContractNegotiationEventMessage')).body).toMatchObject({
      ...pids,
      eventType: 'FINALIZED',
    });
    expect((await peer.get(`${base}/negotiations/${pids.providerPid}`)).body).toMatchObject({ state: 'FINALIZED' });
  });

  it('has signed already when it says that it was asked: both are one commit', async () => {
    const answer = await peer.post(`${base}/negotiations/request`, request());
    expect(answer).toMatchObject({ status: 201, body: { state: 'REQUESTED' } });
    const { providerPid } = pidsOf(answer);
    expect((await peer.get(`${base}/negotiations/${providerPid}`)).body).toMatchObject({ state: 'AGREED' });
    const { body } = await peer.next('ContractAgreementMessage');
    expect(await provider.operator.negotiation(providerPid)).toMatchObject({
      state: 'AGREED',
      agreementId: (body['agreement'] as Record<string, unknown>)['@id'],
    });
  });

  it('stays FINALIZED when the consumer has ended it at the same moment, and both are told', async () => {
    let pids = { consumerPid: '', providerPid: '' };
    const terminated = new Hono().get('/callback/negotiations/:pid', (c) =>
      c.json(message('ContractNegotiation', { ...pids, state: 'TERMINATED' })),
    );
    await using ended = await createScriptedPeer(
      await space.enrol('ended'),
      ({ body }) => (body['eventType'] === 'FINALIZED' ? { status: 400 } : undefined),
      terminated,
    );
    const asked = await ended.post(`${base}/negotiations/request`, request({ callbackAddress: ended.address }));
    pids = pidsOf(asked);
    const { agreement } = (await ended.next('ContractAgreementMessage')).body as { agreement: { '@id': string } };
    const signature = await ended.identity.sign(agreement);
    const say = async (path: string, type: string, fields: object = {}) =>
      await ended.post(`${base}/negotiations/${pids.providerPid}/${path}`, message(type, { ...pids, ...fields }));
    const signed = { [SIGNATURE]: signature };
    await say('agreement/verification', 'ContractAgreementVerificationMessage', signed);
    await ended.next('ContractNegotiationEventMessage');
    const reason = expectError(await say('termination', 'ContractNegotiationTerminationMessage'), 400);
    expect(String(reason)).toContain('in the state FINALIZED');
    const events = await fetch(`${provider.connector.managementUrl}/events?type=undeliverable`, {
      headers: { authorization: `Bearer ${provider.token}`, 'last-event-id': '0' },
    });
    let log = '';
    for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
      log += chunk;
      if (log.includes(pids.providerPid)) break;
    }
    expect(log).toContain('refused the ContractNegotiationEventMessage:FINALIZED with 400');
    expect(await provider.operator.negotiation(pids.providerPid)).toMatchObject({ state: 'FINALIZED' });
    expect(await provider.operator.agreement(agreement['@id'])).toMatchObject({ finalized: true });
  });

  it('answers a repeated request alike and does not begin a second negotiation', async () => {
    const first = request();
    const [one, two] = [
      await peer.post(`${base}/negotiations/request`, first),
      await peer.post(`${base}/negotiations/request`, first),
    ];
    expect(two).toEqual(one);
    const mine = (await provider.operator.negotiations()).filter((n) => n.consumerPid === pidsOf(one).consumerPid);
    expect(mine.length).toBe(1);
    await peer.next('ContractAgreementMessage');
  });

  it('answers a repeated verification alike, although the negotiation is FINALIZED by then', async () => {
    const { pids, agreement } = await agreed();
    const signature = await peer.identity.sign(agreement);
    const verification = message('ContractAgreementVerificationMessage', { ...pids, [SIGNATURE]: signature });
    const url = `${base}/negotiations/${pids.providerPid}/agreement/verification`;
    const one = await peer.post(url, verification);
    await peer.next('ContractNegotiationEventMessage');
    expect(await peer.post(url, verification)).toEqual(one);
    const other = message('ContractAgreementVerificationMessage', { ...pids, [SIGNATURE]: signature });
    expectError(await peer.post(url, other), 400);
  });

  it('refuses a repeated message of a negotiation that has ended long ago, and begins no second one', async () => {
    const forgetful = await space.join('forgetful', { delivery: { forgetAfterSeconds: 0.05 } });
    await publish(forgetful, space.file);
    const root = `${forgetful.connector.protocolUrl}/2025-1/negotiations`;
    const first = request();
    const { providerPid, consumerPid } = pidsOf(await peer.post(`${root}/request`, first));
    await peer.next('ContractAgreementMessage', consumerPid);
    const ending = message('ContractNegotiationTerminationMessage', { providerPid, consumerPid });
    expect((await peer.post(`${root}/${providerPid}/termination`, ending)).status).toBe(200);
    const refused = async () => expectError(await peer.post(`${root}/${providerPid}/termination`, ending), 400);
    await vi.waitFor(refused, { timeout: 5_000 });
    expectError(await peer.post(`${root}/request`, first), 400);
    expect(await forgetful.operator.negotiations()).toMatchObject([{ id: providerPid, state: 'TERMINATED' }]);
  });

  it('asks a person about a request with changed rules, and says why when the answer is no', async () => {
    const changed = { ...offer, permission: [{ action: 'use' }] };
    const answer = await peer.post(`${base}/negotiations/request`, request({ offer: changed }));
    expect(answer.status).toBe(201);
    const { providerPid } = pidsOf(answer);
    const asking = await provider.operator.negotiationOrQuestion(providerPid, ['TERMINATED']);
    expect(asking.pendingDecision).toMatchObject({ about: 'request', why: expect.stringContaining('other rules') });
    await provider.operator.decideNegotiation(providerPid, { decision: 'reject', reason: 'Take the offer as it is.' });
    const { body } = await peer.next('ContractNegotiationTerminationMessage');
    expect(body['reason']).toEqual(['Take the offer as it is.']);
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
  });

  it.each([
    ['an offer that is not there', { '@id': 'nothing', target: 'flights' }],
    ['an offer for others', { '@id': 'private-contract:private', target: 'private' }],
    ['an offer of another data set', { '@id': 'flights-contract:flights', target: 'private' }],
  ])('refuses a request for %s, and begins no negotiation', async (_what, fields) => {
    const asked = request({ offer: { ...offer, ...fields } });
    const reasons = expectError(await peer.post(`${base}/negotiations/request`, asked), 400);
    expect(reasons).toEqual([`$.offer['@id']: there is no such offer for you here for the data set ${fields.target}`]);
    const pids = (await provider.operator.negotiations()).map(({ consumerPid }) => consumerPid);
    expect(pids).not.toContain(asked['consumerPid']);
  });

  it('terminates when the consumer signed something else, or nothing', async () => {
    for (const sign of [async () => await peer.identity.sign({ something: 'else' }), async () => undefined]) {
      const { pids } = await agreed();
      const signature = await sign();
      const verification = message('ContractAgreementVerificationMessage', {
        ...pids,
        ...(signature === undefined ? {} : { [SIGNATURE]: signature }),
      });
      await peer.post(`${base}/negotiations/${pids.providerPid}/agreement/verification`, verification);
      const { body } = await peer.next('ContractNegotiationTerminationMessage');
      expect(String(body['reason'])).toMatch(/signature|sign/);
      expect(await provider.operator.negotiations()).toContainEqual(
        expect.objectContaining({ id: pids.providerPid, state: 'TERMINATED' }),
      );
    }
  });

  it('answers 404 about the processes of others, as about those that do not exist', async () => {
    const { pids } = await agreed();
    const url = `${base}/negotiations/${pids.providerPid}`;
    const termination = message('ContractNegotiationTerminationMessage', pids);
    const foreign = expectError(await stranger.post(`${url}/termination`, termination), 404);
    expectError(await stranger.get(url), 404);
    const unknown = await stranger.post(`${base}/negotiations/urn:uuid:${randomUUID()}/termination`, termination);
    expect(expectError(unknown, 404)).toEqual(foreign);
    expect((await peer.get(url)).body).toMatchObject({ state: 'AGREED' });
  });

  it('refuses what the state does not allow, and stays as it is', async () => {
    const { pids } = await agreed();
    const url = `${base}/negotiations/${pids.providerPid}`;
    const illegal = [
      ['request', message('ContractRequestMessage', { ...pids, offer })],
      ['offers', message('ContractOfferMessage', { ...pids, offer })],
      ['events', message('ContractNegotiationEventMessage', { ...pids, eventType: 'ACCEPTED' })],
      ['events', message('ContractNegotiationEventMessage', { ...pids, eventType: 'FINALIZED' })],
    ] as const;
    for (const [path, body] of illegal) {
      expect(String(expectError(await peer.post(`${url}/${path}`, body), 400))).toMatch(/in the state AGREED/);
    }
    expect((await peer.get(url)).body).toMatchObject({ state: 'AGREED' });
  });

  it('refuses process ids that do not belong together', async () => {
    const { pids } = await agreed();
    const url = `${base}/negotiations/${pids.providerPid}/termination`;
    const wrong = message('ContractNegotiationTerminationMessage', { ...pids, consumerPid: 'urn:uuid:other' });
    expect(expectError(await peer.post(url, wrong), 400)).toEqual([
      '$.consumerPid: is not the process id of this process',
    ]);
  });

  it.each(['http://localhost:1/x', 'file:///etc/passwd', 'https://user:secret@localhost/', 'not an address', ''])(
    'refuses to call back at %j',
    async (callbackAddress) => {
      expect(
        String(expectError(await peer.post(`${base}/negotiations/request`, request({ callbackAddress })), 400)),
      ).toMatch(/^\$\.callbackAddress/);
    },
  );

  it('sends nothing to an address where somebody else than the caller answers', async () => {
    const before = stranger.received.length;
    const answer = await peer.post(`${base}/negotiations/request`, request({ callbackAddress: stranger.address }));
    const { providerPid } = pidsOf(answer);
    const ended = await provider.operator.negotiationUntil(providerPid, ['TERMINATED']);
    expect(ended.reason).toMatch(/did:web:stranger\.example, not did:web:peer\.example/);
    expect(stranger.received.length).toBe(before);
  });

  it('answers hostile bodies with the typed error', async () => {
    const url = `${base}/negotiations/request`;
    expect((await peer.post(url, `{"a":"${'x'.repeat(1 << 20)}"}`)).status).toBe(413);
    expectError(await peer.post(url, '['.repeat(100_000)), 400);
    expectError(await peer.post(url, 'null'), 400);
    expectError(await peer.post(url, '{"@context":{"__proto__":{}},"@type":[[]]}'), 400);
    expectError(await peer.post(url, request({ consumerPid: 'x'.repeat(3000) })), 400);
  });

  it('reads a request in expanded spelling, and paths with a slash at the end', async () => {
    const { '@id': _id, ...fields } = request();
    const odd = {
      ...fields,
      '@context': CONTEXT,
      '@type': 'https://w3id.org/dspace/2025/1/ContractRequestMessage',
      consumerPid: { '@id': fields['consumerPid'] },
    };
    const answer = await peer.post(`${base}/negotiations/request/`, odd);
    expect(answer.status).toBe(201);
    expect(pidsOf(answer).consumerPid).toBe(fields['consumerPid']);
    await peer.next('ContractAgreementMessage');
  });
});

describe('the catalog', () => {
  const ask = (fields: object = {}) =>
    peer.post(`${base}/catalog/request`, message('CatalogRequestMessage', { ...fields }));

  it('shows a caller what is open to everybody or to it, and is valid by the schema', async () => {
    const { body } = await ask();
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
    const datasets = body['dataset'] as { '@id': string; hasPolicy: { '@id': string }[] }[];
    expect(datasets.map((dataset) => dataset['@id'])).toEqual(['flights']);
    expect(datasets[0]!.hasPolicy.map((policy) => policy['@id'])).toEqual(['flights-contract:flights']);
    expect(body['participantId']).toBe(provider.participantId);
  });

  it('answers for one data set, whatever characters its id has', async () => {
    const assetId = 'https://data.example/a b/ü?x#y%2F';
    await publish(provider, space.file, { assetId });
    const { status, body } = await peer.get(`${base}/catalog/datasets/${encodeURIComponent(assetId)}`);
    expect({ status, id: body['@id'] }).toEqual({ status: 200, id: assetId });
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
    await provider.operator.deleteContractDefinition(`${assetId}-contract`);
    await provider.operator.deleteAsset(assetId);
  });

  it.each(['nothing', 'private'])('answers 404 with a CatalogError for the data set %s', async (id) => {
    const { status, body } = await peer.get(`${base}/catalog/datasets/${id}`);
    expect({ status, type: body['@type'] }).toEqual({ status: 404, type: 'CatalogError' });
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
  });

  it('refuses a filter, which it does not understand', async () => {
    const { status, body } = await ask({ filter: [{ a: 1 }] });
    expect({ status, type: body['@type'] }).toEqual({ status: 400, type: 'CatalogError' });
    expect((await ask({ filter: [] })).status).toBe(200);
  });

  it('tells which version of the protocol is spoken where', async () => {
    const { body } = await peer.get(`${provider.connector.protocolUrl}/.well-known/dspace-version`);
    expect(body).toEqual({ protocolVersions: [{ version: '2025-1', path: '/2025-1', binding: 'HTTPS' }] });
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
  });
});
