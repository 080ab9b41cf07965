import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { HttpBindings } from '@hono/node-server';
import type { Plan } from '@foedus/usage-policies';
import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import { FoedusError, problemOf } from '../errors.ts';
import { callerOf } from '../identity/index.ts';
import type { AgreementReader, GrantedUse, UsageControl } from '../ledger/usage-control.ts';
import type { Asset, SignedAgreement, Transfer } from '../management/model.ts';
import type { DataFlow } from '../transfer/data-flow.ts';
import { ARROW_STREAM, startScan, type RunningScan } from './arrow-stream.ts';
import { cutOffOnFailure } from './cut-off.ts';
import { maskingKeyFor } from './masking-key.ts';
import { loadOrCreateSecret } from './node-secret.ts';
import { openEngine, parquetColumns } from './parquet.ts';
import { parsePullQuery } from './pull-request.ts';
import { scanQuery, type Scan } from './scan-query.ts';
import { createTransferTokens } from './transfer-token.ts';

/** Type of the endpoint in the data address, as the Dataspace Protocol's examples have it. */
export const HTTP_ENDPOINT = 'https://w3id.org/idsa/v4.1/HTTP';

/** Answers of one transfer that may run at the same time. */
const MOST_STREAMS = 8;

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
  /** `GET /data/:transferId`, for the mTLS port. */
  readonly routes: Hono;
}

/**
 * The data flow `HttpData-PULL`: the consumer fetches rows as an Arrow IPC stream, cut to the agreement inside the
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

  /** Opens the scan and reads its first batch: what fails here was not released, so it is not charged. */
  const open = async (agreement: SignedAgreement, plan: Plan, scanOptions: Parameters<typeof startScan>[2]) => {
    const asset = assets.get(agreement.target);
    if (asset === undefined) throw new FoedusError('not-found', 'The provider does not offer the data set any more.');
    try {
      engine ??= openEngine();
      const db = await engine;
      const scan = await planned(db, asset.source.path, plan, maskingKeyFor(maskingSecret, agreement.id));
      return await startScan(db, scan, scanOptions);
    } catch (cause) {
      if (cause instanceof FoedusError) throw cause;
      // What DuckDB says names the file: that is for the log, not for the consumer.
      logger.error({ err: cause, asset: asset.id }, 'the data set cannot be read');
      throw new FoedusError('unavailable', 'The data set cannot be read at its provider just now. Try again later.', {
        cause,
      });
    }
  };

  const chargedScan = async (
    transfer: Transfer,
    agreement: SignedAgreement,
    use: GrantedUse,
    signal: AbortSignal,
  ): Promise<RunningScan> => {
    let running: RunningScan | undefined;
    try {
      const { plan } = use.decision;
      if (plan === null) throw new Error('a permitted use without a plan');
      running = await open(agreement, plan, { signal, beforeBatch: () => started(transfer.id) });
      started(transfer.id);
      usageControl.commit(use.entry.id);
      return running;
    } catch (error) {
      await running?.[Symbol.asyncDispose]();
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

  const routes = new Hono();
  routes.onError((error, c) => {
    if (!(error instanceof FoedusError)) logger.error({ err: error }, 'the data plane failed at a request');
    const { status, body } = problemOf(error);
    return c.json({ code: body.code, message: body.message }, status);
  });
  routes.get('/data/:transferId', async (c) => {
    if (c.req.method !== 'GET') throw new FoedusError('bad-request', 'Data is fetched with GET.');
    const { transfer, agreement } = await admit(c);
    const { columns, purpose } = parsePullQuery(c.req.queries());
    const { controller, unregister } = register(transfer.id);
    try {
      const use = usageControl.reserve({
        agreementId: agreement.id,
        key: `pull/${transfer.id}/${randomUUID()}`,
        request: { action: 'use', ...(columns && { columns }), ...(purpose && { purpose }) },
      });
      const running = await chargedScan(transfer, agreement, use, controller.signal);
      logger.info(
        { transfer: transfer.id, agreement: agreement.id, entry: use.entry.id, caller: transfer.counterPartyId },
        'data is released',
      );
      const { ended } = running;
      scans.add(ended);
      void ended.finally(() => {
        unregister();
        scans.delete(ended);
      });
      const { outgoing } = c.env as HttpBindings;
      const body = cutOffOnFailure(running.body, outgoing, (error) =>
        logger.warn({ err: error, transfer: transfer.id, entry: use.entry.id }, 'the data was cut off'),
      );
      return c.body(body, 200, {
        'content-type': ARROW_STREAM,
        'cache-control': 'no-store',
        'foedus-decision': use.decision.policyDigest,
      });
    } catch (error) {
      unregister();
      throw error;
    }
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

async function planned(
  engine: DuckDBInstance,
  path: string,
  plan: Plan,
  key: ReturnType<typeof maskingKeyFor>,
): Promise<Scan> {
  const connection = await engine.connect();
  try {
    return scanQuery(path, await parquetColumns(connection, path), plan, key);
  } finally {
    connection.closeSync();
  }
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
