import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { createPeerClient, loadIdentity, type PeerClient } from '@foedus/connector/identity';
import type { Account, DataAddress } from '@foedus/connector/operator-client';
import { createDice, type Dice } from '../fuzz/dice.ts';
import { startConnectorPair, type ConnectorPair } from '../src/connector-pair.ts';
import { untilAnswered, untilState } from './persistent-operator.ts';

export interface StreamCampaign {
  /** How often the provider is killed. */
  readonly kills: number;
  /** Answers under way when it is. */
  readonly streams: number;
  readonly seed: number;
  readonly progress?: (line: string) => void;
}

export interface Amounts {
  readonly uses: number;
  readonly rows: number;
  readonly bytes: number;
}

export interface StreamReport {
  readonly kills: number;
  /** Of all answers: what the consumer has received, and what the ledger has charged. */
  readonly received: Amounts;
  readonly charged: Amounts;
  /** Of all pushes: what lies in the consumer's inbox, and what the ledger has charged. */
  readonly pushed: Amounts;
  readonly chargedForPushes: Amounts;
  /** Pushes that were under way at a kill. */
  readonly pushes: number;
}

const ROWS = 400_000;
/** The formats whose whole rows can be counted in a part of them. */
const NDJSON = 'application/x-ndjson';
const CSV = 'text/csv';

/**
 * Kills a provider with SIGKILL while it sends data, again and again, and adds up what its consumer has got and what it
 * was charged. Answers end with their process; a push goes on after the next start.
 */
export async function runStreamCampaign(options: StreamCampaign): Promise<StreamReport> {
  const { kills, streams, seed, progress = () => undefined } = options;
  const dice = createDice(seed);
  const push = { allowAddresses: ['127.0.0.0/8', '::1/128'] };
  await using pair = await startConnectorPair({
    settings: { delivery: { longestPauseSeconds: 1 }, transfer: { push } },
  });
  const { consumer, provider } = pair;
  const agreements = { pull: await agreed(pair, 'pull'), push: await agreed(pair, 'push') };
  const at = (name: string): string => join(consumer.process.directory, name);
  await using peer = createPeerClient(
    await loadIdentity(consumer.process.participantId, {
      tlsKey: at('tls.key'),
      tlsCertificate: at('tls.crt'),
      signingKey: at('signing.key'),
      signingCertificate: at('signing.crt'),
      trustAnchors: at('ca.crt'),
    }),
  );
  const { id } = await consumer.operator.requestTransfer({ agreementId: agreements.pull, format: 'HttpData-PULL' });
  await untilState(consumer.operator, 'transfer', id, ['STARTED']);
  const dataAddress = await consumer.operator.dataAddress(id);

  const received = { uses: 0, rows: 0, bytes: 0 };
  const pushes: string[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const pushed = await consumer.operator.requestTransfer({
      agreementId: agreements.push,
      format: 'HttpData-PUSH',
      dataAddress: { endpointType: 'https://w3id.org/idsa/v4.1/HTTP', properties: { contentType: CSV } },
    });
    pushes.push(pushed.id);
    // The provider dies when so many bytes have come in all, in the middle of one of them.
    const deadline = 1 + dice.roll(streams * 12_000_000);
    const reached = Promise.withResolvers<void>();
    let total = 0;
    const counted = (bytes: number): void => {
      total += bytes;
      if (total >= deadline) reached.resolve();
    };
    const own = (i: number): Dice => createDice(seed * 1_000_003 + kill * 1_009 + i);
    const readers = Array.from({ length: streams }, (_, i) => read(peer, dataAddress, own(i), counted));
    await Promise.race([reached.promise, Promise.all(readers)]);
    await provider.process.kill();
    for (const one of await Promise.all(readers)) {
      received.uses += one.uses;
      received.rows += one.rows;
      received.bytes += one.bytes;
    }
    await provider.process.start();
    progress(`kill ${kill + 1}: ${received.bytes} bytes and ${received.rows} rows received in all`);
  }
  const inbox = { uses: 0, rows: 0, bytes: 0 };
  for (const pushed of pushes) {
    const { state } = await untilState(consumer.operator, 'transfer', pushed, ['COMPLETED', 'TERMINATED']);
    if (state !== 'COMPLETED') {
      const { reason = 'no reason' } = await consumer.operator.transfer(pushed);
      throw new Error(`a push ended as ${state}: ${reason}`);
    }
    const { path, complete } = await consumer.operator.received(pushed);
    const file = await readFile(path, 'latin1');
    if (!complete) throw new Error('a push is not complete');
    inbox.uses += 1;
    inbox.rows += file.split('\r\n').length - 2;
    inbox.bytes += file.length;
  }
  const account = async (agreementId: string): Promise<Amounts> =>
    amountsOf(await untilAnswered(() => provider.operator.account(agreementId)));
  return {
    kills,
    received,
    charged: await account(agreements.pull),
    pushed: inbox,
    chargedForPushes: await account(agreements.push),
    pushes: pushes.length,
  };
}

function amountsOf({ spent: { uses, rows, bytes } }: Account): Amounts {
  return { uses, rows, bytes };
}

/** Reads one answer, slowly or fast, until it ends or breaks. */
async function read(
  peer: PeerClient,
  { endpoint, properties }: DataAddress,
  dice: Dice,
  counted: (bytes: number) => void,
): Promise<Amounts> {
  const accept = dice.pick([NDJSON, CSV]);
  const headers = { accept, authorization: properties['authorization']!, 'accept-encoding': 'identity' };
  const found = { uses: 0, rows: 0, bytes: 0 };
  try {
    const response = await peer.fetch(endpoint!, { headers });
    if (!response.ok) throw new Error(`the provider answered ${response.status}`);
    found.uses = 1;
    // The first line of CSV is no row.
    if (accept === CSV) found.rows = -1;
    for await (const chunk of response.body!) {
      found.bytes += chunk.length;
      for (let i = chunk.indexOf(0x0a); i !== -1; i = chunk.indexOf(0x0a, i + 1)) found.rows += 1;
      counted(chunk.length);
      if (dice.chance(0.05)) await new Promise((resolve) => setImmediate(resolve));
    }
  } catch {
    // The process was killed.
  }
  return { ...found, rows: Math.max(0, found.rows) };
}

async function agreed({ provider, consumer, wish }: ConnectorPair, name: string): Promise<string> {
  const path = join(provider.process.directory, `${name}.parquet`);
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  await duckdb.run(`COPY (SELECT i AS id, sha256(i::VARCHAR) AS text FROM range(${ROWS}) t(i)) TO '${path}'
    (FORMAT parquet)`);
  duckdb.closeSync();
  const formats = ['HttpData-PULL', 'HttpData-PUSH'];
  await provider.operator.putAsset({ id: name, title: name, source: { type: 'parquet', path }, formats });
  const columns = {
    leftOperand: 'https://w3id.org/foedus/policy#columns',
    operator: 'isPartOf',
    rightOperand: ['id', 'text'],
  };
  const permission = [{ action: 'use', constraint: [columns] }];
  await provider.operator.putPolicy({ id: name, policy: { '@type': 'Offer', permission } });
  await provider.operator.putContractDefinition({ id: name, assets: [name], policy: name });
  const { counterPartyAddress } = wish;
  const { id } = await consumer.operator.negotiate({
    counterPartyAddress,
    datasetId: name,
    offerId: `${name}:${name}`,
  });
  const { agreementId } = await untilState(consumer.operator, 'negotiation', id, ['FINALIZED']);
  return agreementId!;
}
