import { z } from 'zod';
import type { DataAddress } from '../management/model.ts';

/**
 * Data addresses: where data is fetched from or pushed to, and with which token.
 *
 * The protocol names two properties (`authorization`, `authType`) and leaves the rest to the participants. Connectors
 * of the EDC family look for all of them under the IRIs of their own vocabulary, the endpoint included, and send them
 * like that. So both names are written, and either is read. Inside this node only plain names are used.
 */

/** Type of an https endpoint in a data address, as the Dataspace Protocol's examples have it. */
export const HTTP_ENDPOINT = 'https://w3id.org/idsa/v4.1/HTTP';

/** EDC's vocabulary. */
const EDC = 'https://w3id.org/edc/v0.0.1/ns/';
/** What a property's name may have before it. */
const PREFIXES = [EDC, 'edc:', 'https://w3id.org/dspace/2025/1/', 'dspace:', 'https://w3id.org/tractusx/auth/'];

const text = z.string().max(100_000);
const endpointProperty = z.object({
  name: z.string().min(1).max(500),
  // EDC's response channels are objects: nothing here reads them, so they are kept as text.
  value: z.union([
    text,
    z.union([z.number(), z.boolean()]).transform(String),
    z.record(z.string(), z.unknown()).transform((value) => JSON.stringify(value)),
  ]),
});

/** A data address in a message, after `compactTerms`; comes out with plain names. */
export const dataAddressMessageSchema = z
  .looseObject({
    '@type': z
      .string()
      .transform(plain)
      .pipe(z.literal('DataAddress', { error: 'must be "DataAddress"' }))
      .optional(),
    endpointType: z.string().min(1).max(2048).optional(),
    endpoint: z.string().max(2048).optional(),
    endpointProperties: z.array(endpointProperty).max(200).optional(),
  })
  .transform((address, context): DataAddress => {
    const { endpointProperties = [], ...members } = address;
    const found = new Map<string, { readonly value: string; readonly isPlain: boolean }>();
    const add = (name: string, value: string): void => {
      const short = plain(name);
      // A property under both names says the same twice; if it does not, the protocol's own name holds.
      if (short !== '' && short !== '__proto__' && found.get(short)?.isPlain !== true) {
        found.set(short, { value, isPlain: short === name });
      }
    };
    for (const { name, value } of endpointProperties) add(name, value);
    for (const [name, value] of Object.entries(members)) {
      if (typeof value === 'string' && name !== plain(name) && value.length <= 100_000) add(name, value);
    }
    const endpoint = members.endpoint ?? found.get('endpoint')?.value;
    const endpointType = members.endpointType ?? found.get('endpointType')?.value ?? found.get('type')?.value;
    if (endpointType === undefined || endpointType === '') {
      context.addIssue({ code: 'custom', path: ['endpointType'], message: 'is missing' });
      return z.NEVER;
    }
    // These are members of the address, not properties beside them.
    found.delete('endpoint');
    found.delete('endpointType');
    if (found.get('type')?.value === endpointType) found.delete('type');
    return {
      endpointType,
      ...(endpoint === undefined ? {} : { endpoint }),
      properties: Object.fromEntries([...found].map(([name, { value }]) => [name, value])),
    };
  });

/** A data address as it stands in a message: every property under its plain name, and again under EDC's. */
export function writeDataAddress({ endpointType, endpoint, properties }: DataAddress): Record<string, unknown> {
  const plainNames = Object.entries(properties);
  const forEdc = [
    ...(endpoint === undefined ? [] : [['endpoint', endpoint] as const]),
    ['endpointType', endpointType] as const,
    ...plainNames.filter(([name]) => !name.includes(':')),
  ].map(([name, value]) => [EDC + name, value] as const);
  const known = new Set(plainNames.map(([name]) => name));
  const endpointProperties = [...plainNames, ...forEdc.filter(([name]) => !known.has(name))].map(([name, value]) => ({
    '@type': 'EndpointProperty',
    name,
    value,
  }));
  return {
    '@type': 'DataAddress',
    endpointType,
    ...(endpoint === undefined ? {} : { endpoint }),
    endpointProperties,
  };
}

/**
 * What to send in the header `Authorization` to the endpoint of a data address: the token as it was given, and, where
 * that is answered with 401, the other spelling. Data planes want it with or without the word `Bearer`, and their
 * addresses do not tell which.
 *
 * @returns values to try in turn; none when the address has no token
 */
export function authorizationHeaders({ properties }: Pick<DataAddress, 'properties'>): string[] {
  const given = properties['authorization']?.trim() ?? '';
  if (given === '') return [];
  const bare = /^Bearer +(.+)$/i.exec(given)?.[1];
  if (bare !== undefined) return [given, bare];
  // Another scheme than Bearer is as it has to be.
  return given.includes(' ') ? [given] : [given, `Bearer ${given}`];
}

/**
 * Who moves the data of a format, by its name: `HttpData-PULL`, `AmazonS3-PUSH`, and with a response channel
 * `HttpData-PULL-HttpData`.
 */
export function directionOf(format: string): 'pull' | 'push' | undefined {
  const [, direction] = /-(PULL|PUSH)(?:-|$)/.exec(format) ?? [];
  return direction === undefined ? undefined : direction === 'PULL' ? 'pull' : 'push';
}

/** @returns the name without the namespace or prefix of EDC or the protocol */
function plain(name: string): string {
  const prefix = PREFIXES.find((candidate) => name.startsWith(candidate));
  return prefix === undefined ? name : name.slice(prefix.length);
}
