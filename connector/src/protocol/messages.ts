import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { dataAddressMessageSchema } from './data-address.ts';
import { agreementSchema, identifier, messageOfferSchema } from './policy-schema.ts';
import {
  negotiationMachine,
  transferMachine,
  type NegotiationMessageName,
  type TransferMessageName,
} from './state-machine.ts';
import { compactTerms, CONTEXT, isObject, rawValue, SIGNATURE } from './terms.ts';

/** The messages of DSP 2025-1 as zod schemas: read liberally (after `compactTerms`), written strictly. */

const reasons = z.array(z.unknown()).max(100).optional();
const code = z.string().max(500).optional();
const pids = { consumerPid: identifier, providerPid: identifier };
const ended = { ...pids, code, reason: reasons };
const url = z.string().max(2048);

const exactlyOne = (a: string, b: string) => (message: Record<string, unknown>) =>
  (message[a] === undefined) !== (message[b] === undefined);

const schemas = {
  CatalogRequestMessage: z.object({ filter: z.array(z.unknown()).optional() }),
  ContractRequestMessage: z
    .object({
      consumerPid: identifier,
      providerPid: identifier.optional(),
      offer: messageOfferSchema,
      callbackAddress: url.optional(),
    })
    .refine(exactlyOne('callbackAddress', 'providerPid'), 'needs either callbackAddress or providerPid'),
  ContractOfferMessage: z
    .object({
      providerPid: identifier,
      consumerPid: identifier.optional(),
      offer: messageOfferSchema.and(z.object({ target: identifier })),
      callbackAddress: url.optional(),
    })
    .refine(exactlyOne('callbackAddress', 'consumerPid'), 'needs either callbackAddress or consumerPid'),
  ContractAgreementMessage: z.object({ ...pids, agreement: agreementSchema, [SIGNATURE]: z.string().optional() }),
  ContractAgreementVerificationMessage: z.object({ ...pids, [SIGNATURE]: z.string().optional() }),
  ContractNegotiationEventMessage: z.object({ ...pids, eventType: z.enum(['ACCEPTED', 'FINALIZED']) }),
  ContractNegotiationTerminationMessage: z.object(ended),
  TransferRequestMessage: z.object({
    consumerPid: identifier,
    agreementId: identifier,
    format: identifier,
    callbackAddress: url,
    dataAddress: dataAddressMessageSchema.optional(),
  }),
  TransferStartMessage: z.object({ ...pids, dataAddress: dataAddressMessageSchema.optional() }),
  TransferSuspensionMessage: z.object(ended),
  TransferCompletionMessage: z.object(pids),
  TransferTerminationMessage: z.object(ended),
  ContractNegotiation: z.object({ ...pids, state: z.enum(negotiationMachine.states) }),
  TransferProcess: z.object({ ...pids, state: z.enum(transferMachine.states) }),
};

export type MessageType = keyof typeof schemas;
export type Message<T extends MessageType = MessageType> = z.infer<(typeof schemas)[T]>;

const contextSchema = z.union([z.string(), z.array(z.unknown())]);

/**
 * Reads a message of a known type from a peer's JSON.
 *
 * @throws FoedusError `bad-request`; `details.reasons` names every fault with its JSON path
 */
export function readMessage<T extends MessageType>(type: T, body: unknown): Message<T> {
  if (!isObject(body)) throw invalid(type, ['$: a message is a JSON object']);
  const context = contextSchema.safeParse(body['@context']);
  if (!context.success || ![context.data].flat().includes(CONTEXT)) {
    throw invalid(type, [`$['@context']: must contain "${CONTEXT}"`]);
  }
  const compact = compactTerms(body) as Record<string, unknown>;
  if (compact['@type'] !== type) throw invalid(type, [`$['@type']: must be "${type}"`]);
  const signature = rawValue(body, SIGNATURE);
  const parsed = schemas[type].safeParse(
    isObject(signature) && '@value' in signature ? { ...compact, [SIGNATURE]: signature['@value'] } : compact,
  );
  if (!parsed.success) throw invalid(type, faults(parsed.error));
  return parsed.data as Message<T>;
}

/** @returns one line for each issue: JSON path, then what is wrong */
export function faults(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => {
    const steps = path.map((step) => {
      if (typeof step === 'number') return `[${step}]`;
      return /^\w+$/.test(String(step)) ? `.${String(step)}` : `['${String(step)}']`;
    });
    return `$${steps.join('')}: ${message}`;
  });
}

function invalid(type: string, lines: string[]): FoedusError {
  return new FoedusError('bad-request', `This is no ${type} of the Dataspace Protocol 2025-1: ${lines.join('; ')}`, {
    details: { reasons: lines },
  });
}

/**
 * Writes a message. Each has an `@id` of its own: a receiver tells a repeated delivery from a new message by it.
 *
 * @param fields without undefined members
 */
export function writeMessage(type: MessageType, fields: Record<string, unknown>): Record<string, unknown> {
  return { '@context': [CONTEXT], '@id': `urn:uuid:${randomUUID()}`, '@type': type, ...fields };
}

/** A document that answers a request: acknowledgement, catalog or error. */
export function writeDocument(type: string, fields: Record<string, unknown>): Record<string, unknown> {
  return { '@context': [CONTEXT], '@type': type, ...fields };
}

/** `code` and `reason` of a termination or suspension, where there are any. */
export function writeReason(fields: { code?: string | undefined; reason?: string | undefined }): object {
  return {
    ...(fields.code === undefined ? {} : { code: fields.code }),
    ...(fields.reason === undefined ? {} : { reason: [fields.reason] }),
  };
}

/** The words of a peer's `reason` array, at most 2,000 characters. */
export function readReason(message: { code?: string | undefined; reason?: unknown[] | undefined }): string | undefined {
  const words = (message.reason ?? []).map((item) => {
    const text = isObject(item) && '@value' in item ? item['@value'] : item;
    return typeof text === 'string' ? text : JSON.stringify(text);
  });
  const text = words.length > 0 ? words.join('; ') : message.code;
  return text?.slice(0, 2_000);
}

const PATHS: Record<NegotiationMessageName | TransferMessageName, (at: string) => string> = {
  ContractRequestMessage: (at) => `/negotiations${at}/request`,
  ContractOfferMessage: (at) => `/negotiations${at}/offers`,
  'ContractNegotiationEventMessage:ACCEPTED': (at) => `/negotiations${at}/events`,
  'ContractNegotiationEventMessage:FINALIZED': (at) => `/negotiations${at}/events`,
  ContractAgreementMessage: (at) => `/negotiations${at}/agreement`,
  ContractAgreementVerificationMessage: (at) => `/negotiations${at}/agreement/verification`,
  ContractNegotiationTerminationMessage: (at) => `/negotiations${at}/termination`,
  TransferRequestMessage: (at) => `/transfers${at}/request`,
  TransferStartMessage: (at) => `/transfers${at}/start`,
  TransferSuspensionMessage: (at) => `/transfers${at}/suspension`,
  TransferCompletionMessage: (at) => `/transfers${at}/completion`,
  TransferTerminationMessage: (at) => `/transfers${at}/termination`,
};

/** Path of a message about the receiver's process `pid`, or of a first message (no pid), below the protocol's base. */
export function messagePath(name: NegotiationMessageName | TransferMessageName, pid?: string): string {
  return PATHS[name](pid === undefined ? '' : `/${encodeURIComponent(pid)}`);
}
