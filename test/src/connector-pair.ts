import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '@foedus/certs';
import { createOperatorClient, type OperatorClient } from '@foedus/connector/operator-client';
import { publish } from './connectors.ts';
import { prepareConnector, type ConnectorProcess } from './connector-process.ts';

export interface Side {
  readonly process: ConnectorProcess;
  readonly operator: OperatorClient;
  readonly token: string;
}

/** A provider and a consumer, each a process of its own, and an offer that the consumer may ask for. */
export interface ConnectorPair extends AsyncDisposable {
  readonly provider: Side;
  readonly consumer: Side;
  readonly wish: { readonly counterPartyAddress: string; readonly datasetId: string; readonly offerId: string };
}

/**
 * Starts both, with mutual TLS and stores on disk, in a temporary folder that goes when the pair is disposed.
 *
 * @param settings more of both sides' `connector.json`
 * @param nodeOptions arguments for node itself, for each side
 */
export async function startConnectorPair({
  settings = {},
  nodeOptions = () => [],
}: {
  settings?: object;
  nodeOptions?: (side: 'provider' | 'consumer') => readonly string[];
} = {}): Promise<ConnectorPair> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'foedus-pair-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Test data space' });
  const file = join(folder, 'data.parquet');
  await writeFile(file, '');
  const start = async (name: 'provider' | 'consumer'): Promise<Side> => {
    const options = { settings, nodeOptions: nodeOptions(name) };
    const process = stack.use(await prepareConnector(authority, name, folder, options));
    await process.start();
    const token = await process.token();
    return { process, token, operator: createOperatorClient({ url: process.managementUrl, token }) };
  };
  const provider = await start('provider');
  const consumer = await start('consumer');
  const offered = await publish(provider, file);
  const pair = stack.move();
  return {
    provider,
    consumer,
    wish: { counterPartyAddress: provider.process.protocolUrl, ...offered },
    [Symbol.asyncDispose]: () => pair.disposeAsync(),
  };
}
