import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { authorizationHeaders, directionOf, writeDataAddress } from './data-address.ts';
import { readMessage, writeMessage } from './messages.ts';
import { CONTEXT } from './terms.ts';

const schemas = loadDspSchemas();
const EDC = 'https://w3id.org/edc/v0.0.1/ns/';
const pids = { consumerPid: 'c', providerPid: 'p' };
const read = (dataAddress: unknown, context: unknown[] = [CONTEXT]) =>
  readMessage('TransferStartMessage', { '@context': context, '@type': 'TransferStartMessage', ...pids, dataAddress })
    .dataAddress;
const property = (name: string, value: unknown) => ({ '@type': 'EndpointProperty', name, value });

describe('a data address', () => {
  it('is read as it was written, and valid inside a start message', () => {
    const key = fc
      .string({ minLength: 1 })
      .filter((name) => !/^(__proto__|endpoint|endpointType|(edc|dspace):.*)$/s.test(name));
    fc.assert(
      fc.property(fc.dictionary(key, fc.string(), { maxKeys: 5 }), (properties) => {
        const address = { endpointType: 'urn:x', endpoint: 'https://p.example/data', properties };
        const message = writeMessage('TransferStartMessage', { ...pids, dataAddress: writeDataAddress(address) });
        expect(schemas?.faultsOf(message) ?? []).toEqual([]);
        const { dataAddress } = readMessage('TransferStartMessage', message);
        expect(dataAddress).toEqual({ ...address, properties: { ...properties } });
      }),
      { numRuns: 50 },
    );
  });

  it('carries every property under its plain name and under EDC’s, the endpoint included', () => {
    const written = writeDataAddress({
      endpointType: 'urn:http',
      endpoint: 'https://p.example/data',
      properties: { authorization: 'token', authType: 'bearer', 'https://x.example/own': 'kept' },
    });
    expect(written).toMatchObject({ endpointType: 'urn:http', endpoint: 'https://p.example/data' });
    expect(written['endpointProperties']).toEqual([
      property('authorization', 'token'),
      property('authType', 'bearer'),
      property('https://x.example/own', 'kept'),
      property(`${EDC}endpoint`, 'https://p.example/data'),
      property(`${EDC}endpointType`, 'urn:http'),
      property(`${EDC}authorization`, 'token'),
      property(`${EDC}authType`, 'bearer'),
    ]);
  });

  const expected = {
    endpointType: 'https://w3id.org/idsa/v4.1/HTTP',
    endpoint: 'https://edc.example/public',
    properties: { authorization: 'token', authType: 'bearer' },
  };
  it.each([
    [
      'with EDC’s names only, the endpoint among the properties',
      {
        '@type': 'DataAddress',
        endpointType: expected.endpointType,
        endpointProperties: [
          property(`${EDC}endpoint`, expected.endpoint),
          property(`${EDC}endpointType`, expected.endpointType),
          property(`${EDC}authorization`, 'token'),
          property(`${EDC}authType`, 'bearer'),
        ],
      },
    ],
    [
      'with prefixed terms and values that are wrapped',
      {
        '@type': 'dspace:DataAddress',
        'dspace:endpointType': { '@id': expected.endpointType },
        'dspace:endpoint': expected.endpoint,
        'dspace:endpointProperties': [
          { 'dspace:name': 'authorization', 'dspace:value': { '@value': 'token' } },
          { 'dspace:name': 'edc:authType', 'dspace:value': 'bearer' },
        ],
      },
    ],
    [
      'with EDC’s names as members, without a list of properties',
      {
        '@type': `${EDC}DataAddress`,
        [`${EDC}type`]: expected.endpointType,
        [`${EDC}endpoint`]: expected.endpoint,
        [`${EDC}authorization`]: 'token',
        [`${EDC}authType`]: 'bearer',
      },
    ],
    [
      'with both names, which disagree: the protocol’s own holds',
      {
        '@type': 'DataAddress',
        ...expected,
        properties: undefined,
        endpointProperties: [
          property(`${EDC}authorization`, 'other'),
          property('authorization', 'token'),
          property(`${EDC}authorization`, 'another'),
          property('authType', 'bearer'),
        ],
      },
    ],
  ])('is read %s', (_what, written) => {
    expect(read(written)).toEqual(expected);
  });

  it('may hold a response channel and numbers, which are kept as text', () => {
    const channel = { '@type': 'DataAddress', endpointType: 'x' };
    const address = read({
      endpointType: 'x',
      endpointProperties: [property(`${EDC}responseChannel`, channel), property('port', 8080)],
    });
    expect(address?.properties).toEqual({ responseChannel: JSON.stringify(channel), port: '8080' });
  });

  it('without a type, of another type, or with too much in it is refused with the place', () => {
    const tooMany = Array.from({ length: 201 }, (_, index) => property(`p${index}`, ''));
    for (const [address, place] of [
      [{}, /\$\.dataAddress\.endpointType: is missing/],
      [{ '@type': 'Asset', endpointType: 'x' }, /\$\.dataAddress\['@type'\]: must be "DataAddress"/],
      [{ endpointType: 'x', endpointProperties: tooMany }, /endpointProperties/],
      [{ endpointType: 'x', endpointProperties: [property('', 'x')] }, /endpointProperties\[0\]\.name/],
      ['https://x.example', /dataAddress/],
    ] as const) {
      expect(() => read(address)).toThrow(place);
    }
  });

  it('never sets what is not a property', () => {
    const address = read({ endpointType: 'x', endpointProperties: [property('__proto__', 'x'), property(EDC, 'x')] });
    expect(address?.properties).toEqual({});
  });
});

describe('a message', () => {
  it.each([
    [[CONTEXT, 'https://w3id.org/edc/connector/management/v2']],
    [['https://w3id.org/edc/dspace/v0.8', CONTEXT]],
    [[CONTEXT, 'https://w3id.org/edc/v0.0.1', { '@vocab': EDC }, { edc: EDC, odrl: 'http://www.w3.org/ns/odrl/2/' }]],
    [[{ '@base': null }, CONTEXT, null, 7]],
  ])('may name other contexts beside the protocol’s: %j', (context) => {
    expect(read({ '@type': 'DataAddress', endpointType: 'x' }, context)).toEqual({ endpointType: 'x', properties: {} });
  });
});

describe('authorizationHeaders', () => {
  it.each([
    ['abc', ['abc', 'Bearer abc']],
    ['Bearer abc', ['Bearer abc', 'abc']],
    ['bearer  abc ', ['bearer  abc', 'abc']],
    ['Basic dXNlcjpwYXNz', ['Basic dXNlcjpwYXNz']],
    ['', []],
    [undefined, []],
  ])('of %j are %j', (authorization, headers) => {
    expect(authorizationHeaders({ properties: authorization === undefined ? {} : { authorization } })).toEqual(headers);
  });
});

describe('directionOf', () => {
  it.each([
    ['HttpData-PULL', 'pull'],
    ['HttpData-PUSH', 'push'],
    ['AmazonS3-PUSH', 'push'],
    ['FederatedTraining-PUSH', 'push'],
    ['HttpData-PULL-HttpData', 'pull'],
    ['HttpData-PULLED', undefined],
    ['x', undefined],
  ])('of %s is %s', (format, direction) => {
    expect(directionOf(format)).toBe(direction);
  });
});
