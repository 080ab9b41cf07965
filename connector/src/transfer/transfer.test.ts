import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { createScriptedPeer, message, type Reply, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import {
  transferMachine,
  transition,
  type TransferMessageName,
  type TransferState,
} from '../protocol/state-machine.ts';
import { SIGNATURE } from '../protocol/terms.ts';

const PULL = 'HttpData-PULL';
const PUSH = 'FederatedTraining-PUSH';
const schemas = loadDspSchemas();
let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let agreementId: string;

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  consumer = await space.join('consumer');
  const published = await publish(provider, space.file, { formats: [PULL, PUSH] });
  const counterPartyAddress = provider.connector.protocolUrl;
  const { id } = await consumer.operator.negotiate({ counterPartyAddress, ...published });
  agreementId = (await consumer.operator.negotiationUntil(id, ['FINALIZED'])).agreementId!;
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

const dataAddress = { endpointType: 'urn:training', endpoint: 'https://c.example', properties: { sessionId: 's1' } };
const atProvider = async (consumerPid: string) => {
  const found = (await provider.operator.transfers()).find((transfer) => transfer.consumerPid === consumerPid);
  return found!;
};

describe('a pull transfer', () => {
  it('starts with endpoint and token, and goes through suspension and resumption to its end', async () => {
    const { id } = await consumer.operator.requestTransfer({ agreementId, format: PULL });
    const started = await consumer.operator.transferUntil(id, ['STARTED']);
    expect(started.dataAddress).toMatchObject({
      endpoint: `${provider.connector.protocolUrl}/data/${encodeURIComponent(started.providerPid!)}`,
      properties: { authType: 'bearer', authorization: expect.any(String) },
    });
    await provider.operator.suspendTransfer(started.providerPid!, { code: 'maintenance', reason: 'for an hour' });
    const suspended = await consumer.operator.transferUntil(id, ['SUSPENDED']);
    expect(suspended).toMatchObject({ suspendedBy: 'provider', reason: 'for an hour' });
    await expect(consumer.operator.startTransfer(id)).rejects.toMatchObject({ code: 'conflict' });
    await provider.operator.startTransfer(started.providerPid!);
    const again = await consumer.operator.transferUntil(id, ['STARTED']);
    expect(again.dataAddress?.properties['authorization']).not.toBe(started.dataAddress?.properties['authorization']);
    expect(again.reason).toBeUndefined();

    await consumer.operator.suspendTransfer(id);
    await provider.operator.transferUntil(started.providerPid!, ['SUSPENDED']);
    await consumer.operator.startTransfer(id);
    await provider.operator.transferUntil(started.providerPid!, ['STARTED']);
    await consumer.operator.completeTransfer(id);
    await provider.operator.transferUntil(started.providerPid!, ['COMPLETED']);
    await expect(consumer.operator.terminateTransfer(id)).rejects.toMatchObject({ code: 'illegal-transition' });
  });

  it('is refused with the reason under an agreement that is not theirs, and in a format that is not offered', async () => {
    const { id } = await consumer.operator.requestTransfer({ agreementId, format: 'Carrier-PULL' });
    const ended = await consumer.operator.transferUntil(id, ['TERMINATED']);
    expect(ended.reason).toMatch(/\$\.format: flights is not offered as Carrier-PULL, only as: HttpData-PULL/);
    const asked = consumer.operator.requestTransfer({ agreementId: 'urn:none', format: PULL });
    await expect(asked).rejects.toMatchObject({ code: 'not-found' });
    const wrongSide = provider.operator.requestTransfer({ agreementId, format: PULL });
    await expect(wrongSide).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('a transfer whose data flow is outside the connector', () => {
  it('waits until the flow registers, then starts; the flow sees every change by a growing version', async () => {
    const flow = provider.operator;
    const { id } = await consumer.operator.requestTransfer({ agreementId, format: PUSH, dataAddress });
    await consumer.operator.transferUntil(id, ['REQUESTED']);
    const before = await flow.flowTransfers(PUSH, -1);
    const waiting = flow.flowTransfers(PUSH, before.version);
    await flow.registerDataFlow(PUSH);
    const started = await consumer.operator.transferUntil(id, ['STARTED']);
    const seen = await waiting;
    expect(seen.version).toBeGreaterThan(before.version);
    const first = await flow.flowTransfers(PUSH, before.version);
    expect(first.transfers).toMatchObject([
      { id: started.providerPid, role: 'provider', state: 'STARTED', dataAddress },
    ]);

    const next = flow.flowTransfers(PUSH, first.version);
    await consumer.operator.terminateTransfer(id, { reason: 'enough' });
    expect(await next).toMatchObject({ transfers: [] });
    expect((await atProvider(id)).reason).toBe('enough');
  });

  it('is remembered over a restart, and the version never goes back', async () => {
    const { version } = await provider.operator.flowTransfers(PUSH, -1);
    provider = await provider.restart();
    expect((await provider.operator.flowTransfers(PUSH, -1)).version).toBe(version);
    const { id } = await consumer.operator.requestTransfer({ agreementId, format: PUSH, dataAddress });
    await consumer.operator.transferUntil(id, ['STARTED']);
    expect((await provider.operator.flowTransfers(PUSH, version)).version).toBeGreaterThan(version);
  });

  it('needs to know where to push to', async () => {
    const { id } = await consumer.operator.requestTransfer({ agreementId, format: PUSH });
    expect((await consumer.operator.transferUntil(id, ['TERMINATED'])).reason).toMatch(/\$\.dataAddress: is missing/);
  });
});

describe('against a consumer that says whatever a test makes it say', () => {
  let peer: ScriptedPeer;
  let base: string;
  let theirAgreement: string;
  const offer = {
    ...policyTemplate,
    '@id': 'flights-contract:flights',
    target: 'flights',
  };

  beforeAll(async () => {
    peer = await createScriptedPeer(await space.enrol('peer'));
    base = `${provider.connector.protocolUrl}/2025-1`;
    const consumerPid = `urn:uuid:${randomUUID()}`;
    const request = message('ContractRequestMessage', { consumerPid, offer, callbackAddress: peer.address });
    const { body } = await peer.post(`${base}/negotiations/request`, request);
    const agreement = (await peer.next('ContractAgreementMessage')).body['agreement'] as Record<string, unknown>;
    theirAgreement = String(agreement['@id']);
    const verification = message('ContractAgreementVerificationMessage', {
      consumerPid,
      providerPid: body['providerPid'],
      [SIGNATURE]: await peer.identity.sign(agreement),
    });
    await peer.post(`${base}/negotiations/${String(body['providerPid'])}/agreement/verification`, verification);
    await peer.next('ContractNegotiationEventMessage');
  });
  afterAll(async () => {
    await peer[Symbol.asyncDispose]();
  });

  const request = (fields: object = {}) =>
    message('TransferRequestMessage', {
      consumerPid: `urn:uuid:${randomUUID()}`,
      agreementId: theirAgreement,
      format: PULL,
      callbackAddress: peer.address,
      ...fields,
    });
  const expectError = ({ status, body }: Reply, expected: number): unknown => {
    expect({ status, body }).toMatchObject({ status: expected, body: { '@type': 'TransferError' } });
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
    return body['reason'];
  };
  const started = async () => {
    const answer = await peer.post(`${base}/transfers/request`, request());
    expect(answer).toMatchObject({ status: 201, body: { '@type': 'TransferProcess', state: 'REQUESTED' } });
    const { body } = await peer.next('TransferStartMessage', answer.body['consumerPid']);
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
    return { consumerPid: String(body['consumerPid']), providerPid: String(body['providerPid']) };
  };

  it('begins one transfer however often the same request comes', async () => {
    const first = request();
    const one = await peer.post(`${base}/transfers/request`, first);
    expect(await peer.post(`${base}/transfers/request`, first)).toEqual(one);
    await peer.next('TransferStartMessage');
    const again = { ...first, '@id': 'urn:uuid:again' };
    expect(await peer.post(`${base}/transfers/request`, again)).toEqual(one);
    const other = { ...first, callbackAddress: `${peer.address}/elsewhere` };
    expectError(await peer.post(`${base}/transfers/request`, other), 400);
    const mine = (await provider.operator.transfers()).filter((t) => t.consumerPid === first['consumerPid']);
    expect(mine.length).toBe(1);
  });

  it('does not tell agreements of others from those that do not exist', async () => {
    const foreign = expectError(await peer.post(`${base}/transfers/request`, request({ agreementId })), 400);
    const none = expectError(await peer.post(`${base}/transfers/request`, request({ agreementId: 'urn:none' })), 400);
    expect(String(none)).toBe(String(foreign).replace(agreementId, 'urn:none'));
  });

  it('lets nobody resume what the provider has suspended, and tells a second suspension from a repeated one', async () => {
    const pids = await started();
    const url = `${base}/transfers/${pids.providerPid}`;
    await provider.operator.suspendTransfer(pids.providerPid);
    await peer.next('TransferSuspensionMessage');
    expectError(await peer.post(`${url}/start`, message('TransferStartMessage', pids)), 400);
    await provider.operator.startTransfer(pids.providerPid);

    // Without an @id, equal messages are equal bytes.
    const { '@id': _id, ...suspension } = message('TransferSuspensionMessage', pids);
    const { '@id': _other, ...start } = message('TransferStartMessage', pids);
    const states: unknown[] = [];
    for (const [path, body] of [
      ['suspension', suspension],
      ['suspension', suspension],
      ['start', start],
      ['suspension', suspension],
      ['start', start],
    ] as const) {
      expect((await peer.post(`${url}/${path}`, body)).status).toBe(200);
      states.push((await peer.get(url)).body['state']);
    }
    expect(states).toEqual(['SUSPENDED', 'SUSPENDED', 'STARTED', 'SUSPENDED', 'STARTED']);
  });

  it('follows the state machine through any sequence of messages and operator’s commands', async () => {
    type Step = { readonly by: 'consumer' | 'provider'; readonly name: TransferMessageName };
    const paths: Partial<Record<TransferMessageName, string>> = {
      TransferStartMessage: 'start',
      TransferSuspensionMessage: 'suspension',
      TransferCompletionMessage: 'completion',
      TransferTerminationMessage: 'termination',
    };
    const names = Object.keys(paths) as TransferMessageName[];
    // Ends are rare, so that most sequences have a middle.
    const weighted = [...names.slice(0, 2), ...names.slice(0, 2), ...names.slice(0, 2), ...names];
    const step = fc.record<Step>({
      by: fc.constantFrom('consumer', 'provider'),
      name: fc.constantFrom(...weighted),
    });
    const { operator } = provider;
    const command = (id: string, name: TransferMessageName) =>
      name === 'TransferStartMessage'
        ? operator.startTransfer(id)
        : name === 'TransferSuspensionMessage'
          ? operator.suspendTransfer(id)
          : name === 'TransferCompletionMessage'
            ? operator.completeTransfer(id)
            : operator.terminateTransfer(id);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 10 }), async (steps) => {
        const pids = await started();
        let state: TransferState = 'STARTED';
        let suspendedBy: Step['by'] | undefined;
        for (const { by, name } of steps) {
          let next: TransferState | undefined = transition(transferMachine, state, name, by);
          if (state === 'SUSPENDED' && next === 'STARTED' && suspendedBy !== by) next = undefined;
          const done =
            by === 'consumer'
              ? (await peer.post(`${base}/transfers/${pids.providerPid}/${paths[name]}`, message(name, pids)))
                  .status === 200
              : await command(pids.providerPid, name).then(
                  () => true,
                  () => false,
                );
          expect({ by, name, state, done }).toEqual({ by, name, state, done: next !== undefined });
          if (next === 'SUSPENDED') suspendedBy = by;
          state = next ?? state;
          expect((await peer.get(`${base}/transfers/${pids.providerPid}`)).body['state']).toBe(state);
        }
      }),
      { numRuns: 12 },
    );
  });
});

it.skipIf(!schemas)('every message and answer is valid by the published schemas', () => {
  const documents = space.exchanges
    .flatMap(({ body, answer }) => [body, answer])
    // The scripted consumer answers with empty objects.
    .filter((item) => item !== undefined && JSON.stringify(item) !== '{}');
  expect(documents.length).toBeGreaterThan(30);
  for (const document of documents) expect(schemas?.faultsOf(document)).toEqual([]);
});
