import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import { FoedusError, problemOf } from '../../errors.ts';
import { callerOf } from '../../identity/index.ts';
import { HEAD_HEADER, readHeadHeader, writeHeadHeader } from '../../ledger/head-header.ts';
import type { PartnerHeads } from '../../ledger/partner-heads.ts';
import type { Received, Transfer } from '../../management/model.ts';

const INBOX = '/data/inbox';
const PARTIAL = 'upload.part';
/** After so many bytes of a request it is looked at again whether the transfer still takes any. */
const CHECKED_BYTES = 4 * 1024 * 1024;
/** The format whose data come here. */
export const RECEIVED_FORMAT = 'HttpData-PUSH';

/** Names of what is received, by its type. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'application/vnd.apache.arrow.stream': 'arrows',
  'application/vnd.apache.parquet': 'parquet',
  'text/csv': 'csv',
  'application/x-ndjson': 'ndjson',
};

/** Where this node's transfers are pushed to: a folder for each, and in it a file that appears when it is whole. */
export interface Inbox {
  /** For the mTLS port. */
  readonly routes: Hono;
  /** Where the data of a transfer are to be pushed to. */
  readonly endpointOf: (transferId: string) => string;
  received(transferId: string): Received | undefined;
  /** The transfer has ended: what came of a push that is not whole is deleted, for nobody will ever use it. */
  ended(transferId: string): Promise<void>;
  /** Deletes what was left behind by transfers that ended just before the program did. Before anything is served. */
  recover(endedTransfers: () => Iterable<{ readonly id: string }>): Promise<void>;
}

/**
 * The receiving end of `HttpData-PUSH` (docs/push.md): only the provider of a transfer, by its certificate, and only
 * while it is STARTED. Each part is on the disk before it is acknowledged.
 *
 * @param maxBytes the most that one transfer may bring
 */
export function createInbox(options: {
  transfers: { get(id: string): Transfer | undefined };
  partnerHeads: Pick<PartnerHeads, 'get' | 'keep'>;
  publicUrl: string;
  dataDir: string;
  maxBytes: number;
  logger: Logger;
}): Inbox {
  const { transfers, partnerHeads, publicUrl, dataDir, maxBytes, logger } = options;
  const writing = new Set<string>();
  const folderOf = (id: string): string =>
    join(dataDir, 'inbox', createHash('sha256').update(id).digest('hex').slice(0, 32));
  const partial = (id: string): string => join(folderOf(id), PARTIAL);
  const endpointOf = (id: string): string => `${publicUrl}${INBOX}/${encodeURIComponent(id)}`;

  const received: Inbox['received'] = (id) => {
    const typeFile = join(folderOf(id), 'type');
    if (!existsSync(typeFile)) return undefined;
    const mediaType = readFileSync(typeFile, 'utf8');
    const path = join(folderOf(id), `data.${EXTENSIONS[mediaType] ?? 'bin'}`);
    const complete = existsSync(path);
    return { path, mediaType, complete, bytes: sizeOf(complete ? path : partial(id)) };
  };

  /** The transfer that the caller may push for. */
  const admit = (c: Context): Transfer => {
    const caller = callerOf(c);
    const transfer = transfers.get(c.req.param('transferId') ?? '');
    if (
      transfer?.role !== 'consumer' ||
      transfer.counterPartyId !== caller ||
      transfer.format !== RECEIVED_FORMAT ||
      transfer.dataAddress?.endpoint !== endpointOf(transfer.id)
    ) {
      throw new FoedusError('not-found', 'This node expects no such push of yours.');
    }
    return transfer;
  };
  const admitToWrite = (c: Context): Transfer => {
    const transfer = admit(c);
    if (transfer.state === 'STARTED') {
      const header = c.req.header(HEAD_HEADER);
      if (header !== undefined) partnerHeads.keep(transfer.agreementId, readHeadHeader(header));
      return transfer;
    }
    if (transfer.state === 'REQUESTED' || transfer.state === 'SUSPENDED') {
      throw new FoedusError('unavailable', `The transfer is ${transfer.state} here. Try again once it is STARTED.`);
    }
    throw new FoedusError('gone', `The transfer is ${transfer.state}: nothing more is taken.`);
  };
  /** One writer at a time: a cut connection may linger while its sender is back. */
  const alone = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    if (writing.has(id)) throw new FoedusError('unavailable', 'Another request still writes. Try again in a moment.');
    writing.add(id);
    try {
      return await work();
    } finally {
      writing.delete(id);
      if (isOver(id)) await ended(id);
    }
  };
  const isOver = (id: string): boolean => ['COMPLETED', 'TERMINATED'].includes(transfers.get(id)?.state ?? '');
  const ended: Inbox['ended'] = async (id) => {
    // Who writes deletes it afterwards.
    if (writing.has(id) || received(id)?.complete !== false) return;
    await rm(folderOf(id), { recursive: true, force: true });
    logger.info({ transfer: id }, 'what came of a push that was not finished is deleted');
  };
  const begin = async (id: string, mediaType: string): Promise<void> => {
    if (EXTENSIONS[mediaType] === undefined) {
      throw new FoedusError('bad-request', `The type must be one of ${Object.keys(EXTENSIONS).join(', ')}.`);
    }
    await mkdir(folderOf(id), { recursive: true, mode: 0o700 });
    await writeFile(partial(id), '', { flag: 'a', mode: 0o600 });
    await writeFile(join(folderOf(id), 'type'), mediaType, { mode: 0o600 });
  };
  /** Appends what comes, and keeps what came also where the rest does not. */
  const append = async (id: string, body: ReadableStream<Uint8Array> | null): Promise<void> => {
    const file = await open(partial(id), 'a');
    try {
      let size = (await file.stat()).size;
      let unchecked = 0;
      for await (const chunk of body ?? []) {
        size += chunk.length;
        unchecked += chunk.length;
        if (unchecked > CHECKED_BYTES) {
          if (isOver(id)) throw new FoedusError('gone', 'The transfer has ended: nothing more is taken.');
          unchecked = 0;
        }
        if (size > maxBytes) {
          throw new FoedusError('too-large', `No more than ${maxBytes} bytes are taken (transfer.inbox.maxBytes).`);
        }
        await file.appendFile(chunk);
      }
    } finally {
      await file.sync();
      await file.close();
    }
  };
  const finish = async (id: string): Promise<void> => {
    const found = received(id);
    if (found === undefined || found.complete) return;
    await rename(partial(id), found.path);
    const folder = await open(folderOf(id), 'r');
    await folder.sync();
    await folder.close();
    logger.info({ transfer: id, bytes: found.bytes }, 'a push has been received');
  };
  const progress = (c: Context, id: string, status: 201 | 204 | 409): Response => {
    const found = received(id);
    c.header('upload-offset', String(found?.bytes ?? 0));
    c.header('upload-complete', found?.complete === true ? '?1' : '?0');
    c.header('cache-control', 'no-store');
    return c.body(null, status);
  };

  const routes = new Hono({ strict: false });
  routes.onError((error, c) => {
    if (!(error instanceof FoedusError)) logger.error({ err: error }, 'the inbox failed at a request');
    const { status, body } = problemOf(error);
    return c.json({ code: body.code, message: body.message }, status);
  });
  routes.options(`${INBOX}/:transferId`, (c) => {
    const held = partnerHeads.get(admit(c).agreementId);
    // The provider's ledger may have been set back behind what this node holds.
    if (held !== undefined) c.header(HEAD_HEADER, writeHeadHeader(held));
    c.header('upload-limit', `max-size=${maxBytes}`);
    c.header('allow', 'OPTIONS, POST, PUT, HEAD, PATCH, DELETE');
    return c.body(null, 204);
  });
  routes.on(['POST', 'PUT'], `${INBOX}/:transferId`, async (c) => {
    const { id } = admitToWrite(c);
    const complete = readComplete(c);
    return await alone(id, async () => {
      const before = received(id);
      // A creation that is repeated finds what it made.
      if (before === undefined || (complete === undefined && !before.complete)) {
        await begin(id, c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '');
        if (complete === undefined) await open(partial(id), 'w').then((file) => file.close());
        await append(id, c.req.raw.body);
        if (complete !== false) await finish(id);
      }
      c.header('location', `${INBOX}/${encodeURIComponent(id)}`);
      return progress(c, id, 201);
    });
  });
  routes.get(`${INBOX}/:transferId`, (c) => {
    // Hono answers HEAD by the routes of GET.
    if (c.req.method !== 'HEAD') throw new FoedusError('bad-request', 'What was pushed is not read here.');
    const { id } = admit(c);
    if (received(id) === undefined) throw new FoedusError('not-found', 'Nothing has been uploaded.');
    return progress(c, id, 204);
  });
  routes.patch(`${INBOX}/:transferId`, async (c) => {
    const { id } = admitToWrite(c);
    const complete = readComplete(c);
    if (c.req.header('content-type') !== 'application/partial-upload' || complete === undefined) {
      throw new FoedusError(
        'bad-request',
        'A part is application/partial-upload, with Upload-Offset and Upload-Complete.',
      );
    }
    return await alone(id, async () => {
      const found = received(id);
      if (found === undefined) throw new FoedusError('not-found', 'Nothing has been uploaded. Begin with POST.');
      if (c.req.header('upload-offset') !== String(found.bytes) || found.complete) return progress(c, id, 409);
      await append(id, c.req.raw.body);
      if (complete) await finish(id);
      return progress(c, id, 204);
    });
  });
  routes.delete(`${INBOX}/:transferId`, async (c) => {
    const { id } = admit(c);
    return await alone(id, async () => {
      if (received(id)?.complete !== true) await rm(folderOf(id), { recursive: true, force: true });
      return c.body(null, 204);
    });
  });
  const recover: Inbox['recover'] = async (endedTransfers) => {
    const inbox = join(dataDir, 'inbox');
    const folders = existsSync(inbox) ? readdirSync(inbox) : [];
    const partials = folders.map((name) => join(inbox, name)).filter((folder) => existsSync(join(folder, PARTIAL)));
    if (partials.length === 0) return;
    const known = new Set(partials);
    for (const { id } of endedTransfers()) if (known.has(folderOf(id))) await ended(id);
  };
  return { routes, endpointOf, received, ended, recover };
}

/** `Upload-Complete`, a boolean of structured fields (RFC 9651); undefined where there is none. */
function readComplete(c: Context): boolean | undefined {
  const value = c.req.header('upload-complete');
  if (value === undefined) return undefined;
  if (value === '?1' || value === '?0') return value === '?1';
  throw new FoedusError('bad-request', 'Upload-Complete must be ?1 or ?0.');
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
