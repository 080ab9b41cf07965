/** Runs of the experiment: the product's engine and strategies around the benchmark's model and schedule. */
import type { Engine, EngineModel } from '@foedus/fl-client/engine';
import { emptyBatch, fillBatch, type LocalPlan, microBatchSize, trainRound } from '@foedus/fl-client/training';
import { createRunningSum, type ModelPart, strategyOf } from '@foedus/fl-coordinator/strategy';
import { areaUnderRoc, type SessionPlan, type StrategyParameters } from '@foedus/fl-core';
import { type Heart, type Part, WIDTH } from './data.ts';
import { type SeededRandom, seededRandom } from './random.ts';
import { createSecureSum } from './secure-sum.ts';

export const PARAMETERS = WIDTH + 1;
export const ROUNDS = 15;
/** Rows in a step of the benchmark. */
const BATCH = 4;
const STEPS = 100;
/** What the benchmark calls an epoch's worth of pooled or local training. */
const EPOCHS = 50;
/** PyTorch's defaults, which the benchmark's baselines use. */
const ADAM = { learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

export interface Federated {
  readonly strategy: StrategyParameters;
  readonly clientLearningRate: number;
  /**
   * `benchmark`: batches of four from a permutation that carries over from round to round, weights by rows.
   * `foedus`: Poisson samples of four rows on average, every organisation of the same weight.
   */
  readonly schedule: 'benchmark' | 'foedus';
  /** Sums by the secure-aggregation protocol. */
  readonly isSecure?: boolean;
  /** DP-SGD with these settings in place of the benchmark's batch and steps. */
  readonly privacy?: PrivateTraining;
}

export interface PrivateTraining {
  readonly noiseMultiplier: number;
  readonly clipNorm: number;
  readonly samplingRate: number;
  readonly steps: number;
  readonly delta: number;
}

export interface Scores {
  /** Mean of the four hospitals' test accuracies. */
  readonly meanAccuracy: number;
  /** Accuracy on all test rows, scaled as pooled. */
  readonly pooledAccuracy: number;
  /** AUC on the same. */
  readonly pooledAuc: number;
}

export interface Run extends Scores {
  /** float32 [14] */
  readonly parameters: Float32Array;
}

/** The model is compiled once for each batch size. */
export interface Laboratory extends Disposable {
  federated(setting: Federated, seed: number): Promise<Run>;
  /** @param part the rows to train on alone, with Adam for 50 epochs */
  alone(part: Part, seed: number): Promise<Run>;
}

export function createLaboratory(engine: Engine, heart: Heart): Laboratory {
  const models = new Map<number, Promise<EngineModel>>();
  const modelFor = (microBatch: number): Promise<EngineModel> => {
    const known = models.get(microBatch) ?? engine.createModel(PLAN, microBatch);
    models.set(microBatch, known);
    return known;
  };
  const scored = async (parameters: Float32Array): Promise<Run> => {
    const model = await modelFor(64);
    const accuracies: number[] = [];
    for (const centre of heart.centres) accuracies.push(accuracyOf(await logitsOf(model, parameters, centre), centre));
    const logits = await logitsOf(model, parameters, heart.pooled);
    return {
      parameters,
      meanAccuracy: accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length,
      pooledAccuracy: accuracyOf(logits, heart.pooled),
      pooledAuc: areaUnderRoc(labelsOf(heart.pooled), logits) ?? Number.NaN,
    };
  };

  return {
    async federated(setting, seed) {
      const { strategy, schedule, isSecure = false } = setting;
      const next = strategyOf(strategy);
      const rows = heart.centres.reduce((sum, { train }) => sum + train.length, 0);
      const members = heart.centres.length;
      const weights = heart.centres.map(({ train }) => (schedule === 'foedus' ? 1 : (members * train.length) / rows));
      const randoms = heart.centres.map((_, i) => seededRandom(`heart ${seed} centre ${i}`));
      const steps = heart.centres.map((centre, i) => stepsOf(centre, randoms[i]!));
      const rounding = seededRandom(`heart ${seed} rounding`);
      const secure = isSecure ? createSecureSum(members, PARAMETERS) : undefined;
      let server: ModelPart = { parameters: initial(seed), optimizer: [] };
      for (let round = 1; round <= ROUNDS; round++) {
        const updates: Float32Array[] = [];
        for (const [i, centre] of heart.centres.entries()) {
          const weight = weights[i]!;
          const update =
            schedule === 'foedus'
              ? await foedusUpdate(setting, server.parameters, centre, randoms[i]!, modelFor)
              : await benchmarkUpdate(setting, server.parameters, steps[i]!, await modelFor(BATCH));
          updates.push(update.map((value) => value * weight));
        }
        const sum = createRunningSum(PARAMETERS);
        if (secure === undefined) for (const update of updates) sum.add(update);
        const total =
          secure === undefined ? sum.sum : await secure.sum(round, server.parameters, updates, rounding.fill);
        server = next(server, { sum: total, updates: members });
      }
      return scored(server.parameters);
    },

    async alone(part, seed) {
      const model = await modelFor(BATCH);
      const step = stepsOf(part, seededRandom(`heart ${seed} alone ${part.train.length}`));
      const parameters = initial(seed);
      const first = new Float64Array(PARAMETERS);
      const second = new Float64Array(PARAMETERS);
      const total = EPOCHS * Math.ceil(part.train.length / BATCH);
      for (let t = 1; t <= total; t++) {
        const gradient = await step(model, parameters);
        const rate = (ADAM.learningRate * Math.sqrt(1 - ADAM.beta2 ** t)) / (1 - ADAM.beta1 ** t);
        const epsilon = ADAM.epsilon * Math.sqrt(1 - ADAM.beta2 ** t);
        for (let i = 0; i < PARAMETERS; i++) {
          first[i] = ADAM.beta1 * first[i]! + (1 - ADAM.beta1) * gradient[i]!;
          second[i] = ADAM.beta2 * second[i]! + (1 - ADAM.beta2) * gradient[i]! ** 2;
          parameters[i] = parameters[i]! - (rate * first[i]!) / (Math.sqrt(second[i]!) + epsilon);
        }
      }
      return scored(parameters);
    },

    [Symbol.dispose]() {
      for (const model of models.values()) void model.then((one) => one.dispose());
    },
  };
}

/** Logistic regression 13 → 1: a network without hidden layers. */
const PLAN: Pick<SessionPlan, 'features' | 'model'> = {
  features: Array.from({ length: WIDTH }, (_, i) => ({
    kind: 'number',
    column: `input ${i}`,
    center: 0,
    scale: 1,
  })),
  model: { kind: 'mlp', hidden: [], activation: 'relu', seed: '0'.repeat(64) },
};

/** Weights and bias uniform in ±1/√13, as PyTorch's linear layer begins. */
function initial(seed: number): Float32Array {
  const { uniform } = seededRandom(`heart ${seed} initial`);
  return Float32Array.from({ length: PARAMETERS }, () => (2 * uniform() - 1) / Math.sqrt(WIDTH));
}

/** @returns gradients of the mean loss of the next batch: permutation after permutation, the last batch of each smaller */
function stepsOf({ dataset, train }: Part, random: SeededRandom) {
  const batch = emptyBatch(BATCH, WIDTH);
  let order = new Uint32Array(0);
  let at = 0;
  return async (model: EngineModel, parameters: Float32Array): Promise<Float32Array> => {
    if (at >= order.length) {
      order = random.permutation(train.length).map((i) => train[i]!);
      at = 0;
    }
    const rows = order.subarray(at, at + BATCH);
    at += BATCH;
    fillBatch(batch, dataset, rows);
    const { sum } = await model.gradientSum(parameters, batch);
    return sum.map((value) => value / rows.length);
  };
}

async function benchmarkUpdate(
  { clientLearningRate }: Federated,
  parameters: Float32Array,
  step: ReturnType<typeof stepsOf>,
  model: EngineModel,
): Promise<Float32Array> {
  const local = Float32Array.from(parameters);
  for (let done = 0; done < STEPS; done++) {
    const gradient = await step(model, local);
    for (let i = 0; i < local.length; i++) local[i] = local[i]! - clientLearningRate * gradient[i]!;
  }
  return local.map((value, i) => value - parameters[i]!);
}

/** A round exactly as a client trains it, but for the source of randomness. */
async function foedusUpdate(
  { clientLearningRate, privacy }: Federated,
  parameters: Float32Array,
  centre: Part,
  { fill }: SeededRandom,
  modelFor: (microBatch: number) => Promise<EngineModel>,
): Promise<Float32Array> {
  const samplingRate = privacy?.samplingRate ?? BATCH / centre.train.length;
  const plan: LocalPlan = {
    local: { steps: privacy?.steps ?? STEPS, samplingRate, learningRate: clientLearningRate },
    privacy:
      privacy === undefined
        ? null
        : {
            unit: 'record',
            adjacency: 'add-remove',
            noiseMultiplier: privacy.noiseMultiplier,
            clipNorm: privacy.clipNorm,
            delta: privacy.delta,
          },
  };
  const model = await modelFor(microBatchSize(samplingRate, centre.train.length, WIDTH));
  const { update } = await trainRound(model, plan, parameters, centre, { random: fill });
  return update;
}

const labelsOf = ({ dataset, test }: Part): Float32Array => Float32Array.from(test, (row) => dataset.labels[row]!);

async function logitsOf(model: EngineModel, parameters: Float32Array, part: Part): Promise<Float64Array> {
  const batch = emptyBatch(model.microBatch, WIDTH);
  const logits = new Float64Array(part.test.length);
  for (let from = 0; from < part.test.length; from += model.microBatch) {
    const rows = part.test.subarray(from, from + model.microBatch);
    fillBatch(batch, part.dataset, rows);
    logits.set((await model.logits(parameters, batch.inputs)).subarray(0, rows.length), from);
  }
  return logits;
}

function accuracyOf(logits: Float64Array, part: Part): number {
  const labels = labelsOf(part);
  return logits.reduce((right, logit, i) => right + ((logit > 0 ? 1 : 0) === labels[i] ? 1 : 0), 0) / logits.length;
}
