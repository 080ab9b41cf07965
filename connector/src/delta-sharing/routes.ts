import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import { byteStream } from '../data-plane/format/body.ts';
import { cutOffOnFailure } from '../data-plane/cut-off.ts';
import { openFile } from '../data-plane/source/whole-file.ts';
import { FoedusError, problemOf } from '../errors.ts';
import { readJson } from '../protocol/json-body.ts';
import type { ContractReader } from './contract-reader.ts';
import type { FileTokens } from './file-urls.ts';
import type { ShareProfile, ShareTable } from './model.ts';
import { noHistory, pageOf, readTableQuery } from './query-request.ts';
import type { ShareProfiles } from './share-profiles.ts';
import type { Spool } from './spool.ts';

/** Queries that may be under way at the same time: each writes a file. */
const MOST_QUERIES = 8;

/** Tables under an agreement have no history: all that there is is this version. */
const VERSION = { 'delta-table-version': '0' };
const PARQUET_FORMAT = { 'delta-sharing-capabilities': 'responseformat=parquet' };
const NDJSON = { 'content-type': 'application/x-ndjson; charset=utf-8', 'cache-control': 'no-store' };

export interface DeltaSharingOptions {
  readonly profiles: ShareProfiles;
  readonly reader: ContractReader;
  readonly spool: Spool;
  readonly fileTokens: FileTokens;
  /** Address of the endpoint, as clients reach it. */
  readonly endpoint: () => string;
  /** Aborts when the node stops. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
}

/**
 * The REST API of the open Delta Sharing protocol over the agreements of this node, response format `parquet`, mounted
 * at its endpoint's path.
 *
 * Lists, versions and metadata charge nothing. A query is one use: decided, charged and cut by the provider. Its answer
 * names one file, kept here for minutes, so that clients can read it in ranges and again without another charge.
 */
export function deltaSharingRoutes(options: DeltaSharingOptions): Hono {
  const { profiles, reader, spool, fileTokens, endpoint, stopping, logger } = options;
  let queries = 0;

  const profileOf = (c: Context): ShareProfile => {
    const token = /^Bearer ([^\s]{1,500})$/i.exec(c.req.header('authorization') ?? '')?.[1];
    const profile = token === undefined ? undefined : profiles.ofToken(token);
    if (profile !== undefined) return profile;
    c.header('WWW-Authenticate', 'Bearer');
    throw new FoedusError(
      'not-authenticated',
      'This call needs the bearer token of a profile that is neither revoked nor expired. foedus share profile makes one.',
    );
  };
  const inShare = (c: Context): ShareTable[] => {
    const share = c.req.param('share') ?? '';
    const tables = profileOf(c).tables.filter((table) => table.share === share);
    if (tables.length > 0) return tables;
    throw new FoedusError('not-found', `This profile has no share ${shown(share)}.`);
  };
  const inSchema = (c: Context): ShareTable[] => {
    const schema = c.req.param('schema') ?? '';
    const tables = inShare(c).filter((table) => table.schema === schema);
    if (tables.length > 0) return tables;
    throw new FoedusError('not-found', `The share has no schema ${shown(schema)}.`);
  };
  const tableOf = (c: Context): { table: ShareTable; profile: ShareProfile } => {
    const name = c.req.param('table') ?? '';
    const table = inSchema(c).find((candidate) => candidate.name === name);
    if (table !== undefined) return { table, profile: profileOf(c) };
    throw new FoedusError('not-found', `The schema has no table ${shown(name)}.`);
  };
  const listed = (c: Context, items: readonly object[]): Response => c.json(pageOf(items, c.req.query()));
  const headOf = async (table: ShareTable, profile: ShareProfile, signal: AbortSignal): Promise<object[]> => {
    const described = await reader.schema(table.agreementId, { purpose: profile.purpose }, signal);
    // Arrow is loaded when the first table is described.
    const { sparkSchema } = await import('./spark-schema.ts');
    let schemaString: string;
    try {
      schemaString = sparkSchema(described);
    } catch (cause) {
      throw new FoedusError('unavailable', 'The provider describes its data in a way that cannot be read.', { cause });
    }
    return [
      { protocol: { minReaderVersion: 1 } },
      {
        metaData: {
          id: table.agreementId,
          name: table.name,
          format: { provider: 'parquet', options: {} },
          schemaString,
          configuration: {},
          partitionColumns: [],
        },
      },
    ];
  };
  const answer = (c: Context, lines: readonly object[]): Response =>
    c.body(lines.map((line) => `${JSON.stringify(line)}\n`).join(''), 200, {
      ...NDJSON,
      ...VERSION,
      ...PARQUET_FORMAT,
    });

  const app = new Hono({ strict: false });
  app.onError((error, c) => {
    const { status, body } = problemOf(error);
    if (status === 500) logger.error({ err: error, path: c.req.path }, 'a Delta Sharing request could not be handled');
    else logger.info({ code: body.code, path: c.req.path }, 'a Delta Sharing request was refused');
    return c.json({ errorCode: body.code.toUpperCase().replaceAll('-', '_'), message: body.message }, status);
  });

  app.get('/shares', (c) => {
    const names = new Set(profileOf(c).tables.map(({ share }) => share));
    return listed(
      c,
      [...names].map((name) => ({ name, id: name })),
    );
  });
  app.get('/shares/:share', (c) => {
    const name = inShare(c)[0]!.share;
    return c.json({ share: { name, id: name } });
  });
  app.get('/shares/:share/schemas', (c) => {
    const tables = inShare(c);
    const names = new Set(tables.map(({ schema }) => schema));
    return listed(
      c,
      [...names].map((name) => ({ name, share: tables[0]!.share })),
    );
  });
  app.get('/shares/:share/schemas/:schema/tables', (c) => listed(c, inSchema(c).map(publicTable)));
  app.get('/shares/:share/all-tables', (c) => listed(c, inShare(c).map(publicTable)));

  const table = '/shares/:share/schemas/:schema/tables/:table';
  app.get(`${table}/version`, (c) => {
    tableOf(c);
    if (c.req.query('startingTimestamp') !== undefined) throw noHistory('startingTimestamp');
    return c.body(null, 200, VERSION);
  });
  app.get(`${table}/metadata`, async (c) => {
    const found = tableOf(c);
    refuseOtherFormats(c);
    return answer(c, await headOf(found.table, found.profile, either(c, stopping)));
  });
  app.get(`${table}/changes`, (c) => {
    tableOf(c);
    throw noHistory('changes');
  });
  app.post(`${table}/query`, async (c) => {
    const { table: asked, profile } = tableOf(c);
    refuseOtherFormats(c);
    const empty = c.req.raw.body === null || c.req.header('content-length') === '0';
    const { limit } = readTableQuery(empty ? {} : await readJson(c.req.raw));
    const signal = either(c, stopping);
    const head = await headOf(asked, profile, signal);
    // Who wants no row is charged for none.
    if (limit === 0) return answer(c, head);
    if (queries >= MOST_QUERIES) {
      throw new FoedusError('unavailable', `${MOST_QUERIES} queries are under way already. Try again in a moment.`);
    }
    queries += 1;
    try {
      const { agreementId } = asked;
      const { body, transferId } = await reader.rows(agreementId, { purpose: profile.purpose, limit }, signal);
      const { id, size } = await spool.keep(body);
      await reader.keepNewestHead(transferId, signal);
      const grant = { fileId: id, profileId: profile.id, agreementId, transferId };
      const { token, expiresAt } = await fileTokens.issue(grant);
      logger.info({ profile: profile.id, agreement: agreementId, transfer: transferId, size }, 'a table was queried');
      const url = `${endpoint()}/files/${id}?token=${token}`;
      const file = { url, id, partitionValues: {}, size, expirationTimestamp: expiresAt.getTime() };
      return answer(c, [...head, { file }]);
    } finally {
      queries -= 1;
    }
  });

  app.get('/files/:id', async (c) => {
    const id = c.req.param('id');
    const { profileId, transferId } = await fileTokens.verify(c.req.query('token') ?? '', id);
    const check = (): void => {
      if (!profiles.isGood(profileId)) {
        throw new FoedusError(
          'not-permitted',
          'The profile that this file was queried with is revoked or has expired.',
        );
      }
      reader.checkOpen(transferId);
    };
    check();
    const controller = new AbortController();
    const headers = { range: c.req.header('range'), ifRange: c.req.header('if-range') };
    const scan = { signal: controller.signal, beforeBatch: check };
    const file = await openFile(await spool.find(id), headers, scan);
    const { size, etag, range } = file;
    const common = {
      'content-type': 'application/vnd.apache.parquet',
      'accept-ranges': 'bytes',
      'cache-control': 'no-store',
      etag,
    };
    if (range === 'unsatisfiable') {
      await file.close();
      return c.body(null, 416, { ...common, 'content-range': `bytes */${size}` });
    }
    const length = range === undefined ? size : range.end + 1 - range.start;
    const described = {
      ...common,
      'content-length': String(length),
      ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
    };
    const status = range === undefined ? 200 : 206;
    if (c.req.method === 'HEAD') {
      await file.close();
      return c.body(null, status, described);
    }
    const body = byteStream(file.pieces(), controller.signal, () => file.close());
    const { outgoing } = c.env as HttpBindings;
    const sent = cutOffOnFailure(body, outgoing, (error) =>
      logger.warn({ err: error, file: id }, 'a file was cut off'),
    );
    return c.body(sent, status, described);
  });
  app.all('*', (c) => {
    profileOf(c);
    throw new FoedusError('not-found', 'There is nothing here. The protocol begins at /shares.');
  });
  return app;
}

function publicTable({ name, schema, share, agreementId }: ShareTable): object {
  return { name, schema, share, shareId: share, id: agreementId };
}

/** @throws FoedusError `bad-request` for a client that takes the response format `delta` only */
function refuseOtherFormats(c: Context): void {
  const capabilities = (c.req.header('delta-sharing-capabilities') ?? '').slice(0, 2_000).toLowerCase();
  const formats = /responseformat=([^;]*)/
    .exec(capabilities)?.[1]
    ?.split(',')
    .map((name) => name.trim());
  if (formats === undefined || formats.includes('parquet')) return;
  throw new FoedusError(
    'bad-request',
    'Tables under an agreement come in the response format parquet only. Ask for it (in Python: use_delta_format=False).',
  );
}

function either(c: Context, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([c.req.raw.signal, signal]);
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}
