import type { Logger } from 'pino';
import type { PeerClient } from '../identity/index.ts';
import { FoedusError, STATUS_BY_CODE } from '../errors.ts';
import { HEAD_HEADER, readHeadHeader, writeHeadHeader } from '../ledger/head-header.ts';
import { signedHeadSchema } from '../ledger/head.ts';
import type { PartnerHeads } from '../ledger/partner-heads.ts';
import type { Transfer } from '../management/model.ts';
import type { Changes } from '../protocol/changes.ts';
import { authorizationHeaders } from '../protocol/data-address.ts';
import type { Database } from '../store/database.ts';
import type { TokenRenewal } from '../transfer/renewal.ts';
import { transferTopic } from '../transfer/transfers.ts';

/** What a read under an agreement says. */
export interface Read {
  readonly purpose?: string | undefined;
  /** At most so many rows. */
  readonly limit?: number | undefined;
}

/** Rows on their way: charged by the provider. */
export interface ContractRows {
  /** The transfer that they came under: while it is not STARTED, they are not to be read on. */
  readonly transferId: string;
  /** Parquet. */
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * Reads under agreements in the name of this node: asks for a pull transfer where none is open, and keeps it for the
 * next read.
 *
 * Its methods throw FoedusError with the provider's code and words where it refuses; `not-permitted` while the transfer
 * is suspended; `unavailable` where it does not start or the provider does not answer.
 */
export interface ContractReader {
  /** What a read would give, as an Arrow IPC stream without rows. Nothing is charged. */
  schema(agreementId: string, read: Read, signal: AbortSignal): Promise<Uint8Array>;
  rows(agreementId: string, read: Read, signal: AbortSignal): Promise<ContractRows>;
  /** Keeps the newest head of the provider's ledger, which has all that was drawn for the rows. Does not fail. */
  keepNewestHead(transferId: string, signal: AbortSignal): Promise<void>;
  /** @throws FoedusError `not-permitted` where what came under a transfer is not to be read any more */
  checkOpen(transferId: string): void;
}

export interface ContractReaderOptions {
  readonly database: Database;
  readonly transfers: {
    request(wish: { agreementId: string; format: string }): Promise<Transfer>;
    complete(id: string): Transfer;
  };
  readonly transferStore: { get(id: string): Transfer | undefined };
  readonly renewal: TokenRenewal;
  /** The newest head of each provider's ledger: shown with every read, and kept from every answer. */
  readonly partnerHeads: Pick<PartnerHeads, 'get' | 'keep'>;
  readonly changes: Changes;
  readonly client: Pick<PeerClient, 'fetch'>;
  readonly logger: Logger;
}

/** A request to the endpoint of a transfer. */
interface Question extends Read {
  /** Below the endpoint. */
  readonly path: string;
  readonly accept: string;
  readonly signal: AbortSignal;
}

const PULL = 'HttpData-PULL';
const PARQUET = 'application/vnd.apache.parquet';
const START_MS = 30_000;
/** How long the provider may take until it has opened the data set. */
const ANSWER_MS = 300_000;
const LARGEST_SCHEMA = 8 << 20;
const LARGEST_PROBLEM = 64 << 10;

export function createContractReader(options: ContractReaderOptions): ContractReader {
  const { database, transfers, transferStore, renewal, partnerHeads, changes, client, logger } = options;
  const remember = database.sql.prepare(
    `INSERT INTO share_transfer (agreement_id, transfer_id) VALUES (?, ?)
     ON CONFLICT (agreement_id) DO UPDATE SET transfer_id = excluded.transfer_id`,
  );
  const remembered = database.sql.prepare('SELECT transfer_id AS id FROM share_transfer WHERE agreement_id = ?');
  const opening = new Map<string, Promise<Transfer>>();

  const current = (agreementId: string): Transfer | undefined => {
    const row = remembered.get(agreementId) as { id: string } | undefined;
    return row && transferStore.get(row.id);
  };
  const request = async (agreementId: string): Promise<Transfer> => {
    const transfer = await transfers.request({ agreementId, format: PULL });
    remember.run(agreementId, transfer.id);
    return transfer;
  };
  const start = async (agreementId: string): Promise<Transfer> => {
    const known = current(agreementId);
    const over = known === undefined || known.state === 'COMPLETED' || known.state === 'TERMINATED';
    const { id } = over ? await request(agreementId) : known;
    const deadline = performance.now() + START_MS;
    for (;;) {
      const transfer = transferStore.get(id)!;
      if (transfer.state !== 'REQUESTED') return checked(transfer);
      const left = deadline - performance.now();
      if (left <= 0 || changes.stopping.aborted) {
        throw new FoedusError('unavailable', 'The provider has not started the transfer yet. Try again later.');
      }
      await changes.wait(transferTopic(id), left, changes.stopping);
    }
  };
  /** One at a time for an agreement: two clients that begin together share a transfer. */
  const open = (agreementId: string): Promise<Transfer> => {
    const running = opening.get(agreementId);
    if (running !== undefined) return running;
    const started = start(agreementId).finally(() => opening.delete(agreementId));
    opening.set(agreementId, started);
    return started;
  };

  /** @returns the answer, or undefined where the token is refused */
  const attempt = async (
    transfer: Transfer,
    { path, accept, ...read }: Question,
    force: boolean,
  ): Promise<Response | undefined> => {
    const { dataAddress: known, counterPartyId } = transfer;
    if (known === undefined || !URL.canParse(known.endpoint ?? '')) {
      throw new FoedusError('unavailable', 'The provider started the transfer without an address to read.');
    }
    const dataAddress = await renewal.renewed({ ...transfer, dataAddress: known }, force);
    const url = new URL(`${dataAddress.endpoint}${path}`);
    if (read.purpose !== undefined) url.searchParams.set('purpose', read.purpose);
    if (read.limit !== undefined) url.searchParams.set('limit', String(read.limit));
    const held = partnerHeads.get(transfer.agreementId);
    const shown = held && { [HEAD_HEADER]: writeHeadHeader(held) };
    const headers = { accept, 'accept-encoding': 'identity', ...shown };
    for (const authorization of authorizationHeaders(dataAddress)) {
      const response = await client.fetch(url, {
        expect: counterPartyId,
        headers: { ...headers, authorization },
        timeoutMs: ANSWER_MS,
        signal: read.signal,
      });
      keepHead(transfer.agreementId, response);
      if (response.status !== 401) return response;
      await response.body?.cancel();
    }
    return undefined;
  };
  const keepHead = (agreementId: string, { headers }: Response): void => {
    const head = headers.get(HEAD_HEADER);
    if (head === null) return;
    try {
      partnerHeads.keep(agreementId, readHeadHeader(head));
    } catch (error) {
      // Rows that have been charged are worth more than the evidence of it.
      logger.warn({ err: error, agreement: agreementId }, "the head of a provider's ledger is not right");
    }
  };
  const ask = async (agreementId: string, question: Question) => {
    let transfer = await open(agreementId);
    let response = await attempt(transfer, question, false);
    response ??= await attempt(transfer, question, true).catch((error: unknown) => {
      if (error instanceof FoedusError && error.code === 'not-permitted') return undefined;
      throw error;
    });
    if (response === undefined) {
      // Its tokens are over: a new transfer has new ones.
      if (current(agreementId)?.id === transfer.id && transferStore.get(transfer.id)?.state === 'STARTED') {
        transfers.complete(transfer.id);
      }
      transfer = await open(agreementId);
      response = await attempt(transfer, question, false);
    }
    if (response === undefined || !response.ok || response.body === null) throw await refusal(response);
    return { transferId: transfer.id, response, body: response.body };
  };

  return {
    schema: async (agreementId, read, signal) => {
      const accept = 'application/vnd.apache.arrow.stream';
      const { body } = await ask(agreementId, { path: '/schema', accept, purpose: read.purpose, signal });
      return await whole(body, LARGEST_SCHEMA);
    },
    rows: async (agreementId, read, signal) => {
      const { transferId, response, body } = await ask(agreementId, { path: '', accept: PARQUET, ...read, signal });
      if (response.headers.get('content-type')?.startsWith(PARQUET)) return { transferId, body };
      await body.cancel();
      throw new FoedusError('unavailable', 'The provider does not send Parquet. Use foedus fetch for its own format.');
    },
    keepNewestHead: async (transferId, signal) => {
      const transfer = transferStore.get(transferId);
      if (transfer?.state !== 'STARTED') return;
      try {
        const response = await attempt(transfer, { path: '/head', accept: 'application/json', signal }, false);
        if (response === undefined || response.body === null) return;
        const text = Buffer.from(await whole(response.body, LARGEST_PROBLEM)).toString('utf8');
        if (!response.ok) return;
        partnerHeads.keep(transfer.agreementId, signedHeadSchema.parse(JSON.parse(text)));
      } catch (error) {
        // The rows are here: an older head is kept.
        logger.debug({ err: error, transfer: transferId }, 'the newest head of a ledger did not come');
      }
    },
    checkOpen: (transferId) => void checked(transferStore.get(transferId)),
  };
}

function checked(transfer: Transfer | undefined): Transfer {
  if (transfer?.state === 'STARTED') return transfer;
  const why = transfer?.reason === undefined ? '' : `: ${transfer.reason}`;
  const state = transfer?.state ?? 'gone';
  const by = state === 'SUSPENDED' && transfer?.suspendedBy !== undefined ? ` by the ${transfer.suspendedBy}` : '';
  throw new FoedusError('not-permitted', `The transfer is ${state}${by}, so nothing can be read now${why}.`);
}

/** The provider's refusal in its own words. Codes that say something of our own caller are not handed on. */
async function refusal(response: Response | undefined): Promise<FoedusError> {
  if (response === undefined) return new FoedusError('unavailable', 'The provider gave no token to read with.');
  const bytes = response.body === null ? new Uint8Array() : await whole(response.body, LARGEST_PROBLEM);
  let problem: { code?: unknown; message?: unknown } = {};
  try {
    problem = Object(JSON.parse(Buffer.from(bytes).toString('utf8'))) as typeof problem;
  } catch {
    // No problem document: the status has to do.
  }
  const known = typeof problem.code === 'string' && Object.hasOwn(STATUS_BY_CODE, problem.code);
  const code = known && problem.code !== 'not-authenticated' ? String(problem.code) : 'unavailable';
  const message = typeof problem.message === 'string' ? problem.message.slice(0, 2_000) : `status ${response.status}`;
  return new FoedusError(code, `The provider refuses: ${message}`);
}

async function whole(body: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of body) {
      size += piece.byteLength;
      if (size > most) break;
      pieces.push(piece);
    }
  } catch (cause) {
    throw new FoedusError('unavailable', "The provider's answer broke off. Try again.", { cause });
  }
  if (size > most) throw new FoedusError('unavailable', `The provider's answer is longer than ${most} bytes.`);
  return Buffer.concat(pieces);
}
