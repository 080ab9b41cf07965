import { FoedusError } from '@foedus/connector/errors';
import { createPeerClient, loadIdentity, type PeerClient } from '@foedus/connector/identity';
import {
  authorizationHeaders,
  HEAD_HEADER,
  readHeadHeader,
  signedHeadSchema,
  writeHeadHeader,
  type DataAddress,
  type OperatorClient,
  type Transfer,
} from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { noteForDeletion } from './duties.ts';
import { receiveArrow, STDOUT } from '../receive-arrow.ts';
import { bytes, clean, endProgress, print, printTable, progress } from '../terminal.ts';

export interface FetchRows {
  readonly config: string;
  readonly output: string;
  readonly columns?: string[];
  readonly purpose?: string;
}

/** Requests a pull transfer under an agreement, reads the rows over mutual TLS into a file and shows the first ones. */
export async function fetchRows(agreementId: string, options: FetchRows): Promise<void> {
  const { operator, config } = await ownConnector(options.config);
  const identity = await loadIdentity(config.participantId, config.identity);
  await using peer = createPeerClient(identity);
  const transfer = await startPull(operator, agreementId);
  try {
    const url = new URL(transfer.dataAddress?.endpoint ?? '');
    if (options.purpose !== undefined) url.searchParams.set('purpose', options.purpose);
    if (options.columns !== undefined) url.searchParams.set('columns', options.columns.join(','));
    const started = performance.now();
    const response = await open(peer, operator, url, transfer);
    if (!response.ok || !response.body) throw await refusal(response);
    await keepHead(operator, agreementId, response.headers.get(HEAD_HEADER));
    const received = await receiveArrow(response.body, options.output, (rows, size) =>
      progress(`${rows.toLocaleString('en')} rows, ${bytes(size)}`),
    );
    await keepNewestHead(peer, operator, transfer);
    endProgress();
    const seconds = (performance.now() - started) / 1000;
    // Nothing but the rows goes to standard output then.
    if (options.output === STDOUT) return;
    printTable(received.columns, received.firstRows, 'There are no rows.');
    const count = `${received.rows.toLocaleString('en')} rows, ${bytes(received.bytes)} in ${seconds.toFixed(1)} s`;
    print(`\n${count}, saved as ${options.output} (Arrow IPC stream)`);
    await noteForDeletion(operator, agreementId, options.output);
  } finally {
    endProgress();
    await operator.completeTransfer(transfer.id).catch(() => undefined); // it ends with its token at the latest
  }
}

/** Keeps what the provider's ledger says: with it this side notices when the ledger is set back. */
async function keepHead(operator: OperatorClient, agreementId: string, header: string | null): Promise<void> {
  if (header !== null) await operator.keepPartnerHead(agreementId, readHeadHeader(header));
}

/** The head that has all that was drawn for the rows; of other connectors there is none. */
async function keepNewestHead(peer: PeerClient, operator: OperatorClient, transfer: Transfer): Promise<void> {
  const { agreementId, counterPartyId, dataAddress } = transfer;
  try {
    const url = `${dataAddress!.endpoint}/head`;
    const [authorization = ''] = authorizationHeaders(dataAddress!);
    const response = await peer.fetch(url, { expect: counterPartyId, headers: { authorization } });
    if (response.ok) await operator.keepPartnerHead(agreementId, signedHeadSchema.parse(await response.json()));
    else await response.body?.cancel();
  } catch {
    // The rows are here: an older head is kept.
  }
}

async function heldHead(operator: OperatorClient, agreementId: string): Promise<Record<string, string>> {
  try {
    return { [HEAD_HEADER]: writeHeadHeader(await operator.partnerHead(agreementId)) };
  } catch (error) {
    if (error instanceof FoedusError && error.code === 'not-found') return {};
    throw error;
  }
}

/** Asks for the rows; a token that the provider refuses is renewed once. */
async function open(peer: PeerClient, operator: OperatorClient, url: URL, transfer: Transfer): Promise<Response> {
  const { id, counterPartyId, agreementId } = transfer;
  const held = await heldHead(operator, agreementId);
  const dataAddress: Pick<DataAddress, 'properties'> = transfer.dataAddress ?? { properties: {} };
  const response = await ask(peer, url, counterPartyId, dataAddress, held);
  if (response.status !== 401 || dataAddress.properties['refreshToken'] === undefined) return response;
  await response.body?.cancel();
  return await ask(peer, url, counterPartyId, await operator.dataAddress(id, { renew: true }), held);
}

/** Some data planes want the token of their address with `Bearer`, some without: the other one is tried after a 401. */
async function ask(
  peer: PeerClient,
  url: URL,
  counterPartyId: string,
  address: Pick<DataAddress, 'properties'>,
  more: Record<string, string>,
): Promise<Response> {
  const [first = '', ...others] = authorizationHeaders(address);
  let response = await peer.fetch(url, { expect: counterPartyId, headers: { ...more, authorization: first } });
  for (const authorization of others) {
    if (response.status !== 401) break;
    await response.body?.cancel();
    response = await peer.fetch(url, { expect: counterPartyId, headers: { ...more, authorization } });
  }
  return response;
}

async function startPull(operator: OperatorClient, agreementId: string): Promise<Transfer> {
  const requested = await operator.requestTransfer({ agreementId, format: 'HttpData-PULL' });
  progress(`transfer ${requested.id} requested`);
  const transfer = await operator.transferUntil(requested.id, ['STARTED', 'TERMINATED']);
  if (transfer.state === 'TERMINATED') {
    throw new FoedusError('terminated', `The transfer was terminated: ${clean(transfer.reason ?? 'no reason given')}`);
  }
  if (!URL.canParse(transfer.dataAddress?.endpoint ?? '')) {
    throw new FoedusError('bad-request', `${transfer.counterPartyId} started the transfer without an address to read.`);
  }
  return transfer;
}

async function refusal(response: Response): Promise<FoedusError> {
  const text = (await response.text()).slice(0, 10_000);
  let problem: { code?: unknown; message?: unknown } = {};
  try {
    problem = JSON.parse(text) as typeof problem;
  } catch {
    // not a problem document: the status has to do
  }
  return typeof problem.message === 'string'
    ? new FoedusError(String(problem.code), `The provider refuses: ${clean(problem.message)}`)
    : new FoedusError('unavailable', `The provider answered ${response.status}: ${clean(text.slice(0, 200))}`);
}
