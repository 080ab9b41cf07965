/**
 * What a client does when a model is to be evaluated: measure it on the held-out rows, **charge, then release**. What
 * is released is written to disk before it is charged, and goes out again as the same bytes after a restart: noise that
 * was drawn twice would be two releases. It stays until the next evaluation.
 */
import { hash } from 'node:crypto';
import { FoedusError } from '@foedus/connector/errors';
import type { SignedHead } from '@foedus/connector/operator-client';
import {
  type Evaluation,
  type RandomBits,
  type SessionPlan,
  type Task,
  evaluationSchema,
  metricNames,
  noisedHistogram,
} from '@foedus/fl-core';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { EvaluationCharging, EvaluationQuote, EvaluationUse, MetricName } from './charge.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import { OutOfStep, Refused, type RoundCalls, codeOf, ignoreOutOfStep } from './round-calls.ts';
import type { Trainer } from './trainer.ts';
import { type StoredUpdate, type UpdateFiles, madeFrom } from './update-files.ts';

type EvaluateTask = Extract<Task, { kind: 'evaluate' }>;

export interface EvaluationWorkOptions {
  readonly plan: SessionPlan;
  readonly planHash: string;
  readonly agreementId: string;
  /** SHA-256 of the session's initial parameters, hex. */
  readonly modelHash: string;
  readonly coordinator: Pick<CoordinatorClient, 'evaluate'>;
  readonly charging: EvaluationCharging;
  readonly calls: Pick<RoundCalls, 'own' | 'ask' | 'send' | 'tell'>;
  /** Of kind `evaluation`. */
  readonly files: UpdateFiles;
  readonly trainer: Trainer;
  /** The parameters after a round, of this hash. */
  readonly model: (round: number, modelHash: string, signal: AbortSignal) => Promise<Float32Array>;
  readonly random: RandomBits;
  readonly logger: Logger;
}

/** What is kept: what is sent, and the metrics that the charge names. */
const storedSchema = z.strictObject({ evaluation: evaluationSchema, metrics: z.array(z.enum(metricNames)) });

/** What no other try can mend. */
const isFatal = (error: unknown): boolean => codeOf(error) === 'bad-request';

/** Nothing is released, for a reason that the coordinator is told. */
class NotReleased extends Error {}

/** @returns what evaluates and reports; it throws only when the signal aborts */
export function createEvaluationWork(options: EvaluationWorkOptions) {
  const { plan, planHash, agreementId, modelHash: initialHash, coordinator, charging, calls, files, logger } = options;
  const { noise } = plan.evaluation;

  /** Exact metrics, or one noised histogram. The exact counts never leave this function. */
  const measure = async (
    task: EvaluateTask,
    { metrics: allowed, privacy }: EvaluationQuote,
    signal: AbortSignal,
  ): Promise<Evaluation> => {
    calls.tell(task.round, 'evaluating', signal);
    const parameters = await options.model(task.round, task.modelHash, signal);
    const { trainer } = options;
    if (noise !== null) {
      const histogram = await trainer.histogram(parameters, noise.bins, { signal });
      return { metrics: {}, privacy, histogram: noisedHistogram(histogram, noise.noiseMultiplier, options.random) };
    }
    const measured = await trainer.evaluate(parameters, { signal });
    const metrics: Evaluation['metrics'] = {};
    for (const metric of allowed) {
      const value = measured[metric];
      if (value !== null && Number.isFinite(value)) metrics[metric] = value;
    }
    return { metrics };
  };

  /** Measures and stores what is to be released; it is neither charged nor sent yet. */
  const make = async (task: EvaluateTask, use: EvaluationUse, signal: AbortSignal): Promise<StoredUpdate> => {
    const quote = await calls.own(() => charging.quoteEvaluation(use), signal);
    if (quote.isCharged) {
      throw new NotReleased(
        `An evaluation of round ${use.round} was released before and is not kept any more; another one would not be paid for.`,
      );
    }
    if (quote.metrics.length === 0) throw new NotReleased(quote.reason);
    const evaluation = await measure(task, quote, signal);
    signal.throwIfAborted();
    const stored: z.input<typeof storedSchema> = { evaluation, metrics: [...quote.metrics] };
    return await files.write(task.round, madeFrom(planHash, task.modelHash), Buffer.from(JSON.stringify(stored)));
  };

  const charge = async (
    use: EvaluationUse,
    metrics: readonly MetricName[],
    signal: AbortSignal,
  ): Promise<SignedHead> => {
    try {
      return await calls.own(() => charging.chargeEvaluation(use, metrics), signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof FoedusError)) throw error;
      // What was never charged must never be sent.
      await files.keepOnly(null);
      throw new NotReleased(error.message);
    }
  };

  const release = async (task: EvaluateTask, signal: AbortSignal): Promise<void> => {
    const { round, modelHash } = task;
    const use: EvaluationUse = { agreementId, plan, planHash, modelHash: initialHash, round };
    if (plan.privacy?.unit === 'organisation') {
      throw new NotReleased(
        'Metrics tell about this organisation what the plan hides: this node keeps them to itself.',
      );
    }
    if (plan.privacy !== null && noise === null) {
      throw new NotReleased('The plan has privacy and no noise for metrics: this node keeps exact ones to itself.');
    }
    let stored = await files.find(round);
    if (stored !== undefined && stored.of !== madeFrom(planHash, modelHash)) {
      throw new NotReleased(
        `Another model was evaluated after round ${round}, or under another plan; one evaluation is paid for, not two.`,
      );
    }
    stored ??= await make(task, use, signal);
    await files.keepOnly(round);
    const bytes = await stored.read();
    const { evaluation, metrics } = storedSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    signal.throwIfAborted();
    calls.tell(round, 'charging', signal);
    const head = await charge({ ...use, released: hash('sha256', bytes, 'hex') }, metrics, signal);
    try {
      const send = (newest: SignedHead) => coordinator.evaluate(round, evaluation, newest, signal);
      await calls.send(agreementId, head, send, signal, isFatal);
    } catch (error) {
      if (error instanceof Refused) throw new NotReleased(error.message);
      throw error;
    }
    logger.info({ round, metrics }, `Round ${round}: ${noise === null ? 'metrics' : 'noised metrics'} sent`);
  };

  return async (task: EvaluateTask, signal: AbortSignal): Promise<void> => {
    const { round } = task;
    try {
      if (plan.evaluation.metrics.length > 0) return await release(task, signal);
      await calls.ask(() => coordinator.evaluate(round, { metrics: {} }, null, signal), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof OutOfStep) return;
      const isTold = error instanceof NotReleased;
      const reason = isTold
        ? error.message
        : 'The evaluation failed on this node; its operator finds the reason in the log.';
      logger.warn(
        { ...(isTold ? {} : { err: error }), round, code: codeOf(error) },
        `Round ${round}: no metrics are sent. ${reason}`,
      );
      const nothing: Evaluation = { metrics: {}, reason: reason.slice(0, 2_000) };
      await calls.ask(() => coordinator.evaluate(round, nothing, null, signal), signal).catch(ignoreOutOfStep);
    } finally {
      calls.tell(round, 'waiting', signal);
    }
  };
}
