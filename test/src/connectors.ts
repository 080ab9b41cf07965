import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueParticipant } from '@foedus/certs';
import {
  connectorConfigSchema,
  startConnector,
  type ConnectorConfig,
  type ConnectorOptions,
  type RunningConnector,
} from '@foedus/connector';
import { readToken } from '@foedus/connector/config';
import { createPeerClient, loadIdentity, type Identity, type PeerClient } from '@foedus/connector/identity';
import { createOperatorClient, type OperatorClient } from '@foedus/connector/operator-client';
import { pino } from 'pino';
import { enrol } from './identity.ts';

/** One message between two connectors, as it was sent and answered. */
export interface Exchange {
  readonly from: string;
  readonly url: string;
  readonly body: Record<string, unknown> | undefined;
  readonly status: number;
  readonly answer: unknown;
}

export interface Participant {
  readonly participantId: string;
  readonly connector: RunningConnector;
  readonly operator: OperatorClient;
  readonly token: string;
  readonly identity: Identity;
  /** Speaks to other connectors in this participant's name, without its connector's knowledge. */
  readonly peer: PeerClient;
  /** Stops the connector, and starts it again on the same folder and ports. */
  restart(changed?: JoinOptions): Promise<Participant>;
}

/** Real connectors with real certificates, on free ports, in one temporary folder. Everything goes when it is disposed. */
export interface DataSpace extends AsyncDisposable {
  readonly folder: string;
  /** Everything that connectors of this space have sent to each other. */
  readonly exchanges: Exchange[];
  /** An existing file that may stand for a data set. */
  readonly file: string;
  join(name: string, options?: JoinOptions): Promise<Participant>;
  /** Certificates for a participant without a connector of its own: a test speaks in its name. */
  enrol(name: string): Promise<Identity>;
}

export interface JoinOptions extends Partial<Omit<ConnectorOptions, 'peerClient'>> {
  readonly delivery?: Record<string, number>;
  readonly negotiation?: Partial<Record<'allowUnsigned' | 'acceptLess', boolean>> & {
    refuse?: readonly string[];
    mostWaiting?: number;
  };
  readonly catalog?: { pageSize: number };
  readonly duties?: Partial<ConnectorConfig['duties']>;
  readonly transfer?: Record<string, unknown>;
  /** @default free ones */
  readonly ports?: { protocol: number; management: number };
  /** Stands between the connector and the network: may fail, delay or change what is sent. */
  readonly network?: (fetch: PeerClient['fetch']) => PeerClient['fetch'];
}

export async function createDataSpace(): Promise<DataSpace> {
  const folder = mkdtempSync(join(tmpdir(), 'foedus-space-'));
  const file = join(folder, 'data.parquet');
  writeFileSync(file, '');
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Test data space' });
  const exchanges: Exchange[] = [];
  const stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));

  const start = async (
    name: string,
    options: JoinOptions,
    ports = options.ports ?? { protocol: 0, management: 0 },
  ): Promise<Participant> => {
    const { delivery, negotiation, catalog, duties, transfer, network, ports: _ports, ...rest } = options;
    const directory = join(folder, name);
    const participantId = `did:web:${name}.example`;
    const config = connectorConfigSchema.parse({
      program: 'connector',
      participantId,
      dataDir: join(directory, 'data'),
      identity: identityFiles(directory),
      protocol: { host: '127.0.0.1', port: ports.protocol, publicUrl: `https://localhost:${ports.protocol}` },
      management: { host: '127.0.0.1', port: ports.management, tokenFile: join(directory, 'token') },
      ...(delivery === undefined ? {} : { delivery }),
      ...(negotiation === undefined ? {} : { negotiation }),
      ...(catalog === undefined ? {} : { catalog }),
      ...(duties === undefined ? {} : { duties }),
      ...(transfer === undefined ? {} : { transfer }),
    });
    const connector = await startConnector(config, {
      logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
      ...rest,
      peerClient: (identity) => recording(createPeerClient(identity), network, participantId, exchanges),
    });
    stack.use(connector);
    const identity = await loadIdentity(participantId, identityFiles(directory));
    const peer = stack.use(createPeerClient(identity));
    const token = await readToken(join(directory, 'token'));
    return {
      participantId,
      connector,
      token,
      identity,
      peer,
      operator: createOperatorClient({ url: connector.managementUrl, token }),
      restart: async (changed = {}) => {
        await connector[Symbol.asyncDispose]();
        return await start(
          name,
          { ...options, ...changed },
          {
            protocol: Number(new URL(connector.protocolUrl).port),
            management: Number(new URL(connector.managementUrl).port),
          },
        );
      },
    };
  };
  return {
    folder,
    exchanges,
    file,
    join: async (name, options = {}) => {
      await issueParticipant(authority, { participantId: `did:web:${name}.example`, directory: join(folder, name) });
      return await start(name, options);
    },
    enrol: (name) => enrol(authority, `did:web:${name}.example`, join(folder, name)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function identityFiles(directory: string) {
  return {
    tlsKey: join(directory, 'tls.key'),
    tlsCertificate: join(directory, 'tls.crt'),
    signingKey: join(directory, 'signing.key'),
    signingCertificate: join(directory, 'signing.crt'),
    trustAnchors: join(directory, 'ca.crt'),
  };
}

function recording(
  client: PeerClient,
  network: JoinOptions['network'],
  from: string,
  exchanges: Exchange[],
): PeerClient {
  const record = (url: string | URL, body: unknown, status: number, answer: string): void => {
    exchanges.push({
      from,
      url: String(url),
      body:
        typeof body === 'string' && body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : undefined,
      status,
      answer: answer === '' ? undefined : JSON.parse(answer),
    });
  };
  const plain: PeerClient['fetch'] = (url, init) => client.fetch(url, init);
  const fetch = network?.(plain) ?? plain;
  const recorded: PeerClient['fetch'] = async (url, init) => {
    const response = await fetch(url, init);
    // Rows are no message.
    const json = response.headers.get('content-type')?.includes('json') ?? false;
    record(url, init?.body, response.status, json ? await response.clone().text() : '');
    return response;
  };
  return {
    fetch: recorded,
    call: async (url, call = {}) => {
      if (!network) {
        const answer = await client.call(url, call);
        record(url, call.body, answer.status, Buffer.from(answer.body ?? []).toString());
        return answer;
      }
      // As a fetch, so that a test needs to stand in one place only.
      const { maxBytes: _maxBytes, ...init } = call;
      const response = await recorded(url, init);
      const { status, headers } = response;
      return { status, headers, body: new Uint8Array(await response.arrayBuffer()) };
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** An offer to everybody for `purpose`, on a new asset: what most tests need. */
export async function publish(
  { operator }: Pick<Participant, 'operator'>,
  file: string,
  {
    assetId = 'flights',
    formats = ['HttpData-PULL'],
    audience,
  }: { assetId?: string; formats?: string[]; audience?: string[] } = {},
): Promise<{ datasetId: string; offerId: string }> {
  await operator.putAsset({ id: assetId, title: 'Flights', source: { type: 'parquet', path: file }, formats });
  await operator.putPolicy({ id: `${assetId}-policy`, policy: policyTemplate });
  const id = `${assetId}-contract`;
  await operator.putContractDefinition({
    id,
    assets: [assetId],
    policy: `${assetId}-policy`,
    ...(audience === undefined ? {} : { audience }),
  });
  return { datasetId: assetId, offerId: `${id}:${assetId}` };
}

export const policyTemplate = {
  '@context': 'http://www.w3.org/ns/odrl.jsonld',
  '@type': 'Offer',
  permission: [
    {
      action: 'use',
      constraint: [
        { leftOperand: 'dateTime', operator: 'lteq', rightOperand: '2090-01-01T00:00:00Z' },
        { leftOperand: 'https://w3id.org/foedus/policy#columns', operator: 'isPartOf', rightOperand: ['DISTANCE'] },
      ],
    },
  ],
};
