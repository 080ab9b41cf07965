/** The endpoints of DSP 2025-1 in both roles, in every spelling that a peer may use. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { createScriptedPeer, message, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import { SIGNATURE } from './terms.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let connector: Participant;
let peer: ScriptedPeer;
let base: string;

beforeAll(async () => {
  space = await createDataSpace();
  connector = await space.join('connector', {
    decisions: { onRequest: () => ({ kind: 'wait' }), onOffer: () => ({ kind: 'wait' }) },
  });
  await publish(connector, space.file);
  peer = await createScriptedPeer(await space.enrol('peer'));
  base = `${connector.connector.protocolUrl}/2025-1`;
});
afterAll(async () => {
  await peer[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

const pids = { consumerPid: 'urn:uuid:consumer', providerPid: 'urn:uuid:provider' };
const offer = {
  '@type': 'Offer',
  '@id': 'flights-contract:flights',
  target: 'flights',
  permission: policyTemplate.permission,
};
const agreement = { ...offer, '@type': 'Agreement', '@id': 'urn:agreement', assigner: 'urn:p', assignee: 'urn:c' };
const dataAddress = { '@type': 'DataAddress', endpointType: 'https://w3id.org/idsa/v4.1/HTTP', endpoint: 'https://p' };
const ending = { ...pids, code: '1', reason: ['enough'] };

/** Endpoint, message, fields, and whose role it is there for: the sender is the other one. */
const aboutProcesses: readonly (readonly [path: string, type: string, fields: object])[] = [
  ['negotiations/ID/request', 'ContractRequestMessage', { ...pids, offer }],
  ['negotiations/ID/offers', 'ContractOfferMessage', { ...pids, offer }],
  ['negotiations/ID/events', 'ContractNegotiationEventMessage', { ...pids, eventType: 'ACCEPTED' }],
  ['negotiations/ID/events', 'ContractNegotiationEventMessage', { ...pids, eventType: 'FINALIZED' }],
  ['negotiations/ID/agreement', 'ContractAgreementMessage', { ...pids, agreement }],
  ['negotiations/ID/agreement/verification', 'ContractAgreementVerificationMessage', pids],
  ['negotiations/ID/termination', 'ContractNegotiationTerminationMessage', ending],
  ['transfers/ID/start', 'TransferStartMessage', { ...pids, dataAddress }],
  ['transfers/ID/suspension', 'TransferSuspensionMessage', ending],
  ['transfers/ID/completion', 'TransferCompletionMessage', pids],
  ['transfers/ID/termination', 'TransferTerminationMessage', ending],
];

type Json = Record<string, unknown>;
const DSPACE = 'https://w3id.org/dspace/2025/1/';
const ODRL = 'http://www.w3.org/ns/odrl/2/';
const ofOdrl = new Set(
  'Offer Agreement permission target assigner assignee action constraint leftOperand operator rightOperand use dateTime lteq isPartOf'.split(
    ' ',
  ),
);
const iri = (term: string): string => (/[:@]/.test(term) ? term : (ofOdrl.has(term) ? ODRL : DSPACE) + term);

/** The message with full IRIs; the protocol's own terms, not those of policies, with arrays around their values. */
function expanded(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => expanded(item, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value as Json).map(([name, inner]) => {
        if (name === '@context' || name === '@id') return [name, inner];
        if (name === '@type') return [name, [iri(String(inner))]];
        if (/Operand|operator/.test(name)) return [iri(name), inner];
        return [iri(name), ofOdrl.has(name) ? expanded(inner, name) : [expanded(inner, name)].flat()];
      }),
    );
  }
  if (['action', 'eventType'].includes(key)) return { '@id': iri(String(value)) };
  return /^(consumerPid|providerPid|target|assign)/.test(key) ? { '@id': value } : { '@value': value };
}

const spellings = [
  { spelling: 'compact terms', spell: (body: Json) => body, slash: '' },
  { spelling: 'compact terms and a slash at the end', spell: (body: Json) => body, slash: '/' },
  { spelling: 'expanded terms', spell: (body: Json) => expanded(body) as Json, slash: '' },
  {
    spelling: 'other contexts and terms besides',
    spell: (body: Json) => ({
      ...body,
      '@context': ['https://w3id.org/edc/connector/management/v2', ...(body['@context'] as string[]), { x: 'urn:x' }],
      'x:more': { '@value': 1 },
    }),
    slash: '/',
  },
];
const errorOf = (path: string): string => (path.startsWith('transfers') ? 'TransferError' : 'ContractNegotiationError');

describe.each(spellings)('with $spelling', ({ spell, slash }) => {
  it.each(aboutProcesses)(
    '%s takes a %s, and answers 404 for a process that is not there',
    async (path, type, fields) => {
      const url = `${base}/${path.replace('ID', `urn:uuid:${randomUUID()}`)}${slash}`;
      const { status, body } = await peer.post(url, spell(message(type, { ...fields })));
      expect({ status, type: body['@type'] }).toEqual({ status: 404, type: errorOf(path) });
      expect(schemas?.faultsOf(body) ?? []).toEqual([]);
    },
  );

  it.each(['negotiations', 'transfers'])('%s/ID tells nothing of a process that is not there', async (path) => {
    const { status, body } = await peer.get(`${base}/${path}/urn:uuid:${randomUUID()}${slash}`);
    expect({ status, type: body['@type'] }).toEqual({ status: 404, type: errorOf(path) });
  });

  it.each([
    ['negotiations/request', 'ContractRequestMessage', 'consumerPid', 'REQUESTED'],
    ['negotiations/offers', 'ContractOfferMessage', 'providerPid', 'OFFERED'],
  ])('%s begins a negotiation by a %s', async (path, type, own, state) => {
    const pid = `urn:uuid:${randomUUID()}`;
    const first = message(type, { [own]: pid, offer, callbackAddress: `${peer.address}${slash}` });
    const { status, body } = await peer.post(`${base}/${path}${slash}`, spell(first));
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { '@type': 'ContractNegotiation', state, [own]: pid },
    });
    expect(schemas?.faultsOf(body) ?? []).toEqual([]);
    const id = String(body[own === 'consumerPid' ? 'providerPid' : 'consumerPid']);
    expect((await peer.get(`${base}/negotiations/${id}${slash}`)).body).toEqual(body);
    // What comes back goes to the address without a slash too many.
    await connector.operator.terminateNegotiation(id);
    const { path: at } = await peer.next('ContractNegotiationTerminationMessage', body['consumerPid']);
    expect(at).toBe(`/negotiations/${pid}/termination`);
  });

  it('transfers/request reads a TransferRequestMessage', async () => {
    const fields = {
      consumerPid: 'urn:c',
      agreementId: 'urn:none',
      format: 'HttpData-PULL',
      callbackAddress: peer.address,
    };
    const { status, body } = await peer.post(
      `${base}/transfers/request${slash}`,
      spell(message('TransferRequestMessage', fields)),
    );
    expect({ status, body }).toMatchObject({ status: 400, body: { '@type': 'TransferError' } });
    expect(String(body['reason'])).toMatch(/^\$\.agreementId: there is no finalized agreement urn:none/);
  });

  it('catalog/request and catalog/datasets/ID answer with what is offered', async () => {
    const asked = await peer.post(`${base}/catalog/request${slash}`, spell(message('CatalogRequestMessage', {})));
    expect(asked).toMatchObject({ status: 200, body: { '@type': 'Catalog' } });
    const one = await peer.get(`${base}/catalog/datasets/flights${slash}`);
    expect(one).toMatchObject({ status: 200, body: { '@type': 'Dataset', '@id': 'flights' } });
    for (const { body } of [asked, one]) expect(schemas?.faultsOf(body) ?? []).toEqual([]);
  });

  it('the version document is where it is looked for', async () => {
    const found = await peer.get(`${connector.connector.protocolUrl}/.well-known/dspace-version${slash}`);
    expect(found).toMatchObject({ status: 200, body: { protocolVersions: [{ version: '2025-1', path: '/2025-1' }] } });
  });
});

it('an agreement in expanded terms is understood, compared and signed like any other', async () => {
  const eager = await space.join('eager', {
    decisions: { onRequest: () => ({ kind: 'wait' }), onOffer: () => ({ kind: 'accept' }) },
  });
  const at = `${eager.connector.protocolUrl}/2025-1/negotiations`;
  const providerPid = `urn:uuid:${randomUUID()}`;
  const first = message('ContractOfferMessage', { providerPid, offer, callbackAddress: peer.address });
  const { body } = await peer.post(`${at}/offers`, first);
  const consumerPid = String(body['consumerPid']);
  await peer.next('ContractNegotiationEventMessage', consumerPid);
  const parties = { assigner: peer.identity.participantId, assignee: eager.participantId };
  const sent = expanded(
    message('ContractAgreementMessage', { consumerPid, providerPid, agreement: { ...agreement, ...parties } }),
  ) as Json;
  const [said] = sent[`${DSPACE}agreement`] as object[];
  const signature = await peer.identity.sign(said);
  await peer.post(`${at}/${consumerPid}/agreement`, { ...sent, [SIGNATURE]: [{ '@value': signature }] });
  const { body: verification } = await peer.next('ContractAgreementVerificationMessage', consumerPid);
  await peer.identity.verify(String(verification[SIGNATURE]), said, eager.participantId);
});
