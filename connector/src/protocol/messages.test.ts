import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { FoedusError } from '../errors.ts';
import { parseJson } from './json-body.ts';
import { readMessage, type MessageType } from './messages.ts';
import { compactTerms, CONTEXT, SIGNATURE } from './terms.ts';

const schemas = loadDspSchemas();
const uuid = 'urn:uuid:32541fe6-c580-409e-85a8-8a9a32fbe833';
const offer = {
  '@type': 'Offer',
  '@id': 'o1',
  target: 'd1',
  permission: [{ action: 'use', constraint: [{ leftOperand: 'dateTime', operator: 'lteq', rightOperand: '2030' }] }],
};
const request = { '@context': [CONTEXT], '@type': 'ContractRequestMessage', consumerPid: uuid, offer };
const initial = { ...request, callbackAddress: 'https://c.example/dsp' };

const reasonsOf = (type: MessageType, body: unknown): unknown => {
  try {
    readMessage(type, body);
  } catch (error) {
    expect(error).toBeInstanceOf(FoedusError);
    expect((error as FoedusError).code).toBe('bad-request');
    return (error as FoedusError).details['reasons'];
  }
  return 'accepted';
};

describe.skipIf(!schemas)('the published example messages', () => {
  const messages = (schemas?.examples ?? []).filter(({ name }) =>
    /-(message|message_initial|message-full|negotiation|process)\.json$/.test(name),
  );
  it.each(messages.filter(({ document }) => document['@type'] !== 'DatasetRequestMessage'))(
    '$name is read',
    ({ document }) => {
      expect(() => readMessage(document['@type'] as MessageType, document)).not.toThrow();
    },
  );

  it('are valid by the published schemas themselves, which shows that the validator is in order', () => {
    const documents = (schemas?.examples ?? []).filter(({ name }) => !name.includes('did-service'));
    expect(documents.length).toBe(25);
    for (const { name, document } of documents) expect(schemas?.faultsOf(document), name).toEqual([]);
    expect(schemas?.faultsOf({ '@context': [CONTEXT], '@type': 'TransferError' })).not.toEqual([]);
  });
});

describe('readMessage', () => {
  it('reads prefixed terms, full IRIs, @id objects and single values instead of sets', () => {
    const odd = {
      '@context': CONTEXT,
      '@type': 'dspace:ContractRequestMessage',
      'https://w3id.org/dspace/2025/1/consumerPid': { '@id': uuid },
      'dspace:callbackAddress': { '@value': 'https://c.example/dsp' },
      'dspace:offer': {
        '@type': 'odrl:Offer',
        '@id': 'o1',
        'odrl:target': { '@id': 'd1' },
        'odrl:permission': {
          'odrl:action': { '@id': 'odrl:use' },
          'odrl:constraint': {
            'odrl:leftOperand': { '@id': 'http://www.w3.org/ns/odrl/2/dateTime' },
            'odrl:operator': { '@id': 'odrl:lteq' },
            'odrl:rightOperand': '2030',
          },
        },
      },
    };
    expect(readMessage('ContractRequestMessage', odd)).toEqual(readMessage('ContractRequestMessage', initial));
  });

  it('reads logical constraints that JSON-LD has made a list of', () => {
    const constraint = { leftOperand: 'count', operator: 'lteq', rightOperand: '5' };
    for (const or of [
      [constraint],
      { '@list': [constraint] },
      [{ '@list': [constraint] }],
      [{ '@set': [constraint] }],
    ]) {
      const [{ or: read }] = compactTerms([{ or }]) as [{ or: unknown }];
      expect(read).toEqual([constraint]);
    }
  });

  it('leaves right operands alone, because they are data', () => {
    const rightOperand = { 'odrl:and': [{ column: 'action', value: { '@id': 'x' } }] };
    const body = structuredClone(initial) as { offer: { permission: { constraint: object[] }[] } };
    body.offer.permission[0]!.constraint[0] = { leftOperand: 'f', operator: 'eq', rightOperand };
    const read = readMessage('ContractRequestMessage', body);
    expect(JSON.stringify(read.offer)).toContain(JSON.stringify(rightOperand));
  });

  it('keeps unknown properties of rules, so that the policy engine can refuse them', () => {
    const body = structuredClone(initial) as { offer: { permission: object[] } };
    body.offer.permission[0] = { action: 'use', duty: [{ action: 'delete' }] };
    expect(readMessage('ContractRequestMessage', body).offer.permission?.[0]).toHaveProperty('duty');
  });

  it.each([
    ['no object', 'x', '$: a message is a JSON object'],
    ['a missing context', { ...initial, '@context': undefined }, `$['@context']: must contain "${CONTEXT}"`],
    ['another type', { ...initial, '@type': 'Catalog' }, `$['@type']: must be "ContractRequestMessage"`],
    ['both addresses', { ...initial, providerPid: 'p' }, '$: needs either callbackAddress or providerPid'],
    ['neither address', request, '$: needs either callbackAddress or providerPid'],
  ])('refuses %s and names the place', (_what, body, reason) => {
    expect(reasonsOf('ContractRequestMessage', body)).toEqual([reason]);
  });

  it('names the JSON path of a fault deep inside', () => {
    const body = structuredClone(initial) as { offer: { permission: { constraint: object[] }[] } };
    body.offer.permission[0]!.constraint[0] = { leftOperand: 'count', operator: 'lteq', rightOperand: 5 };
    expect(reasonsOf('ContractRequestMessage', body)).toEqual([
      '$.offer.permission[0].constraint[0].rightOperand: a right operand is a string, an object or an array; write numbers as strings',
    ]);
  });

  it('reads the signature under its full name', () => {
    const body = {
      '@context': [CONTEXT],
      '@type': 'ContractAgreementVerificationMessage',
      consumerPid: 'c',
      providerPid: 'p',
      [SIGNATURE]: { '@value': 'a..b' },
    };
    expect(readMessage('ContractAgreementVerificationMessage', body)[SIGNATURE]).toBe('a..b');
  });

  it('throws nothing but bad-request on any JSON whatever', () => {
    const types: MessageType[] = ['ContractRequestMessage', 'ContractAgreementMessage', 'TransferRequestMessage'];
    const mutated = fc
      .tuple(fc.constantFrom(...Object.keys(initial), 'agreement', '__proto__'), fc.jsonValue({ maxDepth: 4 }))
      .map(([key, value]) => ({ ...initial, ...(JSON.parse(`{"${key}":${JSON.stringify(value)}}`) as object) }));
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.oneof(fc.jsonValue(), mutated), (type, value) => {
        try {
          readMessage(type, value);
        } catch (error) {
          expect((error as FoedusError).code).toBe('bad-request');
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('parseJson', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);

  it('refuses nesting beyond the limit without recursing into it', () => {
    expect(() => parseJson(bytes('['.repeat(500_000)))).toThrow(/nested deeper/);
    expect(parseJson(bytes(`["${'['.repeat(100)}\\"["]`))).toEqual([`${'['.repeat(100)}"[`]);
  });

  it('refuses bytes that are not UTF-8 and text that is not JSON', () => {
    expect(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(/UTF-8/);
    expect(() => parseJson(bytes('{"a":}'))).toThrow(/not JSON/);
  });
});
