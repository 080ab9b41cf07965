import { FoedusError } from '@foedus/connector/errors';
import { createPeerClient, loadIdentity, type PeerClient } from '@foedus/connector/identity';
import {
  authorizationHeaders,
  type DataAddress,
  type OperatorClient,
  type Transfer,
} from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { noteForDeletion } from './duties.ts';
import { receiveArrow } from '../receive-arrow.ts';
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
    const received = await receiveArrow(response.body, options.output, (rows, size) =>
      progress(`${rows.toLocaleString('en')} rows, ${bytes(size)}`),
    );
    endProgress();
    const seconds = (performance.now() - started) / 1000;
    printTable(received.columns, received.firstRows, 'There are no rows.');
    const count = `${received.rows.toLocaleString('en')} rows, ${bytes(received.bytes)} in ${seconds.toFixed(1)} s`;
    print(`\n${count}, saved as ${options.output} (Arrow IPC stream)`);
    await noteForDeletion(operator, agreementId, options.output);
  } finally {
    endProgress();
    await operator.completeTransfer(transfer.id).catch(() => undefined); // it ends with its token at the latest
  }
}

/** Asks for the rows; a token that the provider refuses is renewed once. */
async function open(peer: PeerClient, operator: OperatorClient, url: URL, transfer: Transfer): Promise<Response> {
  const { id, counterPartyId } = transfer;
  const dataAddress: Pick<DataAddress, 'properties'> = transfer.dataAddress ?? { properties: {} };
  const response = await ask(peer, url, counterPartyId, dataAddress);
  if (response.status !== 401 || dataAddress.properties['refreshToken'] === undefined) return response;
  await response.body?.cancel();
  return await ask(peer, url, counterPartyId, await operator.dataAddress(id, { renew: true }));
}

/** Some data planes want the token of their address with `Bearer`, some without: the other one is tried after a 401. */
async function ask(
  peer: PeerClient,
  url: URL,
  counterPartyId: string,
  address: Pick<DataAddress, 'properties'>,
): Promise<Response> {
  const [first = '', ...others] = authorizationHeaders(address);
  let response = await peer.fetch(url, { expect: counterPartyId, headers: { authorization: first } });
  for (const authorization of others) {
    if (response.status !== 401) break;
    await response.body?.cancel();
    response = await peer.fetch(url, { expect: counterPartyId, headers: { authorization } });
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
