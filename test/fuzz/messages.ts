import { randomUUID } from 'node:crypto';
import { message } from '../src/scripted-peer.ts';
import type { Dice } from './dice.ts';
import { DATASET, OFFER, PULL, PUSH, SIGNATURE, type Fixtures, type KnownProcess } from './stage.ts';
import type { FuzzRequest } from './http-mutations.ts';

/** A message that is right but for the moment it is sent at, and where it goes. */
export interface Draft {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly document: Record<string, unknown>;
}

/** What drafts are made of. */
export interface Material {
  readonly own: Fixtures;
  readonly foreign: Fixtures;
  readonly callbackAddress: string;
  /** The published example messages. */
  readonly examples: readonly Record<string, unknown>[];
}

const BASE = '/2025-1';
const reason = { code: 'x', reason: ['because'] };
const dataAddress = {
  '@type': 'DataAddress',
  endpointType: 'https://w3id.org/idsa/v4.1/HTTP',
  endpoint: 'https://localhost:1/data',
  endpointProperties: [{ '@type': 'EndpointProperty', name: 'authorization', value: 'token' }],
};

/** Messages about an existing process: path below it, type, and further fields. */
const ABOUT: Record<KnownProcess['kind'], readonly (readonly [path: string, type: string, fields: object])[]> = {
  negotiations: [
    ['request', 'ContractRequestMessage', { offer: { ...OFFER, target: DATASET } }],
    ['offers', 'ContractOfferMessage', { offer: { ...OFFER, target: DATASET } }],
    ['events', 'ContractNegotiationEventMessage', { eventType: 'ACCEPTED' }],
    ['events', 'ContractNegotiationEventMessage', { eventType: 'FINALIZED' }],
    [
      'agreement',
      'ContractAgreementMessage',
      {
        agreement: {
          ...OFFER,
          '@type': 'Agreement',
          '@id': 'urn:agreement',
          target: DATASET,
          assigner: 'did:web:attacker.example',
          assignee: 'did:web:target.example',
          timestamp: '2026-01-01T00:00:00Z',
        },
      },
    ],
    ['agreement/verification', 'ContractAgreementVerificationMessage', { [SIGNATURE]: 'a..b' }],
    ['termination', 'ContractNegotiationTerminationMessage', reason],
  ],
  transfers: [
    ['start', 'TransferStartMessage', { dataAddress }],
    ['suspension', 'TransferSuspensionMessage', reason],
    ['completion', 'TransferCompletionMessage', {}],
    ['termination', 'TransferTerminationMessage', reason],
  ],
};

/** Where a published example goes: its type's path, about a process that exists. */
function exampleAt(example: Record<string, unknown>, { id, kind }: KnownProcess): string {
  const type = example['@type'];
  if (type === 'CatalogRequestMessage') return '/catalog/request';
  for (const messages of Object.values(ABOUT)) {
    const found = messages.find(([, name]) => name === type);
    if (found) return `/${kind}/${encodeURIComponent(id)}/${found[0]}`;
  }
  return type === 'TransferRequestMessage' ? '/transfers/request' : '/negotiations/request';
}

/** Chooses one of the endpoints and a message for it. */
export function draft({ own, foreign, callbackAddress, examples }: Material, dice: Dice): Draft {
  const process = dice.pick(dice.chance(0.15) ? foreign.processes : own.processes);
  const post = (path: string, document: Record<string, unknown>): Draft => ({
    method: 'POST',
    path: BASE + path,
    document,
  });
  const consumerPid = `urn:uuid:${randomUUID()}`;
  const offer = { ...OFFER, target: DATASET };
  switch (dice.roll(12)) {
    case 0:
      return post(
        '/catalog/request',
        message('CatalogRequestMessage', dice.chance(0.7) ? { filter: filterOf(dice) } : {}),
      );
    case 1:
      return {
        method: 'GET',
        path: `${BASE}/catalog/datasets/${dice.pick([DATASET, 'x', consumerPid])}`,
        document: {},
      };
    case 2:
      return { method: 'GET', path: `${BASE}/${process.kind}/${encodeURIComponent(process.id)}`, document: {} };
    case 3:
      return post('/negotiations/request', message('ContractRequestMessage', { consumerPid, offer, callbackAddress }));
    case 4:
      return post(
        '/negotiations/offers',
        message('ContractOfferMessage', { providerPid: consumerPid, offer, callbackAddress }),
      );
    case 5: {
      const push = dice.chance(0.5);
      const fields = {
        consumerPid,
        agreementId: dice.pick([own, foreign]).agreementId,
        format: push ? PUSH : PULL,
        callbackAddress,
      };
      return post(
        '/transfers/request',
        message('TransferRequestMessage', { ...fields, ...(push ? { dataAddress } : {}) }),
      );
    }
    case 6: {
      const example = structuredClone(dice.pick(examples));
      for (const [term, value] of Object.entries({
        callbackAddress,
        consumerPid: process.consumerPid,
        providerPid: process.providerPid,
      })) {
        if (term in example) example[term] = value;
      }
      return post(exampleAt(example, process), example);
    }
    default: {
      const [path, type, fields] = dice.pick(ABOUT[process.kind]);
      const id = dice.chance(0.1) ? consumerPid : process.id;
      const { consumerPid: consumer, providerPid: provider } = process;
      return post(
        `/${process.kind}/${encodeURIComponent(id)}/${path}`,
        message(type, { consumerPid: consumer, providerPid: provider, ...fields }),
      );
    }
  }
}

function filterOf(dice: Dice): unknown {
  const criterion = () => ({
    operandLeft: dice.pick(['id', 'title', 'description', 'format', 'source']),
    operator: dice.pick(['=', '!=', '<', '>=', 'in', 'like', 'ilike', '~']),
    operandRight: dice.pick<unknown>(['flights', '%', '_%\\', ['a', 'b'], '*[?', "' OR 1=1 --", 5]),
  });
  const criteria = Array.from({ length: dice.roll(4) }, criterion);
  return dice.chance(0.3) ? { offset: dice.roll(3), limit: dice.roll(3), filterExpression: criteria } : criteria;
}

export function requestFor({ method, path }: Draft, body: Buffer): FuzzRequest {
  const headers = { 'content-type': 'application/json' };
  return method === 'GET' ? { method, path, headers: {}, body: Buffer.alloc(0) } : { method, path, headers, body };
}
