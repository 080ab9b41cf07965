/** A typed client of a coordinator's `/fl/v1` for one session: see fl-core/src/session/messages.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import { FoedusError } from '@foedus/connector/errors';
import type { PeerAnswer, PeerCall, PeerClient } from '@foedus/connector/identity';
import { HEAD_HEADER, signedHeadSchema, writeHeadHeader, type SignedHead } from '@foedus/connector/operator-client';
import {
  type ClientPhase,
  type Enrolment,
  type Evaluation,
  MASKED_INPUT_MEDIA_TYPE,
  MAX_UPDATE_HEADER_BYTES,
  type Refusal,
  type SecureStep,
  type SessionDescription,
  type Task,
  UPDATE_MEDIA_TYPE,
  readUpdate,
  sessionDescriptionSchema,
  taskSchema,
  createBackOff,
} from '@foedus/fl-core';
import { z } from 'zod';

/** How long the coordinator holds a long poll, in seconds, and how much later its answer may come, in milliseconds. */
const WAIT_SECONDS = 25;
const LONG_POLL_TIMEOUT_MS = 40_000;
/** A long poll that brought nothing sooner than this was not held. */
const SHORTEST_POLL_MS = 1_000;
/** An upload may wait for its turn at the coordinator. */
const UPLOAD_TIMEOUT_MS = 900_000;
/** Larger models are read as they come, and smaller ones in one piece, within a time. */
const MOST_AT_ONCE = 4 << 20;
const MODEL_TIMEOUT_MS = 300_000;
/** A task of a secure round names the whole cohort. */
const MAX_JSON_BYTES = 1 << 24;

/** How long a coordinator that has been asked too often can make this node wait before it asks again, in seconds. */
const LONGEST_PAUSE_SECONDS = 60;

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
  /**
   * Sends what this member has for a step of a secure round, JSON.
   *
   * @param maxBytes of what comes of the step; without it that is not waited for
   * @returns as stepOutcome; null where it is not waited for
   */
  answerStep(
    round: number,
    step: Exclude<SecureStep, 'input'>,
    body: string,
    signal: AbortSignal,
    maxBytes?: number,
  ): Promise<object | null>;
  /** Sends the masked input of a secure round, as masked-input.ts writes it. */
  sendInput(
    round: number,
    bytes: Uint8Array<ArrayBuffer>,
    head: SignedHead,
    signal: AbortSignal,
    maxBytes?: number,
  ): Promise<object | null>;
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
  /** Waits before a request that came too soon is sent again. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}): CoordinatorClient {
  const { peers, endpoint, coordinator, sessionId } = options;
  const { pause = (ms, signal) => delay(ms, undefined, { signal }) } = options;
  const root = `${endpoint.replace(/\/+$/, '')}/fl/v1/sessions/${encodeURIComponent(sessionId)}`;

  const call = async (
    path: string,
    init: Pick<PeerCall, 'method' | 'body' | 'timeoutMs'> & {
      readonly maxBytes?: number | undefined;
      readonly type?: string;
      readonly head?: SignedHead | null;
    },
    signal: AbortSignal,
  ): Promise<PeerAnswer> => {
    const { type = 'application/json', head = null, timeoutMs = 30_000, maxBytes = MAX_JSON_BYTES, ...request } = init;
    const headers = {
      ...(request.body === undefined ? {} : { 'content-type': type }),
      ...(head === null ? {} : { [HEAD_HEADER]: writeHeadHeader(head) }),
    };
    const send = () =>
      peers.call(root + path, { ...request, headers, expect: coordinator, timeoutMs, maxBytes, signal });
    let answer = await send();
    while (answer.status === 429) {
      await pause(pauseAfter(answer), signal);
      answer = await send();
    }
    if (answer.status < 200 || answer.status > 299) throw problemOf(answer);
    return answer;
  };
  const post = async (path: string, body: unknown, signal: AbortSignal, head: SignedHead | null = null) => {
    await call(path, { method: 'POST', body: JSON.stringify(body), head }, signal);
  };
  /** Long polls. With a coordinator that does not hold them they would keep this node busy: there they become rarer. */
  const createPoll = () => {
    const backOff = createBackOff();
    return async (path: string, maxBytes: number, signal: AbortSignal): Promise<PeerAnswer | null> => {
      const since = performance.now();
      const answer = await call(path, { timeoutMs: LONG_POLL_TIMEOUT_MS, maxBytes }, signal);
      const isHeld = performance.now() - since >= SHORTEST_POLL_MS;
      if (answer.status !== 204 || isHeld) backOff.reset();
      else await backOff.wait(signal);
      return answer.status === 204 ? null : answer;
    };
  };
  const pollTask = createPoll();
  const pollOutcome = createPoll();
  /** A model that is too large to be in memory twice. */
  const stream = async (path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
    const send = () => peers.fetch(root + path, { expect: coordinator, timeoutMs: 30_000, signal });
    let response = await send();
    while (response.status === 429) {
      await response.body?.cancel();
      await pause(pauseAfter(response), signal);
      response = await send();
    }
    if (response.ok) return response.body ?? inOne(new Uint8Array(0));
    const bytes = await whole(response.body, MAX_JSON_BYTES);
    throw problemOf({ status: response.status, headers: response.headers, body: bytes });
  };

  return {
    describe: async (signal) => read(await call('', {}, signal), sessionDescriptionSchema),
    async enrol(enrolment, signal) {
      const answer = await call('/enrolment', { method: 'POST', body: JSON.stringify(enrolment) }, signal);
      return read(answer, enrolledSchema).ledgerHead;
    },
    async nextTask(after, signal) {
      const path = `/task?after=${after}&wait=${WAIT_SECONDS}`;
      const answer = await pollTask(path, MAX_JSON_BYTES, signal);
      return answer && read(answer, taskSchema);
    },
    async model({ round, planHash, modelHash, parameters: count }, signal) {
      const path = `/models/${round}`;
      const maxBytes = 4 * count + MAX_UPDATE_HEADER_BYTES + 16;
      const body =
        maxBytes > MOST_AT_ONCE
          ? await stream(path, signal)
          : inOne(bytesOf(await call(path, { maxBytes, timeoutMs: MODEL_TIMEOUT_MS }, signal)));
      const { parameters } = await readUpdate(body, {
        maxCount: count,
        expected: { sessionId, planHash, kind: 'model', count, payloadHash: modelHash },
      });
      return parameters;
    },
    async upload(round, bytes, head, signal) {
      const init = { method: 'PUT', body: bytes, type: UPDATE_MEDIA_TYPE, head, timeoutMs: UPLOAD_TIMEOUT_MS } as const;
      await call(`/rounds/${round}/update`, init, signal);
    },
    async answerStep(round, step, body, signal, maxBytes) {
      const init = { method: 'PUT', body, timeoutMs: LONG_POLL_TIMEOUT_MS, maxBytes } as const;
      return outcomeOf(await call(pathOf(round, step, maxBytes), init, signal), step);
    },
    async sendInput(round, bytes, head, signal, maxBytes) {
      const type = MASKED_INPUT_MEDIA_TYPE;
      const init = { method: 'PUT', body: bytes, type, head, timeoutMs: UPLOAD_TIMEOUT_MS, maxBytes } as const;
      return outcomeOf(await call(pathOf(round, 'input', maxBytes), init, signal), 'input');
    },
    async stepOutcome(round, step, maxBytes, signal) {
      const answer = await pollOutcome(pathOf(round, step, maxBytes), maxBytes, signal);
      return answer === null ? null : outcomeOf(answer, step);
    },
    refuse: (round, refusal, signal) => post(`/rounds/${round}/refusal`, refusal, signal),
    evaluate: (round, evaluation, head, signal) => post(`/rounds/${round}/evaluation`, evaluation, signal, head),
    phase: (phase, signal) => post('/phase', phase, signal),
    depart: (departure, signal) => post('/departure', departure, signal),
  };
}

/** @returns milliseconds after which a request that came too soon may come again */
function pauseAfter({ headers }: Pick<PeerAnswer, 'headers'>): number {
  const seconds = Number(headers.get('retry-after') ?? 1);
  return 1000 * (seconds >= 1 ? Math.min(seconds, LONGEST_PAUSE_SECONDS) : 1);
}

/** @param waits for what comes of the step, if anything is to be read of it */
function pathOf(round: number, step: SecureStep, waits: number | undefined): string {
  return `/rounds/${round}/secure/${step}${waits === undefined ? '' : `?wait=${WAIT_SECONDS}`}`;
}

function outcomeOf(answer: PeerAnswer, step: SecureStep): object | null {
  if (answer.status === 204) return null;
  const json = readJson(answer);
  if (typeof json === 'object' && json !== null) return json;
  throw new FoedusError('bad-answer', `The coordinator's answer to ${step} is no JSON object.`);
}

async function* inOne(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** @returns what came of `body`, and nothing of one that is longer than `most` */
async function whole(body: AsyncIterable<Uint8Array> | null, most: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? inOne(new Uint8Array(0))) {
    bytes += chunk.length;
    if (bytes > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function read<T>(answer: PeerAnswer, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(readJson(answer));
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-answer', `The coordinator's answer is not valid. ${z.prettifyError(parsed.error)}`);
}

function bytesOf({ body }: PeerAnswer): Uint8Array {
  if (body !== undefined) return body;
  throw new FoedusError('bad-answer', 'The coordinator answers with too long a document.');
}

function readJson(answer: PeerAnswer): unknown {
  const bytes = bytesOf(answer);
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch (cause) {
    throw new FoedusError('bad-answer', 'The coordinator answers with something that is not JSON.', { cause });
  }
}

function problemOf(answer: PeerAnswer): FoedusError {
  try {
    const { code, message, details } = problemSchema.parse(readJson(answer));
    return new FoedusError(code, message.slice(0, 1_000), details === undefined ? {} : { details });
  } catch {
    return new FoedusError('unavailable', `The coordinator answered with status ${answer.status}.`);
  }
}
