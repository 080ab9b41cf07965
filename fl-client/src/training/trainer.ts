/** Training in a thread of its own, so that a step never holds up the client's connections. */
import { Worker } from 'node:worker_threads';
import { FoedusError } from '@foedus/connector/errors';
import type { ScoreHistogram, SessionPlan } from '@foedus/fl-core';
import type { EnginePreference } from '../engine/select.ts';
import type { EvaluationResult, RoundResult } from './round.ts';
import type { CarriedError, WorkerData, WorkerReady, WorkerReply, WorkerRequest } from './worker-messages.ts';

export interface TrainerOptions {
  /** @default 'auto' */
  readonly engine?: EnginePreference;
  /** The participant's Parquet file; several only to compare with training on pooled rows. */
  readonly parquetPath: string | readonly string[];
  readonly plan: SessionPlan;
}

export interface Trainer extends AsyncDisposable, WorkerReady {
  /**
   * One round from these global parameters (float32 [P], not changed).
   *
   * @param round only names the work in progress reports
   * @throws FoedusError `aborted` when the signal stops it between two steps; `training-diverged`
   */
  trainRound(
    parameters: Float32Array,
    round: number,
    options?: { readonly signal?: AbortSignal; readonly onStep?: (stepsDone: number, steps: number) => void },
  ): Promise<RoundResult>;
  /** AUC and log loss of these parameters on the held-out rows. */
  evaluate(parameters: Float32Array, options?: { readonly signal?: AbortSignal }): Promise<EvaluationResult>;
  /** The held-out rows by label and predicted probability, in `bins` equal bins (2…1024); exact, without noise. */
  histogram(
    parameters: Float32Array,
    bins: number,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ScoreHistogram>;
}

interface Pending {
  readonly settle: (reply: WorkerReply) => void;
  readonly fail: (error: Error) => void;
  readonly onStep: ((stepsDone: number, steps: number) => void) | undefined;
}

/**
 * Starts the thread, loads the rows and compiles nothing yet. `trainer.rows` are counts for the operator's own eyes.
 *
 * @throws FoedusError `engine-unavailable`, `unreadable-data`, `missing-column`, `wrong-column-type`, `no-rows`, and
 *   `trainer-stopped` when the thread ends unexpectedly (out of memory)
 */
export async function startTrainer(options: TrainerOptions): Promise<Trainer> {
  const { engine = 'auto', parquetPath, plan } = options;
  const parquetPaths = typeof parquetPath === 'string' ? [parquetPath] : parquetPath;
  const workerData: WorkerData = { engine, parquetPaths, plan };
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, name: 'foedus-trainer' });
  const requests = requestsOf(worker);
  let ready: WorkerReady;
  try {
    ready = await requests.ready;
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  // While nothing is asked of it, the thread keeps no process alive.
  worker.unref();

  let lastId = 0;
  const ask = async (
    request:
      | { kind: 'train'; round: number; parameters: Float32Array }
      | { kind: 'evaluate'; parameters: Float32Array }
      | { kind: 'count'; bins: number; parameters: Float32Array },
    signal: AbortSignal | undefined,
    onStep?: (stepsDone: number, steps: number) => void,
  ): Promise<WorkerReply> => {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const stopNow = (): void => void Atomics.store(stop, 0, 1);
    if (signal?.aborted === true) stopNow();
    signal?.addEventListener('abort', stopNow, { once: true });
    worker.ref();
    try {
      return await requests.send({ ...request, id: ++lastId, stop }, onStep);
    } finally {
      worker.unref();
      signal?.removeEventListener('abort', stopNow);
    }
  };

  return {
    engine: ready.engine,
    rows: ready.rows,
    async trainRound(parameters, round, { signal, onStep } = {}) {
      const reply = await ask({ kind: 'train', round, parameters }, signal, onStep);
      if (reply.kind !== 'trained') throw unexpected(reply);
      return reply.result;
    },
    async evaluate(parameters, { signal } = {}) {
      const reply = await ask({ kind: 'evaluate', parameters }, signal);
      if (reply.kind !== 'evaluated') throw unexpected(reply);
      return reply.result;
    },
    async histogram(parameters, bins, { signal } = {}) {
      const reply = await ask({ kind: 'count', bins, parameters }, signal);
      if (reply.kind !== 'counted') throw unexpected(reply);
      return reply.result;
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

function requestsOf(worker: Worker): {
  readonly ready: Promise<WorkerReady>;
  send(request: WorkerRequest, onStep?: (stepsDone: number, steps: number) => void): Promise<WorkerReply>;
} {
  const pending = new Map<number, Pending>();
  const { promise: ready, resolve, reject } = Promise.withResolvers<WorkerReady>();
  let ended: Error | undefined;
  const end = (error: Error): void => {
    ended = error;
    reject(error);
    for (const { fail } of pending.values()) fail(error);
    pending.clear();
  };
  worker.on('message', (reply: WorkerReply) => {
    if (reply.kind === 'ready') return resolve({ engine: reply.engine, rows: reply.rows });
    if (reply.kind === 'failed') return reject(revived(reply.error));
    const request = pending.get(reply.id);
    if (reply.kind === 'step') return request?.onStep?.(reply.stepsDone, reply.steps);
    pending.delete(reply.id);
    if (reply.kind === 'error') request?.fail(revived(reply.error));
    else request?.settle(reply);
  });
  worker.on('error', (cause) =>
    end(new FoedusError('trainer-stopped', `The training thread failed: ${String(cause)}`, { cause })),
  );
  worker.on('exit', (code) => end(new FoedusError('trainer-stopped', `The training thread ended (code ${code}).`)));
  return {
    ready,
    send: (request, onStep) =>
      new Promise((settle, fail) => {
        if (ended !== undefined) return fail(ended);
        pending.set(request.id, { settle, fail, onStep });
        worker.postMessage(request);
      }),
  };
}

function revived({ code, message, details }: CarriedError): Error {
  return code === null ? new Error(message) : new FoedusError(code, message, { details: { ...details } });
}

function unexpected(reply: WorkerReply): Error {
  return new Error(`The training thread answered with "${reply.kind}" to another question.`);
}
