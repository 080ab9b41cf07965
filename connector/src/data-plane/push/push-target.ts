import { z } from 'zod';
import { FoedusError } from '../../errors.ts';
import type { DataAddress } from '../../management/model.ts';
import { FORMATS, type Format } from '../format/formats.ts';
import { parsePullQuery, type PullQuery } from '../pull-request.ts';
import type { Outbound } from './outbound.ts';

export const HTTP_PUSH = 'HttpData-PUSH';
export const S3_PUSH = 'AmazonS3-PUSH';

/** What is wanted of a push, as the query of a pull: `columns=a,b&purpose=IRI&…`. */
export const QUERY_PROPERTY = 'https://w3id.org/foedus/ns#query';

export interface HttpTarget {
  readonly kind: 'http';
  readonly url: URL;
  /** Given: everything is sent in one request by this method, without resuming. */
  readonly method: 'POST' | 'PUT' | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface S3Target {
  readonly kind: 's3';
  readonly bucket: string;
  readonly key: string;
  readonly region: string;
  readonly endpoint: URL | undefined;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

/** What a consumer wants to get, and where. */
export interface PushTarget {
  readonly to: HttpTarget | S3Target;
  readonly query: PullQuery;
  readonly format: Format;
}

/** Headers that make the message, or that this node sets: nobody else does. */
const OURS =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|via|content-.*|accept.*|proxy-.*|sec-.*|upload-.*|foedus-.*|traceparent|tracestate)$/i;
const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, 'is no name of a header')
  .refine((name) => !OURS.test(name), 'is a header that only this node sets');
// Printable ASCII: neither the end of a line nor anything that is read as one (RFC 9110 section 5.5).
const headerValue = z.string().regex(/^[\x20-\x7e]{0,8192}$/, 'is no value of a header');
const secret = z.string().regex(/^[\x21-\x7e]{1,4096}$/, 'must be printable, without spaces');

const httpSchema = z.looseObject({
  method: z.enum(['POST', 'PUT']).optional(),
  authorization: headerValue.optional(),
  authKey: headerName.optional(),
  authCode: headerValue.optional(),
});
const s3Schema = z.looseObject({
  bucketName: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is no name of a bucket'),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'is no name of a region')
    .default('us-east-1'),
  objectName: z.string().min(1).max(900).optional(),
  keyName: z.string().min(1).max(900).optional(),
  folderName: z.string().max(500).default(''),
  endpointOverride: z.string().max(2_048).optional(),
  accessKeyId: secret,
  secretAccessKey: secret,
  sessionToken: secret.optional(),
});

/**
 * Reads the data address of a push: names as connectors of the EDC family use them.
 *
 * @throws FoedusError `bad-request` or `not-permitted`, without any of the address's values in the message
 */
export function readTarget(format: string, address: DataAddress | undefined, outbound: Outbound): PushTarget {
  const properties = address?.properties ?? {};
  const mediaType = properties['contentType'] ?? FORMATS[0]!.mediaType;
  const found = FORMATS.find((one) => one.mediaType === mediaType);
  if (found === undefined) {
    const offered = FORMATS.map((one) => one.mediaType).join(', ');
    throw new FoedusError('bad-request', `The property contentType must be one of ${offered}.`);
  }
  const query = parsePullQuery(queries(properties[QUERY_PROPERTY] ?? ''));
  const to = format === S3_PUSH ? s3Target(properties, outbound) : httpTarget(address, outbound);
  return { to, query, format: found };
}

function httpTarget(address: DataAddress | undefined, outbound: Outbound): HttpTarget {
  const { method, authorization, authKey, authCode } = parsed(httpSchema, address?.properties ?? {});
  if ((authKey === undefined) !== (authCode === undefined)) {
    throw new FoedusError('bad-request', 'The properties authKey and authCode go together.');
  }
  const url = outbound.url(address?.endpoint ?? address?.properties['baseUrl'] ?? '', 'The endpoint of the address');
  const headers = {
    ...(authorization !== undefined && { authorization }),
    ...(authKey !== undefined && authCode !== undefined && { [authKey.toLowerCase()]: authCode }),
  };
  return { kind: 'http', url, method, headers };
}

function s3Target(properties: Record<string, string>, outbound: Outbound): S3Target {
  const s3 = parsed(s3Schema, properties);
  const name = s3.objectName ?? s3.keyName;
  if (name === undefined) throw new FoedusError('bad-request', 'The data address needs an objectName.');
  const folder = s3.folderName.replace(/\/+$/, '');
  return {
    kind: 's3',
    bucket: s3.bucketName,
    key: folder === '' ? name : `${folder}/${name}`,
    region: s3.region,
    endpoint:
      s3.endpointOverride === undefined
        ? undefined
        : outbound.url(s3.endpointOverride, 'The property endpointOverride'),
    credentials: {
      accessKeyId: s3.accessKeyId,
      secretAccessKey: s3.secretAccessKey,
      ...(s3.sessionToken !== undefined && { sessionToken: s3.sessionToken }),
    },
  };
}

function parsed<S extends z.ZodType>(schema: S, properties: Record<string, string>): z.output<S> {
  const result = schema.safeParse(properties);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  // The message of an issue may quote the value, and that may be a secret.
  const what =
    issue?.code === 'custom' || issue?.code === 'invalid_format' ? issue.message : 'is missing or does not fit';
  throw new FoedusError(
    'bad-request',
    `The property ${issue?.path.map(String).join('.') ?? ''} of the data address ${what}.`,
  );
}

function queries(text: string): Record<string, string[]> {
  if (text.length > 40_000) throw new FoedusError('bad-request', 'The query of the data address is too long.');
  const found: Record<string, string[]> = {};
  for (const [name, value] of new URLSearchParams(text)) found[name] = [...(found[name] ?? []), value];
  return found;
}
