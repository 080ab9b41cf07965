/** A typed client of a coordinator's `/fl/v1` for one session: see fl-core/src/session/messages.ts. */
import { FoedusError } from '@foedus/connector/errors';
import type { PeerClient } from '@foedus/connector/identity';
import { HEAD_HEADER, signedHeadSchema, writeHeadHeader, type SignedHead } from '@foedus/connector/operator-client';
import {
  type ClientPhase,
  type Enrolment,
  type Evaluation,
  MASKED_INPUT_MEDIA_TYPE,
  type Refusal,
  type SecureStep,
  type SessionDescription,
  type Task,
  UPDATE_MEDIA_TYPE,
  readUpdate,
  sessionDescriptionSchema,
  taskSchema,
} from '@foedus/fl-core';
import { z } from 'zod';

/** How long the coordinator holds a long poll, in seconds, and how much later its answer may come, in milliseconds. */
const WAIT_SECONDS = 25;
const LONG_POLL_TIMEOUT_MS = 40_000;
/** An upload may wait for its turn at the coordinator. */
const UPLOAD_TIMEOUT_MS = 900_000;
/** A task of a secure round names the whole cohort. */
const MAX_JSON_BYTES = 1 << 24;

const enrolledSchema = z.object({ ledgerHead: signedHeadSchema.nullable() });
const problemSchema = z.object({
  code: z.string().max(100),
  message: z.string(),
  /** With `older-head`: the head that the coordinator holds. */
  details: z.object({ ledgerHead: signedHeadSchema }).optional().catch(undefined),
});

export interface CoordinatorClient {
  describe(signal: AbortSignal): Promise<SessionDescription>;
  /** @returns the newest head of this node's ledger that the coordinator holds, unchecked; null: it holds none */
  enrol(enrolment: Enrolment, signal: AbortSignal): Promise<SignedHead | null>;
  /** @returns null when the task is still number `after` at the end of the long poll */
  nextTask(after: number, signal: AbortSignal): Promise<Task | null>;
  /** @returns the parameters after `round` rounds, float32 [P], complete and of this hash */
  model(
    request: {
      readonly round: number;
      readonly planHash: string;
      readonly modelHash: string;
      readonly parameters: number;
    },
    signal: AbortSignal,
  ): Promise<Float32Array>;
  /** @param head of the ledger after the charge; null: none is sent along */
  upload(round: number, bytes: Uint8Array<ArrayBuffer>, head: SignedHead, signal: AbortSignal): Promise<void>;
  /** Sends what this member has for a step of a secure round, JSON. */
  answerStep(round: number, step: Exclude<SecureStep, 'input'>, body: string, signal: AbortSignal): Promise<void>;
  /** Sends the masked input of a secure round, as masked-input.ts writes it. */
  sendInput(round: number, bytes: Uint8Array<ArrayBuffer>, head: SignedHead, signal: AbortSignal): Promise<void>;
  /**
   * @param maxBytes of the answer
   * @returns what came of the step for this member, JSON, unchecked; null when nothing has at the end of the long poll
   */
  stepOutcome(round: number, step: SecureStep, maxBytes: number, signal: AbortSignal): Promise<object | null>;
  refuse(round: number, refusal: Refusal, signal: AbortSignal): Promise<void>;
  /** @param head of the ledger after the charge; null: nothing is released */
  evaluate(round: number, evaluation: Evaluation, head: SignedHead | null, signal: AbortSignal): Promise<void>;
  phase(phase: ClientPhase, signal: AbortSignal): Promise<void>;
  depart(departure: Refusal, signal: AbortSignal): Promise<void>;
}

/**
 * Every method throws FoedusError with the coordinator's `code` and `message`, `wrong-peer` when the server is not the
 * expected participant, `unavailable` when there is no answer, `bad-answer` for one that is not as the protocol says.
 *
 * @param endpoint https root of the coordinator, from the transfer's data address
 * @param coordinator participant id that the server's certificate must name
 */
export function createCoordinatorClient(options: {
  readonly peers: PeerClient;
  readonly endpoint: string;
  readonly coordinator: string;
  readonly sessionId: string;
}): CoordinatorClient {
  const { peers, endpoint, coordinator, sessionId } = options;
  const root = `${endpoint.replace(/\/+$/, '')}/fl/v1/sessions/${encodeURIComponent(sessionId)}`;

  const call = async (
    path: string,
    init: {
      readonly method: string;
      readonly body?: Uint8Array<ArrayBuffer> | string;
      readonly type?: string;
      readonly head?: SignedHead | null;
      readonly timeoutMs?: number;
    },
    signal: AbortSignal,
  ): Promise<Response> => {
    const { method, body, type, head = null, timeoutMs = 30_000 } = init;
    const headers = {
      'content-type': type ?? 'application/json',
      ...(head === null ? {} : { [HEAD_HEADER]: writeHeadHeader(head) }),
    };
    const response = await peers.fetch(root + path, {
      method,
      ...(body === undefined ? {} : { body, headers }),
      expect: coordinator,
      timeoutMs,
      signal,
    });
    if (!response.ok) throw await problemOf(response);
    return response;
  };
  const post = async (
    path: string,
    body: unknown,
    signal: AbortSignal,
    head: SignedHead | null = null,
  ): Promise<void> => {
    const response = await call(path, { method: 'POST', body: JSON.stringify(body), head }, signal);
    await response.body?.cancel();
  };

  return {
    describe: async (signal) => await read(await call('', { method: 'GET' }, signal), sessionDescriptionSchema),
    async enrol(enrolment, signal) {
      const response = await call('/enrolment', { method: 'POST', body: JSON.stringify(enrolment) }, signal);
      return (await read(response, enrolledSchema)).ledgerHead;
    },
    async nextTask(after, signal) {
      const path = `/task?after=${after}&wait=${WAIT_SECONDS}`;
      const response = await call(path, { method: 'GET', timeoutMs: LONG_POLL_TIMEOUT_MS }, signal);
      return response.status === 204 ? null : await read(response, taskSchema);
    },
    async model({ round, planHash, modelHash, parameters: count }, signal) {
      const response = await call(`/models/${round}`, { method: 'GET' }, signal);
      const body: AsyncIterable<Uint8Array> = response.body ?? noBytes();
      const { parameters } = await readUpdate(body, {
        maxCount: count,
        expected: { sessionId, planHash, kind: 'model', count, payloadHash: modelHash },
      });
      return parameters;
    },
    async upload(round, bytes, head, signal) {
      const init = { method: 'PUT', body: bytes, type: UPDATE_MEDIA_TYPE, head, timeoutMs: UPLOAD_TIMEOUT_MS };
      const response = await call(`/rounds/${round}/update`, init, signal);
      await response.body?.cancel();
    },
    async answerStep(round, step, body, signal) {
      const response = await call(`/rounds/${round}/secure/${step}`, { method: 'PUT', body }, signal);
      await response.body?.cancel();
    },
    async sendInput(round, bytes, head, signal) {
      const init = { method: 'PUT', body: bytes, type: MASKED_INPUT_MEDIA_TYPE, head, timeoutMs: UPLOAD_TIMEOUT_MS };
      const response = await call(`/rounds/${round}/secure/input`, init, signal);
      await response.body?.cancel();
    },
    async stepOutcome(round, step, maxBytes, signal) {
      const path = `/rounds/${round}/secure/${step}?wait=${WAIT_SECONDS}`;
      const response = await call(path, { method: 'GET', timeoutMs: LONG_POLL_TIMEOUT_MS }, signal);
      if (response.status === 204) return null;
      const json = await readJson(response, maxBytes);
      if (typeof json === 'object' && json !== null) return json;
      throw new FoedusError('bad-answer', `The coordinator's answer to ${step} is no JSON object.`);
    },
    refuse: (round, refusal, signal) => post(`/rounds/${round}/refusal`, refusal, signal),
    evaluate: (round, evaluation, head, signal) => post(`/rounds/${round}/evaluation`, evaluation, signal, head),
    phase: (phase, signal) => post('/phase', phase, signal),
    depart: (departure, signal) => post('/departure', departure, signal),
  };
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}

async function read<T>(response: Response, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await readJson(response));
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-answer', `The coordinator's answer is not valid. ${z.prettifyError(parsed.error)}`);
}

async function readJson(response: Response, maxBytes = MAX_JSON_BYTES): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? noBytes()) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new FoedusError('bad-answer', 'The coordinator answers with too long a document.');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new FoedusError('bad-answer', 'The coordinator answers with something that is not JSON.', { cause });
  }
}

async function problemOf(response: Response): Promise<FoedusError> {
  const parsed = problemSchema.safeParse(await readJson(response).catch(() => null));
  if (parsed.success) {
    const { code, message, details } = parsed.data;
    return new FoedusError(code, message.slice(0, 1_000), details === undefined ? {} : { details });
  }
  return new FoedusError('unavailable', `The coordinator answered with status ${response.status}.`);
}
