import { context, propagation } from '@opentelemetry/api';
import { z } from 'zod';
import { deliverySchema, dutySchema, receivedFileSchema, receivedNoticeSchema } from '../duties/model.ts';
import { createdShareProfileSchema, shareProfileSchema, type ShareProfileRequest } from '../delta-sharing/model.ts';
import { FoedusError } from '../errors.ts';
import { signedHeadSchema, type SignedHead } from '../ledger/head.ts';
import { chainReportSchema, type reconciliationSchema } from '../ledger/head-schemas.ts';
import * as model from '../management/model.ts';
import { assetProfileSchema, assetSchemaSchema } from '../profile/model.ts';
import { negotiationMachine, transferMachine } from '../protocol/state-machine.ts';
import { type Exchange, exchangeByUndici } from './exchange.ts';

export interface OperatorClientOptions {
  /** Root of the management API, for instance `http://127.0.0.1:7002`. */
  readonly url: string;
  readonly token: string;
  /** What requests are made with: the global fetch would do. @default undici's request, at a fifth of fetch's cost */
  readonly exchange?: Exchange;
}

interface Answer {
  readonly status: number;
  readonly link: string | null;
  readonly text: string;
}

/** How long a long poll is held open by the server, in seconds. */
const LONG_POLL_SECONDS = 25;

const FINAL = new Set<string>([...negotiationMachine.final, ...transferMachine.final]);

/** The most that the connector gives at once. */
const LARGEST_PAGE = 1000;

type Schema<T> = z.ZodType<T>;

/** Filters of a list by their names in the API's description, and `sort`, `limit` and `after`. */
export type ListQuery = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>> & {
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
};

/** Part of a list. `next`: the `after` of the next part, if there is one. */
export interface ListPage<T> {
  readonly items: T[];
  readonly next?: string;
}

/**
 * A typed client of a connector's operator API: what the command line, the demo, the training client and the
 * coordinator speak to their own organisation's connector with.
 *
 * Every method throws FoedusError with the server's `code` and `message`, or `unavailable` when nothing answered.
 */
export function createOperatorClient({ url, token, exchange = exchangeByUndici }: OperatorClientOptions) {
  const send = async (method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> => {
    // The trace goes on in the connector, and from there to the other participant.
    const trace: Record<string, string> = {};
    propagation.inject(context.active(), trace);
    let answer: Answer;
    try {
      const response = await exchange(new URL(path, url), {
        method,
        headers: {
          ...trace,
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal ?? null,
      });
      answer = { status: response.status, link: response.headers.get('link'), text: await response.text() };
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new FoedusError('unavailable', `The connector at ${url} does not answer. Is it running?`, { cause });
    }
    if (answer.status < 200 || answer.status > 299) throw problem(answer);
    return answer;
  };
  const call = async <T>(
    method: string,
    path: string,
    schema: Schema<T>,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<T> => {
    const { status, text } = await send(method, path, body, signal);
    return schema.parse(status === 204 ? undefined : JSON.parse(text));
  };

  /** One page of a list. */
  const page = async <T>(path: string, schema: Schema<T>, query: ListQuery = {}): Promise<ListPage<T>> => {
    const { text, link } = await send('GET', path + queryString(query));
    const items = z.array(schema).parse(JSON.parse(text));
    const next = /[?&]after=([^&>]+)[^>]*>; rel="next"/.exec(link ?? '')?.[1];
    return next === undefined ? { items } : { items, next: decodeURIComponent(next) };
  };
  /** A whole list, page by page; with a `limit`, only its beginning. */
  const all = async <T>(path: string, schema: Schema<T>, query: ListQuery = {}): Promise<T[]> => {
    const items: T[] = [];
    for (let after = query.after; ;) {
      const part = await page(path, schema, { limit: LARGEST_PAGE, ...query, after });
      items.push(...part.items);
      if (part.next === undefined || query.limit !== undefined) return items;
      after = part.next;
    }
  };
  const id = encodeURIComponent;
  const nothing = z.unknown().transform(() => undefined);

  /**
   * Repeats a long poll until the record is in one of `states`, or throws when `signal` aborts.
   *
   * @throws FoedusError `conflict` when the record has ended in another state: then nothing is worth waiting for
   */
  const waitFor = async <T extends { state: string; reason?: string | undefined; pendingDecision?: unknown }>(
    path: string,
    schema: Schema<T>,
    states: readonly T['state'][],
    signal?: AbortSignal,
    orPendingDecision = false,
  ): Promise<T> => {
    for (;;) {
      const query = { until: states, wait: LONG_POLL_SECONDS, ...(orPendingDecision ? { orPendingDecision } : {}) };
      const record = await call('GET', path + queryString(query), schema, undefined, signal);
      if (states.includes(record.state)) return record;
      if (orPendingDecision && record.pendingDecision !== undefined) return record;
      if (!FINAL.has(record.state)) continue;
      const why = record.reason === undefined ? '' : `: ${record.reason}`;
      throw new FoedusError('conflict', `It ended as ${record.state}, not as ${states.join(' or ')}${why}`);
    }
  };

  return {
    putAsset: (asset: model.Asset) => call('PUT', `/assets/${id(asset.id)}`, model.assetSchema, asset),
    assets: (query?: ListQuery) => all('/assets', model.assetSchema, query),
    asset: (assetId: string) => call('GET', `/assets/${id(assetId)}`, model.assetSchema),
    deleteAsset: (assetId: string) => call('DELETE', `/assets/${id(assetId)}`, nothing),
    /** What a data set holds; with `wait`, held back so many seconds until it has been looked at. */
    assetProfile: (assetId: string, { wait = 0 }: { wait?: number } = {}) =>
      call('GET', `/assets/${id(assetId)}/profile${queryString(wait > 0 ? { wait } : {})}`, assetProfileSchema),
    profileAsset: (assetId: string) => call('POST', `/assets/${id(assetId)}/profile`, assetProfileSchema, {}),
    /** Compares a data set with the schema that it was published with. */
    assetSchema: (assetId: string) => call('GET', `/assets/${id(assetId)}/schema`, assetSchemaSchema),
    repinAsset: (assetId: string) => call('POST', `/assets/${id(assetId)}/schema`, assetSchemaSchema, {}),

    putPolicy: (policy: model.PolicyDefinition) =>
      call('PUT', `/policies/${id(policy.id)}`, model.policyDefinitionSchema, policy),
    policies: (query?: ListQuery) => all('/policies', model.policyDefinitionSchema, query),
    policy: (policyId: string) => call('GET', `/policies/${id(policyId)}`, model.policyDefinitionSchema),
    deletePolicy: (policyId: string) => call('DELETE', `/policies/${id(policyId)}`, nothing),

    putContractDefinition: (definition: model.ContractDefinition) =>
      call('PUT', `/contract-definitions/${id(definition.id)}`, model.contractDefinitionSchema, definition),
    contractDefinitions: (query?: ListQuery) => all('/contract-definitions', model.contractDefinitionSchema, query),
    contractDefinition: (definitionId: string) =>
      call('GET', `/contract-definitions/${id(definitionId)}`, model.contractDefinitionSchema),
    deleteContractDefinition: (definitionId: string) =>
      call('DELETE', `/contract-definitions/${id(definitionId)}`, nothing),

    /** @returns the counterparty's DSP Catalog, as it came (validated); all pages of it in one */
    requestCatalog: (
      counterPartyAddress: string,
      question: Pick<z.input<typeof model.catalogRequestSchema>, 'filter' | 'limit'> = {},
    ) => call('POST', '/catalog-requests', z.record(z.string(), z.unknown()), { counterPartyAddress, ...question }),

    negotiate: (request: z.input<typeof model.negotiationRequestSchema>) =>
      call('POST', '/negotiations', model.negotiationSchema, request),
    /** Newest first, as all lists that follow. */
    negotiations: (query?: ListQuery) => all('/negotiations', model.negotiationSchema, query),
    negotiationPage: (query?: ListQuery) => page('/negotiations', model.negotiationSchema, query),
    negotiation: (negotiationId: string) => call('GET', `/negotiations/${id(negotiationId)}`, model.negotiationSchema),
    /** Waits until the negotiation has reached one of `states`. */
    negotiationUntil: (negotiationId: string, states: readonly model.Negotiation['state'][], signal?: AbortSignal) =>
      waitFor(`/negotiations/${id(negotiationId)}`, model.negotiationSchema, states, signal),
    /** Waits until the negotiation has reached one of `states`, or waits for a person of this organisation. */
    negotiationOrQuestion: (
      negotiationId: string,
      states: readonly model.Negotiation['state'][],
      signal?: AbortSignal,
    ) => waitFor(`/negotiations/${id(negotiationId)}`, model.negotiationSchema, states, signal, true),
    /** Offers a data set to a consumer that has not asked for it. */
    offer: (request: z.input<typeof model.offerRequestSchema>) =>
      call('POST', '/negotiations/offers', model.negotiationSchema, request),
    /** A person's answer to what the counterparty asks for or offers. */
    decideNegotiation: (negotiationId: string, decision: z.input<typeof model.operatorDecisionSchema>) =>
      call('POST', `/negotiations/${id(negotiationId)}/decision`, model.negotiationSchema, decision),
    terminateNegotiation: (negotiationId: string, body: z.input<typeof model.terminationSchema> = {}) =>
      call('POST', `/negotiations/${id(negotiationId)}/termination`, model.negotiationSchema, body),

    agreements: (query?: ListQuery) => all('/agreements', model.signedAgreementSchema, query),
    agreementPage: (query?: ListQuery) => page('/agreements', model.signedAgreementSchema, query),
    agreement: (agreementId: string) => call('GET', `/agreements/${id(agreementId)}`, model.signedAgreementSchema),
    /** What an agreement asks of whoever trains under it: what a session is planned by. */
    trainingLimits: (agreementId: string) =>
      call('GET', `/agreements/${id(agreementId)}/training`, model.trainingLimitsSchema),

    requestTransfer: (request: z.input<typeof model.transferRequestSchema>) =>
      call('POST', '/transfers', model.transferSchema, request),
    transfers: (query?: ListQuery) => all('/transfers', model.transferSchema, query),
    transferPage: (query?: ListQuery) => page('/transfers', model.transferSchema, query),
    transfer: (transferId: string) => call('GET', `/transfers/${id(transferId)}`, model.transferSchema),
    transferUntil: (transferId: string, states: readonly model.Transfer['state'][], signal?: AbortSignal) =>
      waitFor(`/transfers/${id(transferId)}`, model.transferSchema, states, signal),
    startTransfer: (transferId: string) => call('POST', `/transfers/${id(transferId)}/start`, model.transferSchema, {}),
    suspendTransfer: (transferId: string, body: z.input<typeof model.terminationSchema> = {}) =>
      call('POST', `/transfers/${id(transferId)}/suspension`, model.transferSchema, body),
    completeTransfer: (transferId: string) =>
      call('POST', `/transfers/${id(transferId)}/completion`, model.transferSchema, {}),
    terminateTransfer: (transferId: string, body: z.input<typeof model.terminationSchema> = {}) =>
      call('POST', `/transfers/${id(transferId)}/termination`, model.transferSchema, body),

    /** Endpoints and tokens that providers gave for pull transfers. */
    dataAddresses: (query?: ListQuery) => all('/data-addresses', model.receivedDataAddressSchema, query),
    /** @param renew get a new token from the provider whatever the age of the one that is there */
    dataAddress: (transferId: string, { renew }: { renew?: boolean } = {}) =>
      call('GET', `/transfers/${id(transferId)}/data-address${queryString({ renew })}`, model.dataAddressSchema),
    /** What has been pushed to this node for a transfer. @throws FoedusError `not-found` before anything has come */
    received: (transferId: string) => call('GET', `/transfers/${id(transferId)}/received`, model.receivedSchema),
    /** The newest head of a provider's ledger that this node holds. @throws FoedusError `not-found` */
    partnerHead: (agreementId: string) => call('GET', `/usage/partner-heads/${id(agreementId)}`, signedHeadSchema),
    keepPartnerHead: (agreementId: string, head: SignedHead) =>
      call('PUT', `/usage/partner-heads/${id(agreementId)}`, signedHeadSchema, { head }),
    /** Revokes every token given out for a transfer that this node provides. */
    revokeTransferTokens: (transferId: string) =>
      call('POST', `/transfers/${id(transferId)}/revocation`, model.transferSchema, {}),

    dataFlows: () => call('GET', '/data-flows', z.array(model.dataFlowSchema)),
    /** Registers this caller as the data flow behind `format`: transfers of that format may start from now on. */
    registerDataFlow: (format: string) => call('PUT', `/data-flows/${id(format)}`, nothing, {}),
    /** All transfers of `format` that are not final, as soon as their version is beyond `after`, or after the long poll. */
    flowTransfers: (format: string, after: number, signal?: AbortSignal) =>
      call(
        'GET',
        `/data-flows/${id(format)}/transfers?after=${after}&wait=${LONG_POLL_SECONDS}`,
        model.flowTransfersSchema,
        undefined,
        signal,
      ),

    /** Decides about a use, without charging anything. */
    decide: (agreementId: string, request: model.UsageRequestBody) =>
      call('POST', '/usage/decisions', model.decisionSchema, { agreementId, request }),
    /** Decides and reserves in one step. Throws `not-permitted` or `budget-exhausted` with the reasons in `message`. */
    reserve: (reservation: z.input<typeof model.reservationRequestSchema>) =>
      call('POST', '/usage/reservations', model.reservationSchema, reservation),
    commit: (reservationId: string) =>
      call('POST', `/usage/reservations/${id(reservationId)}/commit`, model.committedEntrySchema, {}),
    refund: (reservationId: string) =>
      call('POST', `/usage/reservations/${id(reservationId)}/refund`, model.ledgerEntrySchema, {}),
    /** The newest head of an agreement's ledger, signed. */
    ledgerHead: (agreementId: string) => call('GET', `/usage/heads/${id(agreementId)}`, signedHeadSchema),
    /** Hands back a head that a partner holds. Throws `conflict` where the ledger is older: nothing is released then. */
    presentHead: (agreementId: string, head: SignedHead) =>
      call('POST', `/usage/heads/${id(agreementId)}`, signedHeadSchema, { head }),
    /** Adopts what partners' heads say that was spent. */
    reconcileLedger: (agreementId: string, decided: z.input<typeof reconciliationSchema>) =>
      call('POST', `/usage/heads/${id(agreementId)}/reconcile`, model.reconciledSchema, decided),
    /** Walks the chain of one agreement, or of all. */
    verifyLedger: (agreementId?: string) =>
      call(
        'GET',
        `/usage/ledger${agreementId === undefined ? '' : `?agreementId=${id(agreementId)}`}`,
        z.array(chainReportSchema),
      ),
    /** What has been spent and is left under an agreement, with the ledger's entries. */
    account: (agreementId: string) => call('GET', `/usage/accounts/${id(agreementId)}`, model.accountSchema),

    /** What has to be done under agreements; what is due first comes first. */
    duties: (query?: ListQuery) => all('/duties', dutySchema, query),
    duty: (dutyId: string) => call('GET', `/duties/${id(dutyId)}`, dutySchema),
    /** Says that a duty is done. `evidence`: any JSON; it stays at this node. */
    fulfilDuty: (dutyId: string, evidence?: unknown) =>
      call('POST', `/duties/${id(dutyId)}/fulfil`, dutySchema, evidence === undefined ? {} : { evidence }),
    /** Log entries, notices and receipts that this node owes. */
    dutyDeliveries: (query?: ListQuery) => all('/duty-deliveries', deliverySchema, query),
    /** Notices of uses that this node was sent. */
    useNotices: (query?: ListQuery) => all('/use-notices', receivedNoticeSchema, query),
    /** Notes a file with received data, so that the node can delete it when that is due. */
    recordReceivedFile: (agreementId: string, path: string) =>
      call('POST', '/received-files', receivedFileSchema, { agreementId, path }),
    receivedFiles: (query?: ListQuery) => all('/received-files', receivedFileSchema, query),
    /** Makes a profile for Delta Sharing clients; its file is in `profile`. */
    createShareProfile: (request: ShareProfileRequest) =>
      call('POST', '/share-profiles', createdShareProfileSchema, request),
    shareProfiles: () => call('GET', '/share-profiles', z.array(shareProfileSchema)),
    revokeShareProfile: (profileId: string) => call('DELETE', `/share-profiles/${id(profileId)}`, nothing),

    /** What this client's token allows. */
    caller: () => call('GET', '/caller', model.callerSchema),
    createToken: (request: z.input<typeof model.tokenRequestSchema>) =>
      call('POST', '/tokens', model.createdTokenSchema, request),
    tokens: () => call('GET', '/tokens', z.array(model.accessTokenSchema)),
    revokeToken: (tokenId: string) => call('DELETE', `/tokens/${id(tokenId)}`, nothing),
  };
}

export type OperatorClient = ReturnType<typeof createOperatorClient>;

function queryString(query: ListQuery): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

function problem({ status, text }: Answer): FoedusError {
  try {
    const { code, message, details } = model.problemSchema.parse(JSON.parse(text));
    return new FoedusError(code, message, details === undefined ? {} : { details });
  } catch {
    return new FoedusError('unavailable', `The connector answered ${status}: ${text.slice(0, 200)}`);
  }
}
