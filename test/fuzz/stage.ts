import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '@foedus/certs';
import type { Identity } from '@foedus/connector/identity';
import { createOperatorClient, type OperatorClient } from '@foedus/connector/operator-client';
import { prepareConnector, type ConnectorProcess } from '../src/connector-process.ts';
import { policyTemplate } from '../src/connectors.ts';
import { enrol } from '../src/identity.ts';
import {
  catalogOf,
  createScriptedPeer,
  message,
  type ReceivedMessage,
  type ScriptedPeer,
} from '../src/scripted-peer.ts';

/** The connector under fuzz, in a process of its own, and who speaks to it. */
export interface Stage extends AsyncDisposable {
  readonly connector: ConnectorProcess;
  readonly operator: OperatorClient;
  /**
   * Another participant, to send what the fuzzer makes. The addresses in it lead nowhere, so the connector soon takes
   * its sender for out of reach: a new one is needed now and then.
   */
  enlist(): Promise<FuzzPeer>;
  /** Has processes that are nobody else's business. */
  readonly bystander: FuzzPeer;
  /** Where the connector keeps its tables. */
  readonly store: string;
  readonly folder: string;
}

export const SIGNATURE = 'https://w3id.org/foedus/ns#signature';
export const PULL = 'HttpData-PULL';
export const PUSH = 'FederatedTraining-PUSH';
export const DATASET = 'flights';
export const OFFER = { '@id': 'contract:flights', '@type': 'Offer', permission: policyTemplate.permission };
/** What the attacker offers, when it is the provider. */
const THEIR_OFFER = { '@type': 'Offer', '@id': 'o1', target: DATASET, permission: policyTemplate.permission };

/** @param nodeOptions for the connector's process */
export async function createStage({ nodeOptions = [] }: { nodeOptions?: readonly string[] } = {}): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'foedus-fuzz-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Fuzzed data space' });
  const enlist = async (name: string): Promise<FuzzPeer> =>
    await scripted(await enrol(authority, `did:web:${name}.example`, join(folder, name)));
  const bystander = stack.use(await enlist('bystander'));
  const settings = { delivery: { giveUpAfterSeconds: 5, longestPauseSeconds: 1, attemptTimeoutSeconds: 5 } };
  const connector = stack.use(await prepareConnector(authority, 'target', folder, { settings, nodeOptions }));
  await connector.start();
  const operator = createOperatorClient({ url: connector.managementUrl, token: await connector.token() });

  const data = join(folder, 'data.parquet');
  writeFileSync(data, '');
  const source = { type: 'parquet' as const, path: data };
  await operator.putAsset({ id: DATASET, title: 'Flights', source, formats: [PULL, PUSH] });
  // The connector looks at what is published in the background: what comes of it is not a message's doing.
  await operator.assetProfile(DATASET, { wait: 25 });
  await operator.putPolicy({ id: 'policy', policy: policyTemplate });
  await operator.putContractDefinition({ id: 'contract', assets: [DATASET], policy: 'policy' });

  const kept = stack.move();
  let enlisted = 0;
  return {
    connector,
    operator,
    enlist: async () => kept.use(await enlist(`attacker-${(enlisted += 1)}`)),
    bystander,
    folder,
    store: join(connector.directory, 'data', 'connector.sqlite'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A peer of the stage's. */
export interface FuzzPeer extends ScriptedPeer {
  /** The process id that it has given to a process of the connector's, when it was asked. */
  ownPid(consumerPid: string): string;
}

/** A peer that acknowledges whatever it is told, and has a catalog with one offer. */
async function scripted(identity: Identity): Promise<FuzzPeer> {
  const given = new Map<string, string>();
  const ownPid = (consumerPid: string): string => {
    const providerPid = given.get(consumerPid) ?? `urn:uuid:${randomUUID()}`;
    given.set(consumerPid, providerPid);
    return providerPid;
  };
  const peer = await createScriptedPeer(
    identity,
    ({ body }) => {
      const type = body['@type'];
      if (type !== 'ContractRequestMessage' && type !== 'TransferRequestMessage') return undefined;
      const pids = { consumerPid: body['consumerPid'], providerPid: ownPid(String(body['consumerPid'])) };
      const answer = type === 'ContractRequestMessage' ? 'ContractNegotiation' : 'TransferProcess';
      return { status: 201, body: message(answer, { ...pids, state: 'REQUESTED' }) };
    },
    catalogOf(identity, THEIR_OFFER),
  );
  return { ...peer, ownPid };
}

/** A process at the connector under fuzz, as its counterparty knows it. */
export interface KnownProcess {
  readonly kind: 'negotiations' | 'transfers';
  readonly consumerPid: string;
  readonly providerPid: string;
  /** The connector's own process id, which is in the path. */
  readonly id: string;
  readonly state: string;
}

/** Processes in many states and both roles, and what a message needs to know about them. */
export interface Fixtures {
  readonly processes: readonly KnownProcess[];
  /** Agreement with the connector as provider, in force. */
  readonly agreementId: string;
}

/** Leads one peer's processes to the states that they are to be fuzzed in. */
export async function createFixtures({ connector, operator }: Stage, peer: FuzzPeer): Promise<Fixtures> {
  const root = `${connector.protocolUrl}/2025-1`;
  const processes: KnownProcess[] = [];
  const post = async (
    path: string,
    type: string,
    fields: Record<string, unknown>,
  ): Promise<Record<string, unknown>> => {
    const { status, body } = await peer.post(root + path, message(type, fields));
    if (status < 300) return body;
    throw new Error(`the stage could not be set: ${type} to ${path} was answered ${status} ${JSON.stringify(body)}`);
  };
  const at = (kind: KnownProcess['kind'], id: string, path: string) => `/${kind}/${encodeURIComponent(id)}/${path}`;

  const heard = (type: string, pid: string): Promise<ReceivedMessage> => inTime(peer.next(type, pid), type);

  // The connector provides.
  const requested = async (): Promise<{ consumerPid: string; providerPid: string }> => {
    const consumerPid = `urn:uuid:${randomUUID()}`;
    const offer = { ...OFFER, target: DATASET };
    const { providerPid } = await post('/negotiations/request', 'ContractRequestMessage', {
      consumerPid,
      offer,
      callbackAddress: peer.address,
    });
    return { consumerPid, providerPid: String(providerPid) };
  };
  const known = (
    pids: { consumerPid: string; providerPid: string },
    state: string,
    kind: KnownProcess['kind'] = 'negotiations',
  ) => processes.push({ kind, ...pids, id: pids.providerPid, state });
  const agreed = await requested();
  await heard('ContractAgreementMessage', agreed.consumerPid);
  known(agreed, 'AGREED');
  const finalized = await requested();
  const { body } = await heard('ContractAgreementMessage', finalized.consumerPid);
  const agreement = body['agreement'] as Record<string, unknown>;
  const agreementId = String(agreement['@id']);
  await post(
    at('negotiations', finalized.providerPid, 'agreement/verification'),
    'ContractAgreementVerificationMessage',
    {
      ...finalized,
      [SIGNATURE]: await peer.identity.sign(agreement),
    },
  );
  await heard('ContractNegotiationEventMessage', finalized.consumerPid);
  known(finalized, 'FINALIZED');

  const transfer = async (format: string): Promise<{ consumerPid: string; providerPid: string }> => {
    const consumerPid = `urn:uuid:${randomUUID()}`;
    const dataAddress = { '@type': 'DataAddress', endpointType: 'urn:training', endpoint: 'https://localhost:1/' };
    const { providerPid } = await post('/transfers/request', 'TransferRequestMessage', {
      consumerPid,
      agreementId,
      format,
      callbackAddress: peer.address,
      ...(format === PUSH ? { dataAddress } : {}),
    });
    return { consumerPid, providerPid: String(providerPid) };
  };
  known(await transfer(PUSH), 'REQUESTED', 'transfers');
  for (const [state, last] of [['STARTED'], ['SUSPENDED', 'suspension'], ['COMPLETED', 'completion']] as const) {
    const pids = await transfer(PULL);
    await heard('TransferStartMessage', pids.consumerPid);
    const type = last === 'suspension' ? 'TransferSuspensionMessage' : 'TransferCompletionMessage';
    if (last) await post(at('transfers', pids.providerPid, last), type, pids);
    known(pids, state, 'transfers');
  }

  // The connector consumes.
  const asks = async (): Promise<{ consumerPid: string; providerPid: string }> => {
    const counterPartyAddress = new URL(peer.address).origin;
    const { id } = await operator.negotiate({ counterPartyAddress, datasetId: DATASET, offerId: 'o1' });
    await heard('ContractRequestMessage', id);
    return { consumerPid: id, providerPid: peer.ownPid(id) };
  };
  const consumed = (
    pids: { consumerPid: string; providerPid: string },
    state: string,
    kind: KnownProcess['kind'] = 'negotiations',
  ) => processes.push({ kind, ...pids, id: pids.consumerPid, state });
  consumed(await asks(), 'REQUESTED');
  const bought = await asks();
  const ours = {
    ...THEIR_OFFER,
    '@id': `urn:uuid:${randomUUID()}`,
    '@type': 'Agreement',
    timestamp: new Date().toISOString(),
    assigner: peer.identity.participantId,
    assignee: connector.participantId,
  };
  await post(at('negotiations', bought.consumerPid, 'agreement'), 'ContractAgreementMessage', {
    ...bought,
    agreement: ours,
    [SIGNATURE]: await peer.identity.sign(ours),
  });
  await heard('ContractAgreementVerificationMessage', bought.consumerPid);
  await post(at('negotiations', bought.consumerPid, 'events'), 'ContractNegotiationEventMessage', {
    ...bought,
    eventType: 'FINALIZED',
  });
  consumed(bought, 'FINALIZED');
  for (const start of [false, true]) {
    const { id } = await operator.requestTransfer({ agreementId: ours['@id'], format: PULL });
    await heard('TransferRequestMessage', id);
    const pids = { consumerPid: id, providerPid: peer.ownPid(id) };
    const dataAddress = { '@type': 'DataAddress', endpointType: 'urn:x', endpoint: 'https://localhost:1/' };
    if (start) await post(at('transfers', id, 'start'), 'TransferStartMessage', { ...pids, dataAddress });
    consumed(pids, start ? 'STARTED' : 'REQUESTED', 'transfers');
  }
  return { processes, agreementId };
}

/** @throws Error when the connector does not say within half a minute what it has to say */
async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the stage could not be set: no ${what} has come`)), 30_000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
