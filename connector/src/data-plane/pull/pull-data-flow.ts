import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import { FoedusError, problemOf } from '../../errors.ts';
import { callerOf } from '../../identity/index.ts';
import { HEAD_HEADER, readHeadHeader, writeHeadHeader } from '../../ledger/head-header.ts';
import type { LedgerHeads } from '../../ledger/heads.ts';
import type { AgreementReader, GrantedUse, UsageControl } from '../../ledger/usage-control.ts';
import type { SignedAgreement, Transfer } from '../../management/model.ts';
import { HTTP_ENDPOINT } from '../../protocol/data-address.ts';
import { generationOf, renewableFrom } from '../../transfer/access.ts';
import type { DataFlow } from '../../transfer/data-flow.ts';
import { ARROW_STREAM } from '../format/arrow-stream.ts';
import { cutOffOnFailure } from '../cut-off.ts';
import { chooseEncoding, chooseFormat } from '../format/formats.ts';
import type { GrantedData } from '../granted-data.ts';
import { createMeter } from '../metering.ts';
import { loadOrCreateSecret } from '../node-secret.ts';
import { PARQUET } from '../format/parquet-output.ts';
import { releaseFile, releaseRows, type Release, type Wanted } from './pull-release.ts';
import { parsePullQuery, usageOf, type PullQuery } from '../pull-request.ts';
import { answer, formLimit, readRenewal } from './renewal-route.ts';
import { createTransferTokens, type TokenBinding } from './transfer-token.ts';

/** Answers of one transfer that may run at the same time. */
const MOST_STREAMS = 8;
/** Answers to one consumer that may run at the same time, over all its transfers: they share one engine. */
const MOST_TO_ONE = 32;

export interface TransferReader {
  get(transferId: string): Transfer | undefined;
}

export interface PullDataFlowOptions {
  /** Who this node is: the issuer of its tokens. */
  readonly identity: { readonly participantId: string };
  readonly usageControl: UsageControl;
  readonly agreements: AgreementReader;
  readonly data: GrantedData;
  /** A consumer that holds a head of the ledger presents it; every answer brings the newest. */
  readonly heads: Pick<LedgerHeads, 'signed' | 'present'>;
  readonly transfers: TransferReader;
  /** Root of the node's mTLS port as others reach it; the routes are mounted at it. */
  readonly publicUrl: string;
  /** How long an access token is good for. */
  readonly tokenLifetimeSeconds: number;
  /** The secret of tokens is kept here, below `data-plane`. */
  readonly dataDir: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

export interface PullDataFlow extends AsyncDisposable {
  readonly flow: DataFlow;
  /** `GET /data/:transferId`, `GET /data/:transferId/schema` and `POST /data/:transferId/token`, for the mTLS port. */
  readonly routes: Hono;
}

/** What a consumer asks for, and how it wants it. */
interface Asked extends Wanted {
  readonly query: PullQuery;
}

/**
 * The data flow `HttpData-PULL`: the consumer fetches rows in a format of its choice, cut to the agreement inside the
 * scan. For every request: who calls, does the token fit, is the transfer started, does the agreement permit it, is
 * it charged; only then does a row leave. Disposing it ends all streams.
 */
export function createPullDataFlow(options: PullDataFlowOptions): PullDataFlow {
  const { identity, usageControl, agreements, data, heads, transfers, dataDir, clock, logger } = options;
  const endpoint = new URL('data', withSlash(options.publicUrl)).href;
  const tokens = createTransferTokens({
    secret: loadOrCreateSecret(join(dataDir, 'data-plane', 'token.secret')),
    issuer: identity.participantId,
    audience: endpoint,
    lifetimeSeconds: options.tokenLifetimeSeconds,
    clock,
  });
  const openStreams = new Map<string, Set<AbortController>>();
  const toConsumer = new Map<string, number>();
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

  /** The transfer that a token of the caller's opens. */
  const admit = (c: Context, binding: TokenBinding): { transfer: Transfer; agreement: SignedAgreement } => {
    const caller = callerOf(c);
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
  const admitToData = async (c: Context) => {
    const binding = await tokens.verify(bearer(c.req.header('authorization')));
    const admitted = admit(c, binding);
    if (binding.generation === generationOf(admitted.transfer)) return admitted;
    throw new FoedusError(
      'not-authenticated',
      'The token has been revoked. Get a new one at the refreshEndpoint of the data address.',
    );
  };
  const tokensFor = (transfer: Transfer) =>
    tokens.issue({
      transferId: transfer.id,
      agreementId: transfer.agreementId,
      subject: transfer.counterPartyId,
      generation: generationOf(transfer),
    });
  const addressOf = (transferId: string): string => `${endpoint}/${encodeURIComponent(transferId)}`;

  /** A ledger that was set back behind what the caller holds releases nothing. */
  const presented = async (c: Context, agreementId: string): Promise<void> => {
    const header = c.req.header(HEAD_HEADER);
    if (header !== undefined) await heads.present(agreementId, readHeadHeader(header));
  };

  const register = ({
    id: transferId,
    counterPartyId,
  }: Transfer): { controller: AbortController; unregister: () => void } => {
    const controller = new AbortController();
    const streams = openStreams.get(transferId) ?? new Set();
    if (streams.size >= MOST_STREAMS) {
      throw new FoedusError(
        'unavailable',
        `The transfer has ${MOST_STREAMS} answers under way already. Finish one of them first.`,
      );
    }
    const others = toConsumer.get(counterPartyId) ?? 0;
    if (others >= MOST_TO_ONE) {
      throw new FoedusError(
        'unavailable',
        `${MOST_TO_ONE} answers to you are under way already, over all transfers. Finish one of them first.`,
      );
    }
    toConsumer.set(counterPartyId, others + 1);
    openStreams.set(transferId, streams.add(controller));
    const unregister = (): void => {
      if (!streams.delete(controller)) return;
      const left = toConsumer.get(counterPartyId)! - 1;
      if (left === 0) toConsumer.delete(counterPartyId);
      else toConsumer.set(counterPartyId, left);
      if (streams.size === 0 && openStreams.get(transferId) === streams) openStreams.delete(transferId);
    };
    return { controller, unregister };
  };

  /** Opens the data set and charges its first part: what fails here was not released, so it is not charged. */
  const open = async (agreement: SignedAgreement, use: GrantedUse, wanted: Asked, signal: AbortSignal, id: string) => {
    const meter = createMeter((amounts) => {
      started(id);
      usageControl.draw(use.entry.id, amounts);
    });
    const scanOptions = { signal, beforeBatch: meter.read };
    const { decision } = use;
    const asFile = wanted.format.mediaType === PARQUET;
    const granted = await data.open({ agreement, decision, query: wanted.query, asFile }, scanOptions);
    return granted.kind === 'file'
      ? await releaseFile(granted, wanted, meter, scanOptions)
      : await releaseRows(granted, wanted, meter, signal);
  };

  const chargedRelease = async (
    transfer: Transfer,
    agreement: SignedAgreement,
    use: GrantedUse,
    wanted: Asked,
    signal: AbortSignal,
  ): Promise<Release> => {
    let release: Release | undefined;
    try {
      release = await open(agreement, use, wanted, signal, transfer.id);
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
    const { transfer, agreement } = await admitToData(c);
    const query = parsePullQuery(c.req.queries());
    const format = chooseFormat(c.req.header('accept'));
    const encoding = chooseEncoding(c.req.header('accept-encoding'), format);
    const wanted = { query, format, encoding, range: c.req.header('range'), ifRange: c.req.header('if-range') };
    await presented(c, agreement.id);
    const { controller, unregister } = register(transfer);
    try {
      const agreementId = agreement.id;
      const request = usageOf(query);
      const key = `pull/${transfer.id}/${randomUUID()}`;
      const consent = await usageControl.ask(agreementId, request, { key });
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
      const all = {
        ...headers,
        'cache-control': 'no-store',
        'foedus-decision': use.decision.policyDigest,
        [HEAD_HEADER]: writeHeadHeader(await heads.signed(agreementId)),
      };
      if (body === null) return c.body(null, status, all);
      logger.info(
        { transfer: transfer.id, agreement: agreement.id, entry: use.entry.id, caller: transfer.counterPartyId },
        'data is released',
      );
      const { outgoing } = c.env as HttpBindings;
      const sent = cutOffOnFailure(body, outgoing, (error) =>
        logger.warn({ err: error, transfer: transfer.id, entry: use.entry.id }, 'the data was cut off'),
      );
      return c.body(sent, status, all);
    } catch (error) {
      // Whatever was opened for an answer that does not come is closed.
      controller.abort(error);
      unregister();
      throw error;
    }
  });

  // After an answer has come: with everything that was drawn for it.
  routes.get('/data/:transferId/head', async (c) => {
    const { agreement } = await admitToData(c);
    c.header('cache-control', 'no-store');
    return c.json(await heads.signed(agreement.id));
  });

  // What would leave, before anything is asked for: decided, but not charged.
  routes.get('/data/:transferId/schema', async (c) => {
    const { agreement } = await admitToData(c);
    const query = parsePullQuery(c.req.queries());
    const request = usageOf(query);
    const consent = await usageControl.ask(agreement.id, request, { look: true });
    const { plan, exhausted, reasons } = usageControl.decide(agreement.id, request, consent);
    if (plan === null) {
      // Why the node's own rules could not be asked is for the operator.
      const why = consent.permit ? reasons.join(' ') : 'The rules of this node do not permit it now.';
      throw new FoedusError(exhausted ? 'budget-exhausted' : 'not-permitted', why);
    }
    const described = await data.describe({ agreement, plan, query });
    return c.body(new Uint8Array(described), 200, { 'content-type': ARROW_STREAM, 'cache-control': 'no-store' });
  });

  routes.post('/data/:transferId/token', formLimit, async (c) => {
    try {
      const binding = await tokens.verifyRenewal(await readRenewal(c));
      const { transfer } = admit(c, binding);
      if (binding.generation < renewableFrom(transfer)) {
        throw new FoedusError(
          'not-authenticated',
          'The refresh token has been revoked. A new data address comes when the provider starts the transfer again.',
        );
      }
      logger.info({ transfer: transfer.id, caller: transfer.counterPartyId }, 'a token is renewed');
      return answer(c, await tokensFor(transfer));
    } catch (error) {
      if (error instanceof FoedusError) return answer(c, error);
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
        const { accessToken, renewalToken, expiresIn } = await tokensFor(transfer);
        return {
          endpointType: HTTP_ENDPOINT,
          endpoint: addressOf(transfer.id),
          properties: {
            authType: 'bearer',
            authorization: accessToken,
            expiresIn: String(expiresIn),
            refreshToken: renewalToken,
            refreshEndpoint: `${addressOf(transfer.id)}/token`,
          },
        };
      },
      stop: (transfer) => stop(transfer.id, 'The transfer was stopped.'),
    },
    routes,
    async [Symbol.asyncDispose]() {
      for (const transferId of openStreams.keys()) stop(transferId, 'The node is going down.');
      await Promise.all(scans);
    },
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
