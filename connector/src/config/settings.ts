/** The settings that several programs share. Each leaf carries an example, which an error about it shows. */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { isLoopback } from '../identity/operator-server.ts';

interface SettingFacts {
  readonly example: unknown;
  /** The value is a path: taken relative to the configuration file's folder. */
  readonly path?: boolean;
}

const facts = z.registry<SettingFacts>();

/** @returns `schema` with an example of a right value, for errors */
export function setting<S extends z.ZodType>(schema: S, example: z.input<S>): S {
  facts.add(schema, { example });
  return schema;
}

/** A path of a file or folder: loadConfig makes it absolute, relative to the configuration file's folder. */
export function pathSetting(example: string): z.ZodString {
  const schema = z.string().min(1, 'must not be empty');
  facts.add(schema, { example, path: true });
  return schema;
}

/** @returns what `setting` and `pathSetting` noted about a schema */
export const factsOf = (schema: z.core.$ZodType): SettingFacts | undefined => facts.get(schema as z.ZodType);

export const hostSetting = setting(
  z
    .string()
    .max(253)
    .regex(/^[a-zA-Z0-9.:_-]+$/, 'must be a host name or an IP address'),
  '127.0.0.1',
);

/** 0 takes a free one: for tests. */
export const portSetting = setting(
  z.int('must be a whole number').min(0, 'must be 0 to 65535').max(65_535, 'must be 0 to 65535'),
  7101,
);

export const participantIdSetting = setting(
  z
    .string()
    .max(2_000)
    .regex(
      /^[a-zA-Z][a-zA-Z0-9+.-]*:[!-~]+$/,
      'must be an absolute IRI in ASCII: the one in the certificates of this participant',
    ),
  'did:web:bdl.example',
);

export const dataDirSetting = pathSetting('connector');

/** Files as `foedus certs issue` writes them: the `IdentityFiles` of loadIdentity. */
export const identitySettings = z.strictObject({
  tlsKey: pathSetting('tls.key'),
  tlsCertificate: pathSetting('tls.crt'),
  signingKey: pathSetting('signing.key'),
  signingCertificate: pathSetting('signing.crt'),
  trustAnchors: pathSetting('ca.crt'),
});

/** Listens beyond loopback: only where nobody but this organisation reaches the network (its own containers). */
const allowRemoteSetting = setting(z.boolean(), false).default(false);
const onLoopback = ({ host, allowRemote }: { host: string; allowRemote: boolean }): boolean =>
  allowRemote || isLoopback(host);
const notOnLoopback = {
  path: ['host'],
  message:
    'must be a loopback address, since this port is plain HTTP (set allowRemote to true where only this organisation reaches the network)',
};

/** A port that serves health to this machine. */
export const loopbackListenSettings = z
  .strictObject({ host: hostSetting.default('127.0.0.1'), port: portSetting, allowRemote: allowRemoteSetting })
  .refine(onLoopback, notOnLoopback);

/** Where a notice is posted to. Plain HTTP does not leave this machine. */
export const webhookSetting = setting(
  z
    .string()
    .max(2_000)
    .refine((text) => {
      const url = URL.parse(text);
      if (url === null || url.username !== '' || url.hash !== '' || /\s/.test(text)) return false;
      return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
    }, 'must be an https address (http only on this machine), without a user name'),
  'https://clearing.example/notices',
);

/** A network of addresses. */
export const networkSetting = setting(
  z
    .string()
    .max(100)
    .refine((text) => ipaddr.isValidCIDR(text), 'must be a network in CIDR notation'),
  '10.0.0.0/8',
);

/** The origin that others reach this node at; read without a slash at its end. */
const publicUrlSetting = setting(
  z.string().transform((text, context) => {
    const url = URL.parse(text);
    if (url?.protocol === 'https:' && (text === url.origin || text === `${url.origin}/`)) return url.origin;
    context.addIssue({
      code: 'custom',
      message: 'must be the https address that others reach this node at, without a path',
    });
    return z.NEVER;
  }),
  'https://connector.bdl.example:7101',
);

/** A port for other participants, over mutual TLS. */
export const peerListenSettings = z.strictObject({
  host: hostSetting.default('127.0.0.1'),
  port: portSetting,
  publicUrl: publicUrlSetting,
});

/** A port for this organisation's operator: plain HTTP with a token. */
export const operatorSettings = z
  .strictObject({
    host: hostSetting.default('127.0.0.1'),
    port: portSetting,
    tokenFile: pathSetting('management.token'),
    allowRemote: allowRemoteSetting,
  })
  .refine(onLoopback, notOnLoopback);

/** Where a program finds its own organisation's connector. */
export const connectorAccessSettings = z.strictObject({
  url: setting(
    z.string().refine((text) => {
      const url = URL.parse(text);
      return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
    }, 'must be the address of the connector’s operator API'),
    'http://127.0.0.1:7102',
  ),
  tokenFile: pathSetting('management.token'),
});
