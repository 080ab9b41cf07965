import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { tableFromIPC } from 'apache-arrow';
import { readFile } from 'node:fs/promises';
import type { PeerClient } from '@foedus/connector/identity';
import { FoedusError } from '@foedus/connector/errors';
import type { OperatorClient, Transfer } from '@foedus/connector/operator-client';

export interface Received {
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly columns: readonly string[];
  /** The first five rows, as text. */
  readonly firstRows: readonly (readonly string[])[];
}

/** Requests an `HttpData-PULL` transfer and waits until the provider has started it. */
export async function startPull(operator: OperatorClient, agreementId: string): Promise<Transfer> {
  const transfer = await operator.requestTransfer({ agreementId, format: 'HttpData-PULL' });
  const started = await operator.transferUntil(transfer.id, ['STARTED', 'TERMINATED']);
  if (started.state === 'TERMINATED')
    throw new Error(`The transfer was terminated: ${started.reason ?? 'no reason given'}`);
  return started;
}

/** What a use asks for: the purpose, and fewer columns than granted if so wished. */
export interface Ask {
  readonly purpose: string;
  readonly columns?: readonly string[];
}

/**
 * Reads a started pull transfer over mutual TLS.
 *
 * @throws FoedusError with the provider's code and plain reason when it refuses
 */
export async function pull(peer: PeerClient, transfer: Transfer, ask: Ask): Promise<Response> {
  const { endpoint, properties } = transfer.dataAddress ?? {};
  if (endpoint === undefined) throw new Error('The started transfer has no endpoint');
  const url = new URL(endpoint);
  url.searchParams.set('purpose', ask.purpose);
  if (ask.columns !== undefined) url.searchParams.set('columns', ask.columns.join(','));
  const response = await peer.fetch(url, {
    expect: transfer.counterPartyId,
    headers: { authorization: properties?.['authorization'] ?? '' },
  });
  if (response.ok) return response;
  const { code, message } = (await response.json()) as { code: string; message: string };
  throw new FoedusError(code, message);
}

/** Saves an Arrow stream and looks at its first rows. */
export async function receive(response: Response, folder: string, onBytes: (bytes: number) => void): Promise<Received> {
  const started = performance.now();
  const file = join(folder, 'flights.arrow');
  const out = createWriteStream(file);
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    onBytes(bytes);
    if (!out.write(chunk)) await once(out, 'drain');
  }
  out.end();
  await finished(out);
  const seconds = (performance.now() - started) / 1000;
  const table = tableFromIPC(await readFile(file));
  const columns = table.schema.fields.map((field) => field.name);
  const firstRows = Array.from({ length: Math.min(5, table.numRows) }, (_, row) =>
    columns.map((column) => asText(table.getChild(column)?.get(row), column)),
  );
  return { file, rows: table.numRows, bytes, seconds, columns, firstRows };
}

const asText = (value: unknown, column: string): string =>
  column === 'date' ? new Date(Number(value)).toISOString().slice(0, 16).replace('T', ' ') : String(value);
