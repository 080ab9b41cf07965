import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, policyTemplate, type DataSpace, type Participant } from '../src/connectors.ts';
import { loadDspSchemas } from '../src/dsp-schemas.ts';
import { createScriptedPeer, message, type ScriptedPeer } from '../src/scripted-peer.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let target: Participant;
let peer: ScriptedPeer;
beforeAll(async () => {
  space = await createDataSpace();
  target = await space.join('target');
  peer = await createScriptedPeer(await space.enrol('peer'));
});
afterAll(async () => {
  await peer[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

type Fields = Record<string, unknown>;
const pids = { consumerPid: 'urn:c', providerPid: 'urn:p' };
const offer = { '@id': 'urn:o', '@type': 'Offer', target: 'urn:t', permission: policyTemplate.permission };
const agreement = { ...offer, '@type': 'Agreement', assigner: 'did:web:a.example', assignee: 'did:web:b.example' };
const dataAddress = {
  '@type': 'DataAddress',
  endpointType: 'urn:e',
  endpointProperties: [{ '@type': 'EndpointProperty', name: 'a', value: 'b' }],
};
const callbackAddress = 'https://localhost:1/callback';

/** Every message of the protocol: where it goes, what it must have, and what it may have. */
const messages: readonly [path: string, type: string, required: Fields, optional?: Fields][] = [
  ['/catalog/request', 'CatalogRequestMessage', {}, { filter: [] }],
  ['/negotiations/request', 'ContractRequestMessage', { consumerPid: 'urn:c', offer }, { callbackAddress }],
  ['/negotiations/urn:n/request', 'ContractRequestMessage', { ...pids, offer }],
  ['/negotiations/offers', 'ContractOfferMessage', { providerPid: 'urn:p', offer }, { callbackAddress }],
  ['/negotiations/urn:n/offers', 'ContractOfferMessage', { ...pids, offer }],
  ['/negotiations/urn:n/events', 'ContractNegotiationEventMessage', { ...pids, eventType: 'ACCEPTED' }],
  ['/negotiations/urn:n/agreement', 'ContractAgreementMessage', { ...pids, agreement }],
  ['/negotiations/urn:n/agreement/verification', 'ContractAgreementVerificationMessage', pids],
  ['/negotiations/urn:n/termination', 'ContractNegotiationTerminationMessage', pids, { code: 'x' }],
  [
    '/transfers/request',
    'TransferRequestMessage',
    { consumerPid: 'urn:c', agreementId: 'urn:a', format: 'f', callbackAddress },
    { dataAddress },
  ],
  ['/transfers/urn:n/start', 'TransferStartMessage', pids, { dataAddress }],
  ['/transfers/urn:n/suspension', 'TransferSuspensionMessage', pids, { code: 'x' }],
  ['/transfers/urn:n/completion', 'TransferCompletionMessage', pids],
  ['/transfers/urn:n/termination', 'TransferTerminationMessage', pids, { code: 'x' }],
];

/** @returns the reasons of the typed error that the message is answered with */
async function reasonsFor(path: string, document: unknown): Promise<string[]> {
  const { status, body } = await peer.post(`${target.connector.protocolUrl}/2025-1${path}`, document);
  const kind = path.startsWith('/catalog')
    ? 'Catalog'
    : path.startsWith('/transfers')
      ? 'Transfer'
      : 'ContractNegotiation';
  expect({ status, type: body['@type'], code: body['code'] }).toEqual({
    status: 400,
    type: `${kind}Error`,
    code: 'bad-request',
  });
  if (schemas) expect(schemas.faultsOf(body)).toEqual([]);
  return body['reason'] as string[];
}

/** The document with another value at `path`; `undefined` takes the member away. */
function changed(document: Fields, path: readonly (string | number)[], value: unknown): Fields {
  const copy = structuredClone(document);
  const holder = path.slice(0, -1).reduce<Fields>((inner, key) => inner[key] as Fields, copy);
  const last = path.at(-1)!;
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return copy;
}

describe.each(messages)('a message to %s', (path, type, required, optional = {}) => {
  const right = (): Fields => message(type, { ...required, ...optional });

  it(`that is no ${type}, or has no context, is told so`, async () => {
    expect(await reasonsFor(path, changed(right(), ['@type'], 'Nonsense'))).toEqual([`$['@type']: must be "${type}"`]);
    expect(await reasonsFor(path, changed(right(), ['@context'], ['urn:x']))).toEqual([
      expect.stringMatching(/^\$\['@context'\]: /),
    ]);
    for (const nothing of [[], '"text"', 5]) {
      expect(await reasonsFor(path, nothing)).toEqual(['$: a message is a JSON object']);
    }
  });

  it('is told by its JSON path what is missing, and what is of the wrong kind', async () => {
    for (const field of Object.keys(required)) {
      for (const value of [undefined, 5, ['a', 'b']]) {
        const reasons = await reasonsFor(path, changed(right(), [field], value));
        expect(reasons).toContainEqual(expect.stringMatching(new RegExp(`^\\$(\\.${field}\\b|: needs either)`)));
      }
    }
    for (const field of Object.keys(optional)) {
      const reasons = await reasonsFor(path, changed(right(), [field], 5));
      expect(reasons).toContainEqual(expect.stringMatching(new RegExp(`^\\$\\.${field}\\b`)));
    }
  });
});

describe('what lies deeper in a message', () => {
  const request = (): Fields => message('ContractRequestMessage', { consumerPid: 'urn:c', offer, callbackAddress });
  it.each<[readonly (string | number)[], unknown, RegExp]>([
    [['offer', '@id'], undefined, /^\$\.offer\['@id'\]: /],
    [['offer', '@type'], 'Agreement', /^\$\.offer\['@type'\]: /],
    [['offer', 'permission'], [], /^\$\.offer\.permission: /],
    [['offer', 'permission', 0, 'action'], undefined, /^\$\.offer\.permission\[0\]\.action: /],
    [['offer', 'permission', 0, 'target'], 'urn:x', /^\$\.offer\.permission\[0\]\.target: /],
    [
      ['offer', 'permission', 0, 'constraint', 0, 'operator'],
      'about',
      /^\$\.offer\.permission\[0\]\.constraint\[0\]\.operator: /,
    ],
    [
      ['offer', 'permission', 0, 'constraint', 1, 'rightOperand'],
      5,
      /^\$\.offer\.permission\[0\]\.constraint\[1\]\.rightOperand: /,
    ],
    [['consumerPid'], '\ud800', /^\$\.consumerPid: has half of a surrogate pair/],
  ])('is named: %j as %j', async (place, value, reason) => {
    const reasons = await reasonsFor('/negotiations/request', changed(request(), place, value));
    expect(reasons).toContainEqual(expect.stringMatching(reason));
  });

  it.each(['http://localhost:1', 'https://user:secret@localhost:1', 'nowhere'])(
    'is named: an address like %s that cannot be called back',
    async (address) => {
      const unasked = message('ContractOfferMessage', { providerPid: 'urn:p', offer, callbackAddress: address });
      const reasons = await reasonsFor('/negotiations/offers', unasked);
      expect(reasons).toEqual([expect.stringMatching(/^\$\.callbackAddress: /)]);
    },
  );

  it('is named in a data address', async () => {
    const start = message('TransferStartMessage', { ...pids, dataAddress });
    const place = ['dataAddress', 'endpointProperties', 0, 'value'];
    const reasons = await reasonsFor('/transfers/urn:n/start', changed(start, place, null));
    expect(reasons).toContainEqual(expect.stringMatching(/^\$\.dataAddress\.endpointProperties\[0\]\.value: /));
  });

  it('is told what is no JSON at all', async () => {
    for (const text of ['', '{', '{"a":1,}', 'nonsense', '{"a":"\u0001"}']) {
      expect(String(await reasonsFor('/negotiations/request', text))).toMatch(/not JSON/);
    }
    expect(String(await reasonsFor('/transfers/request', '['.repeat(100)))).toMatch(/nested deeper than 32/);
  });
});

describe('a process that is not there, or somebody else’s', () => {
  it.each(['/negotiations/urn:n', '/transfers/urn:n'])('at %s answers 404 with the typed error', async (path) => {
    const { status, body } = await peer.get(`${target.connector.protocolUrl}/2025-1${path}`);
    const type = path.startsWith('/transfers') ? 'TransferError' : 'ContractNegotiationError';
    expect({ status, type: body['@type'], code: body['code'] }).toEqual({ status: 404, type, code: 'not-found' });
    if (schemas) expect(schemas.faultsOf(body)).toEqual([]);
  });
});
