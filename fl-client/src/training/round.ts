/** One participant's part of a round, and the evaluation of a model on its held-out rows. */
import { FoedusError } from '@foedus/connector/errors';
import {
  areaUnderRoc,
  logLoss,
  type ScoreHistogram,
  scoreHistogram,
  type RecordPrivacy,
  type SessionPlan,
} from '@foedus/fl-core';
import { type Dataset, emptyBatch, fillBatch } from '../data/dataset.ts';
import type { EngineModel, GradientSum, MicroBatch } from '../engine/engine.ts';
import { addGaussianNoise, type FillRandom, poissonSample, systemRandom } from './random.ts';

export type LocalPlan = Pick<SessionPlan, 'local' | 'privacy'>;

export interface RoundHooks {
  /** Called after each step, and asked before each whether to go on: throw to stop. */
  readonly onStep?: (stepsDone: number, steps: number) => void;
  /** @default the operating system's CSPRNG; anything else makes the privacy guarantee void */
  readonly random?: FillRandom;
}

export interface RoundResult {
  /** float32 [P]: the local parameters after the round's steps. */
  readonly parameters: Float32Array;
  /** float32 [P]: local − global, what is sent. */
  readonly update: Float32Array;
  readonly seconds: number;
}

/**
 * How many rows a call of the engine takes for a plan: nearly every Poisson sample fits into one (mean + 4 standard
 * deviations), within 16 MB of inputs.
 */
export function microBatchSize(samplingRate: number, rows: number, width: number): number {
  const mean = samplingRate * rows;
  const fits = Math.ceil((mean + 4 * Math.sqrt(mean)) / 32) * 32;
  const affordable = Math.floor(4_194_304 / width / 32) * 32;
  return Math.max(32, Math.min(fits, affordable, 2_048));
}

/**
 * More noise than is accounted for: float32 rounds an example's norm, and sums, by up to some 10⁻⁴ of C, and by that
 * much neighbours may differ further than C.
 */
export const ROUNDING_MARGIN = 1 + 2 ** -9;

/**
 * `plan.local.steps` steps of DP-SGD (Abadi et al. 2016, Algorithm 1): a Poisson sample of rate q, every example's
 * gradient clipped to C, N(0, σ²C²) noise on the sum, a step of η along it divided by the expected sample size q·n, or by
 * the plan's own divisor.
 * An empty sample is a step of noise alone. Without privacy of records: the same without clipping and noise; what hides a
 * whole organisation is added to its update, under the masks.
 *
 * Unit of privacy: one row of `train`; adjacency: one row added or removed, the others keeping their numbers (splitRows).
 * Without a divisor in the plan n is taken to be known, as in other implementations of DP-SGD: from P values of noise it
 * can be told to about n/√2P.
 *
 * Under privacy of records nothing fails by what is in the rows, for a failure is seen and not paid for: whoever sends
 * the parameters could make them overflow for the rows that it looks for. A parameter that is no finite number any
 * more has not moved.
 *
 * @param parameters float32 [P], the round's global parameters; not changed
 * @throws FoedusError `training-diverged` without privacy of records, when a parameter is no finite number any more
 */
export async function trainRound(
  model: EngineModel,
  plan: LocalPlan,
  parameters: Float32Array,
  data: { readonly dataset: Dataset; readonly train: Uint32Array },
  hooks: RoundHooks = {},
): Promise<RoundResult> {
  const { steps, samplingRate, learningRate, divisor } = plan.local;
  const { onStep, random = systemRandom } = hooks;
  const start = performance.now();
  const privacy = recordPrivacyOf(plan);
  const local = Float32Array.from(parameters);
  const batch = emptyBatch(model.microBatch, data.dataset.width);
  const rate = learningRate / (divisor ?? samplingRate * data.train.length);
  const deviation = privacy === null ? 0 : privacy.noiseMultiplier * privacy.clipNorm * ROUNDING_MARGIN;

  for (let step = 0; step < steps; step++) {
    const sample = poissonSample(data.train, samplingRate, random);
    const sum = await sumOver(model, privacy, local, { ...data, sample, batch });
    if (privacy !== null) addGaussianNoise(sum, deviation, random);
    for (let i = 0; i < local.length; i++) local[i] = (local[i] ?? 0) - rate * (sum[i] ?? 0);
    onStep?.(step + 1, steps);
  }
  const update = local.map((value, i) => value - (parameters[i] ?? 0));
  if (privacy !== null) stay(parameters, local, update);
  if (!update.every(Number.isFinite)) {
    throw new FoedusError(
      'training-diverged',
      `After ${steps} steps a parameter is no finite number any more. The learning rate ${learningRate} is too large ` +
        "for these rows, or a number's scale in the plan is far from the data's.",
    );
  }
  return { parameters: local, update, seconds: (performance.now() - start) / 1000 };
}

/** Puts back what is no finite number. */
function stay(parameters: Float32Array, local: Float32Array, update: Float32Array): void {
  for (const [i, moved] of update.entries()) {
    if (Number.isFinite(moved)) continue;
    local[i] = parameters[i] ?? 0;
    update[i] = 0;
  }
}

const recordPrivacyOf = ({ privacy }: LocalPlan): RecordPrivacy | null => (privacy?.unit === 'record' ? privacy : null);

/** The sum of the sample's gradients, as many micro-batches as it takes. float64 [P]. */
async function sumOver(
  model: EngineModel,
  privacy: RecordPrivacy | null,
  parameters: Float32Array,
  work: { readonly dataset: Dataset; readonly sample: Uint32Array; readonly batch: MicroBatch },
): Promise<Float64Array> {
  const total = new Float64Array(parameters.length);
  for (let from = 0; from < work.sample.length; from += model.microBatch) {
    const rows = work.sample.subarray(from, from + model.microBatch);
    fillBatch(work.batch, work.dataset, rows);
    if (privacy === null) {
      add(total, await model.gradientSum(parameters, work.batch));
      continue;
    }
    const { clipNorm } = privacy;
    const clipped = await model.clippedGradientSum(parameters, work.batch, clipNorm);
    if (clipped.sum.every(Number.isFinite)) {
      add(total, clipped);
      continue;
    }
    // An engine whose arithmetic knows no NaN (WGSL need not) can let one row spoil the others' sum: each on its own.
    for (let row = 0; row < rows.length; row++) {
      fillBatch(work.batch, work.dataset, rows.subarray(row, row + 1));
      const alone = await model.clippedGradientSum(parameters, work.batch, clipNorm);
      if (alone.sum.every(Number.isFinite)) add(total, alone);
    }
  }
  return total;
}

function add(total: Float64Array, { sum }: GradientSum): void {
  for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + (sum[i] ?? 0);
}

export interface EvaluationResult {
  /** null where there are not both positives and negatives. */
  readonly auc: number | null;
  /** In nats; null without rows. */
  readonly logLoss: number | null;
}

/** What is evaluated on: rows held out of training. */
interface Rows {
  readonly dataset: Dataset;
  readonly rows: Uint32Array;
}

/**
 * @param parameters float32 [P]
 * @param onBatch called after each batch; throw to stop
 * @throws FoedusError `training-diverged` when the model's output is not a number
 */
export async function evaluate(
  model: EngineModel,
  parameters: Float32Array,
  data: Rows,
  onBatch?: () => void,
): Promise<EvaluationResult> {
  const { labels, logits } = await scored(model, parameters, data, onBatch);
  if (logits.some(Number.isNaN)) {
    throw new FoedusError('training-diverged', "The model's output is not a number for some rows: it has diverged.");
  }
  return { auc: areaUnderRoc(labels, logits), logLoss: logLoss(labels, logits.map(logistic)) };
}

/**
 * The same rows by label and score, in equal bins of the predicted probability; exact. It is what noise is added to, so
 * it never fails by what is in the rows: a score that is no number counts as ½.
 *
 * @param bins 2…1024
 */
export async function countScores(
  model: EngineModel,
  parameters: Float32Array,
  data: Rows & { readonly bins: number },
  onBatch?: () => void,
): Promise<ScoreHistogram> {
  const { labels, logits } = await scored(model, parameters, data, onBatch);
  const probabilities = logits.map(logistic).map((p) => (Number.isNaN(p) ? 0.5 : p));
  return scoreHistogram(labels, probabilities, data.bins);
}

const logistic = (z: number): number => 1 / (1 + Math.exp(-z));

async function scored(
  model: EngineModel,
  parameters: Float32Array,
  { dataset, rows }: Rows,
  onBatch?: () => void,
): Promise<{ readonly labels: Float32Array; readonly logits: Float64Array }> {
  const labels = Float32Array.from(rows, (row) => dataset.labels[row] ?? 0);
  const scores = new Float64Array(rows.length);
  const batch = emptyBatch(model.microBatch, dataset.width);
  for (let from = 0; from < rows.length; from += model.microBatch) {
    const part = rows.subarray(from, from + model.microBatch);
    fillBatch(batch, dataset, part);
    const logits = await model.logits(parameters, batch.inputs);
    scores.set(logits.subarray(0, part.length), from);
    onBatch?.();
  }
  return { labels, logits: scores };
}
