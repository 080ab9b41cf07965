import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import { FoedusError, problemOf } from '../errors.ts';
import { callerOf } from '../identity/index.ts';
import type { AgreementReader, GrantedUse, UsageControl } from '../ledger/usage-control.ts';
import type { Asset, SignedAgreement, Transfer, UsageRequestBody } from '../management/model.ts';
import type { DataFlow } from '../transfer/data-flow.ts';
import { createCopyStore } from './arrow-import.ts';
import { ARROW_STREAM } from './arrow-stream.ts';
import { byteStream, compressed, limited, type ContentEncoding } from './body.ts';
import { cutOffOnFailure } from './cut-off.ts';
import { createSources, type DataSource, type OpenSource } from './data-source.ts';
import { describeRows } from './describe.ts';
import { openEngine } from './engine.ts';
import { chooseEncoding, chooseFormat, type Format } from './formats.ts';
import { maskingKeyFor } from './masking-key.ts';
import { loadOrCreateSecret } from './node-secret.ts';
import { PARQUET } from './parquet-output.ts';
import { parsePullQuery, type PullQuery } from './pull-request.ts';
import type { ScanOptions } from './row-stream.ts';
import { touchedColumns, type GrantedPlan } from './scan-plan.ts';
import { createTransferTokens } from './transfer-token.ts';
import { openFile, unrestrictedFile } from './whole-file.ts';

/** Type of the endpoint in the data address, as the Dataspace Protocol's examples have it. */
export const HTTP_ENDPOINT = 'https://w3id.org/idsa/v4.1/HTTP';

/** Answers of one transfer that may run at the same time. */
const MOST_STREAMS = 8;

/** Copies of data sets that lie elsewhere or in a format that the engine does not read. */
const MOST_COPIED_BYTES = 20 * 1024 ** 3;

export interface AssetReader {
  get(assetId: string): Asset | undefined;
}

export interface TransferReader {
  get(transferId: string): Transfer | undefined;
}

export interface PullDataFlowOptions {
  /** Who this node is: the issuer of its tokens. */
  readonly identity: { readonly participantId: string };
  readonly usageControl: UsageControl;
  readonly agreements: AgreementReader;
  readonly assets: AssetReader;
  readonly transfers: TransferReader;
  /** Root of the node's mTLS port as others reach it; the routes are mounted at it. */
  readonly publicUrl: string;
  /** The secrets of tokens and masks are kept here, below `data-plane`. */
  readonly dataDir: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

export interface PullDataFlow extends AsyncDisposable {
  readonly flow: DataFlow;
  /** `GET /data/:transferId` and `GET /data/:transferId/schema`, for the mTLS port. */
  readonly routes: Hono;
}

/** What leaves, ready to be sent. */
interface Release {
  readonly status: 200 | 206 | 416;
  readonly headers: Record<string, string>;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Resolves when nothing reads the data set any more. */
  readonly ended: Promise<void>;
  /** Stops reading before anything has been sent. */
  abandon(): Promise<void>;
}

/** How a consumer wants its answer. */
interface Wanted {
  readonly query: PullQuery;
  readonly format: Format;
  readonly encoding: ContentEncoding;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/**
 * The data flow `HttpData-PULL`: the consumer fetches rows in a format of its choice, cut to the agreement inside the
 * scan. For every request: who calls, does the token fit, is the transfer started, does the agreement permit it, is
 * it charged; only then does a row leave. Disposing it ends all streams.
 */
export function createPullDataFlow(options: PullDataFlowOptions): PullDataFlow {
  const { identity, usageControl, agreements, assets, transfers, dataDir, clock, logger } = options;
  const endpoint = new URL('data', withSlash(options.publicUrl)).href;
  const maskingSecret = loadOrCreateSecret(join(dataDir, 'data-plane', 'masking.secret'));
  const tokens = createTransferTokens({
    secret: loadOrCreateSecret(join(dataDir, 'data-plane', 'token.secret')),
    issuer: identity.participantId,
    audience: endpoint,
    clock,
  });
  let engine: Promise<DuckDBInstance> | undefined;
  const openSource: OpenSource = createSources({
    engine: () => (engine ??= openEngine()),
    copies: createCopyStore(join(dataDir, 'data-plane', 'copies'), MOST_COPIED_BYTES),
  });
  const openStreams = new Map<string, Set<AbortController>>();
  const scans = new Set<Promise<void>>();

  const started = (transferId: string): Transfer => {
    const transfer = transfers.get(transferId);
    // Whether a transfer of somebody else exists is nobody's business: unknown and foreign look the same.
    if (transfer === undefined || transfer.role !== 'provider') throw unknownTransfer();
    if (transfer.state === 'STARTED') return transfer;
    throw new FoedusError(
      'not-permitted',
      `The transfer is ${transfer.state}, not STARTED: nothing can be fetched now.`,
    );
  };

  /** The transfer that the caller's token opens. */
  const admit = async (c: Context): Promise<{ transfer: Transfer; agreement: SignedAgreement }> => {
    const caller = callerOf(c);
    const binding = await tokens.verify(bearer(c.req.header('authorization')));
    if (binding.subject !== caller) {
      throw new FoedusError('not-permitted', 'The token was given to another participant. Use your own.');
    }
    if (binding.transferId !== c.req.param('transferId')) throw unknownTransfer();
    const transfer = started(binding.transferId);
    const agreement = agreements.get(binding.agreementId);
    if (agreement === undefined || transfer.agreementId !== agreement.id || transfer.counterPartyId !== caller) {
      throw unknownTransfer();
    }
    return { transfer, agreement };
  };

  const register = (transferId: string): { controller: AbortController; unregister: () => void } => {
    const controller = new AbortController();
    const streams = openStreams.get(transferId) ?? new Set();
    if (streams.size >= MOST_STREAMS) {
      throw new FoedusError(
        'unavailable',
        `The transfer has ${MOST_STREAMS} answers under way already. Finish one of them first.`,
      );
    }
    openStreams.set(transferId, streams.add(controller));
    const unregister = (): void => {
      streams.delete(controller);
      if (streams.size === 0 && openStreams.get(transferId) === streams) openStreams.delete(transferId);
    };
    return { controller, unregister };
  };

  /** Opens the data set of an agreement for work on it. */
  const withSource = async <T>({ target }: SignedAgreement, work: (source: DataSource) => Promise<T>): Promise<T> => {
    const asset = assets.get(target);
    if (asset === undefined) throw new FoedusError('not-found', 'The provider does not offer the data set any more.');
    try {
      return await work(await openSource(asset.source));
    } catch (cause) {
      if (cause instanceof FoedusError && cause.code !== 'bad-request') throw cause;
      // What the engine says names the file: that is for the log, not for the consumer.
      logger.error({ err: cause, asset: asset.id }, 'the data set cannot be read');
      throw new FoedusError('unavailable', 'The data set cannot be read at its provider just now. Try again later.', {
        cause,
      });
    }
  };

  /** Opens the data set and reads its first batch: what fails here was not released, so it is not charged. */
  const open = (agreement: SignedAgreement, use: GrantedUse, wanted: Wanted, scanOptions: ScanOptions) => {
    const { plan } = use.decision;
    if (plan === null) throw new Error('a permitted use without a plan');
    return withSource(agreement, async (source): Promise<Release> => {
      const file = unrestrictedFile(source, use.decision, plan, wanted.query);
      if (file !== undefined && wanted.format.mediaType === PARQUET)
        return await releaseFile(file, wanted, scanOptions);
      const { purpose: _purpose, ...asked } = wanted.query;
      const granted: GrantedPlan = plan;
      const claims = { participantId: agreement.assignee };
      const rows = await source.scan(
        { granted, asked, claims },
        maskingKeyFor(maskingSecret, agreement.id),
        scanOptions,
      );
      const { signal } = scanOptions;
      const dispose = async (): Promise<void> => await rows[Symbol.asyncDispose]();
      const encoded = compressed(wanted.format.encode(rows.schema, rows.batches), wanted.encoding);
      const pieces = limited(encoded, granted.byteLimit ?? null);
      return {
        status: 200,
        headers: {
          'content-type': wanted.format.mediaType,
          vary: 'accept, accept-encoding',
          ...(wanted.encoding !== 'identity' && { 'content-encoding': wanted.encoding }),
        },
        body: byteStream(pieces, signal, dispose),
        ended: rows.ended,
        abandon: dispose,
      };
    });
  };

  const chargedRelease = async (
    transfer: Transfer,
    agreement: SignedAgreement,
    use: GrantedUse,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<Release> => {
    let release: Release | undefined;
    try {
      release = await open(agreement, use, wanted, { signal, beforeBatch: () => started(transfer.id) });
      started(transfer.id);
      if (release.body === null) refund(use.entry.id);
      else usageControl.commit(use.entry.id);
      return release;
    } catch (error) {
      await release?.abandon();
      refund(use.entry.id);
      throw error;
    }
  };
  const refund = (entryId: string): void => {
    try {
      usageControl.refund(entryId);
    } catch (error) {
      // It stays charged: the safe side.
      logger.error({ err: error, entry: entryId }, 'a reservation could not be refunded');
    }
  };

  const routes = new Hono({ strict: false });
  routes.notFound((c) => c.json({ code: 'not-found', message: `There is nothing at ${c.req.path}.` }, 404));
  routes.onError((error, c) => {
    if (!(error instanceof FoedusError)) logger.error({ err: error }, 'the data plane failed at a request');
    const { status, body } = problemOf(error);
    return c.json({ code: body.code, message: body.message }, status);
  });
  routes.get('/data/:transferId', async (c) => {
    if (c.req.method !== 'GET') throw new FoedusError('bad-request', 'Data is fetched with GET.');
    const { transfer, agreement } = await admit(c);
    const query = parsePullQuery(c.req.queries());
    const format = chooseFormat(c.req.header('accept'));
    const encoding = chooseEncoding(c.req.header('accept-encoding'), format);
    const wanted = { query, format, encoding, range: c.req.header('range'), ifRange: c.req.header('if-range') };
    const { controller, unregister } = register(transfer.id);
    try {
      const agreementId = agreement.id;
      const request = usageOf(query);
      const consent = await usageControl.ask(agreementId, request);
      const key = `pull/${transfer.id}/${randomUUID()}`;
      const use = usageControl.reserve({ agreementId, key, request, consent });
      const { status, headers, body, ended } = await chargedRelease(
        transfer,
        agreement,
        use,
        wanted,
        controller.signal,
      );
      scans.add(ended);
      void ended.finally(() => {
        unregister();
        scans.delete(ended);
      });
      const answer = { ...headers, 'cache-control': 'no-store', 'foedus-decision': use.decision.policyDigest };
      if (body === null) return c.body(null, status, answer);
      logger.info(
        { transfer: transfer.id, agreement: agreement.id, entry: use.entry.id, caller: transfer.counterPartyId },
        'data is released',
      );
      const { outgoing } = c.env as HttpBindings;
      const sent = cutOffOnFailure(body, outgoing, (error) =>
        logger.warn({ err: error, transfer: transfer.id, entry: use.entry.id }, 'the data was cut off'),
      );
      return c.body(sent, status, answer);
    } catch (error) {
      unregister();
      throw error;
    }
  });

  // What would leave, before anything is asked for: decided, but not charged.
  routes.get('/data/:transferId/schema', async (c) => {
    const { agreement } = await admit(c);
    const query = parsePullQuery(c.req.queries());
    const request = usageOf(query);
    const consent = await usageControl.ask(agreement.id, request);
    const { plan, exhausted, reasons } = usageControl.decide(agreement.id, request, consent);
    if (plan === null) {
      // Why the node's own rules could not be asked is for the operator.
      const why = consent.permit ? reasons.join(' ') : 'The rules of this node do not permit it now.';
      throw new FoedusError(exhausted ? 'budget-exhausted' : 'not-permitted', why);
    }
    const { purpose: _purpose, ...asked } = query;
    const claims = { participantId: agreement.assignee };
    const key = maskingKeyFor(maskingSecret, agreement.id);
    const described = await withSource(agreement, (source) =>
      describeRows(source, { granted: plan, asked, claims }, key),
    );
    return c.body(new Uint8Array(described), 200, { 'content-type': ARROW_STREAM, 'cache-control': 'no-store' });
  });

  const stop = (transferId: string, reason: string): void => {
    for (const controller of openStreams.get(transferId) ?? []) {
      controller.abort(new FoedusError('gone', reason));
    }
  };

  return {
    flow: {
      formats: ['HttpData-PULL'],
      async start(transfer) {
        const token = await tokens.issue({
          transferId: transfer.id,
          agreementId: transfer.agreementId,
          subject: transfer.counterPartyId,
        });
        return {
          endpointType: HTTP_ENDPOINT,
          endpoint: `${endpoint}/${encodeURIComponent(transfer.id)}`,
          properties: { authType: 'bearer', authorization: token },
        };
      },
      stop: (transfer) => stop(transfer.id, 'The transfer was stopped.'),
    },
    routes,
    async [Symbol.asyncDispose]() {
      for (const transferId of openStreams.keys()) stop(transferId, 'The node is going down.');
      await Promise.all(scans);
      (await engine)?.closeSync();
    },
  };
}

/** The use that a request is decided as. */
function usageOf(query: PullQuery): UsageRequestBody {
  const columns = touchedColumns(query);
  const { purpose } = query;
  return { action: 'use', ...(columns && { columns }), ...(purpose && { purpose }) };
}

/** The Parquet file that all is granted of: as a file, or the part of it that the consumer still lacks. */
async function releaseFile(path: string, wanted: Wanted, scanOptions: ScanOptions): Promise<Release> {
  const file = await openFile(path, wanted, scanOptions);
  const { size, etag, range } = file;
  const headers = { 'content-type': PARQUET, 'accept-ranges': 'bytes', etag };
  if (range === 'unsatisfiable') {
    await file.close();
    const ended = Promise.resolve();
    return {
      status: 416,
      headers: { ...headers, 'content-range': `bytes */${size}` },
      body: null,
      ended,
      abandon: () => ended,
    };
  }
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const pieces = file.pieces();
  const close = async (): Promise<void> => {
    await pieces.return(undefined);
    await file.close();
    resolve();
  };
  const length = range === undefined ? size : range.end + 1 - range.start;
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...headers,
      'content-length': String(length),
      ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
    },
    body: byteStream(pieces, scanOptions.signal, close),
    ended,
    abandon: close,
  };
}

/** The token of an Authorization header, with or without the word `Bearer`: data addresses are used in both ways. */
function bearer(header: string | undefined): string {
  const token = header?.replace(/^bearer +/i, '').trim();
  if (token !== undefined && token !== '') return token;
  throw new FoedusError(
    'not-authenticated',
    'The request has no token. Send the one of the data address in the header Authorization.',
  );
}

function unknownTransfer(): FoedusError {
  return new FoedusError('not-found', 'This node has no such transfer with you.');
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}
