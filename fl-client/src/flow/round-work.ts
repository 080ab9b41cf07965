/** What a client does for one task: train and release an update, or report metrics. */
import type { Identity } from '@foedus/connector/identity';
import {
  type Refusal,
  type SessionPlan,
  type Task,
  createRandomBits,
  encodeUpdate,
  parameterCount,
} from '@foedus/fl-core';
import type { Logger } from 'pino';
import { ALREADY_RELEASED, type Charging, type EvaluationCharging, type RoundUse } from './charge.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import { createEvaluationWork } from './evaluation-work.ts';
import { OutOfStep, Refused, codeOf, createRoundCalls, ignoreOutOfStep } from './round-calls.ts';
import { createSecureWork } from './secure-work.ts';
import type { Trainer } from './trainer.ts';
import { type StoredUpdate, createUpdateFiles, madeFrom } from './update-files.ts';

type TrainTask = Extract<Task, { kind: 'train' }>;
type EvaluateTask = Extract<Task, { kind: 'evaluate' }>;

export interface RoundWorkOptions {
  readonly plan: SessionPlan;
  readonly planHash: string;
  readonly agreementId: string;
  /** SHA-256 of the session's initial parameters, hex. */
  readonly modelHash: string;
  readonly identity: Identity;
  /** SHA-256 of the agreement that both sides signed, hex: asked for under secure aggregation. */
  readonly agreementHash: () => Promise<string>;
  readonly coordinator: CoordinatorClient;
  readonly charging: Charging & EvaluationCharging;
  /** Folder of this session under this agreement. */
  readonly folder: string;
  /** Made when first needed, and kept. */
  readonly trainer: Trainer;
  readonly logger: Logger;
}

export interface RoundWork {
  /**
   * Trains, charges, uploads; or refuses, with the own connector's words.
   *
   * @param signal the task is not wanted any more: training stops; what is charged already is still sent
   * @param ended the contract does not allow it any more, or this program stops: everything stops
   */
  train(task: TrainTask, signal: AbortSignal, ended: AbortSignal): Promise<void>;
  evaluate(task: EvaluateTask, signal: AbortSignal): Promise<void>;
  /** Rounds before this one are over: their updates are in, or will never be wanted. null: all are. */
  keepOnly(round: number | null): Promise<void>;
}

export function createRoundWork(options: RoundWorkOptions): RoundWork {
  const {
    plan,
    planHash,
    agreementId,
    modelHash: initialHash,
    coordinator,
    charging,
    folder,
    trainer,
    logger,
  } = options;
  const parameters = parameterCount(plan);
  const updates = createUpdateFiles(folder, 'update');
  const calls = createRoundCalls({ coordinator, charging, logger });
  const { ask, tell } = calls;
  let latest: { readonly hash: string; readonly parameters: Float32Array } | null = null;

  const model = async (round: number, modelHash: string, signal: AbortSignal): Promise<Float32Array> => {
    if (latest?.hash === modelHash) return latest.parameters;
    const request = { round, planHash, modelHash, parameters };
    const downloaded = await ask(() => coordinator.model(request, signal), signal);
    latest = { hash: modelHash, parameters: downloaded };
    return downloaded;
  };

  const trainRound = async (
    { round, modelHash }: TrainTask,
    signal: AbortSignal,
  ): Promise<{ readonly update: Float32Array; readonly seconds: number }> => {
    tell(round, 'downloading', signal);
    const global = await model(round - 1, modelHash, signal);
    tell(round, 'training', signal);
    const trained = await trainer.trainRound(global, round, { signal });
    signal.throwIfAborted();
    return trained;
  };

  const secureWork =
    plan.secureAggregation === null
      ? null
      : createSecureWork({
          plan,
          planHash,
          agreementId,
          modelHash: initialHash,
          identity: options.identity,
          coordinator,
          calls,
          masked: createUpdateFiles(folder, 'masked'),
          answers: createUpdateFiles(folder, 'answer'),
          agreementHash: options.agreementHash,
          trainRound: async (task, signal) => (await trainRound(task, signal)).update,
          logger,
        });
  const evaluate = createEvaluationWork({
    plan,
    planHash,
    agreementId,
    modelHash: initialHash,
    coordinator,
    charging,
    calls,
    files: createUpdateFiles(folder, 'evaluation'),
    trainer,
    model,
    random: createRandomBits(),
    logger,
  });
  const keepOnly = async (round: number | null): Promise<void> => {
    await updates.keepOnly(round);
    await secureWork?.keepOnly(round);
  };

  /** Trains and stores the update; it is neither charged nor sent yet. */
  const makeUpdate = async (task: TrainTask, use: RoundUse, signal: AbortSignal): Promise<StoredUpdate> => {
    const { round, modelHash } = task;
    const quote = await calls.quote(use, signal);
    const { update, seconds } = await trainRound(task, signal);
    const header = { sessionId: plan.sessionId, planHash, round, kind: 'update', privacy: quote.privacy } as const;
    // How long training takes depends on how many rows there are: with privacy that is not told.
    const told = plan.privacy === null ? { trainingSeconds: seconds } : {};
    return await updates.write(round, madeFrom(planHash, modelHash), encodeUpdate({ ...header, ...told }, update));
  };

  const refusalOf = (error: unknown): Refused => {
    if (error instanceof Refused) return error;
    // Whatever else went wrong may speak of files and rows: the coordinator learns only that it did.
    return new Refused('training-failed', 'Training failed on this node; its operator finds the reason in the log.');
  };

  const release = async (task: TrainTask, signal: AbortSignal, ended: AbortSignal): Promise<void> => {
    if (secureWork !== null) return await secureWork.train(task, signal, ended);
    const { round, modelHash, cohort } = task;
    const use: RoundUse = { agreementId, plan, planHash, modelHash: initialHash, round, cohort };
    let stored = await updates.find(round);
    if (stored !== undefined && stored.of !== madeFrom(planHash, modelHash)) {
      const what = `The update of round ${round} was trained from other parameters or under another plan.`;
      throw new Refused(ALREADY_RELEASED, what);
    }
    stored ??= await makeUpdate(task, use, signal);
    signal.throwIfAborted();
    tell(round, 'charging', ended);
    const bytes = await stored.read();
    const head = await calls.charge(use, bytes, ended);
    tell(round, 'uploading', ended);
    await calls.send(agreementId, head, (newest) => coordinator.upload(round, bytes, newest, ended), ended);
    // Kept until the round is over: a coordinator that was killed asks for the same bytes again.
    logger.info({ round, bytes: bytes.length }, `Round ${round}: update sent`);
  };

  return {
    keepOnly,
    async train(task, signal, ended) {
      const { round } = task;
      try {
        await release(task, signal, ended);
      } catch (error) {
        if (error instanceof OutOfStep) {
          logger.info({ round, code: codeOf(error.cause) }, `Round ${round}: ${error.message}`);
          if (codeOf(error.cause) === 'round-over') await keepOnly(null);
          return;
        }
        if (ended.aborted || (signal.aborted && !(error instanceof Refused))) throw error;
        const refusal = refusalOf(error);
        logger.warn({ err: error, round, code: refusal.code }, `Round ${round} is refused: ${refusal.message}`);
        // What was never charged must never be sent.
        if (refusal.code !== ALREADY_RELEASED) await keepOnly(null);
        const { about } = refusal;
        const body: Refusal = {
          code: refusal.code.slice(0, 100),
          reason: refusal.message.slice(0, 2_000),
          ...(about === undefined ? {} : { about }),
        };
        await ask(() => coordinator.refuse(round, body, signal), signal).catch(ignoreOutOfStep);
      } finally {
        tell(round, 'waiting', ended);
      }
    },
    evaluate,
  };
}
