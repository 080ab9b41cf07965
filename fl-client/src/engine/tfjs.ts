/**
 * The engine on TensorFlow.js, for CUDA by `@tensorflow/tfjs-node-gpu`, which is only used where an operator has
 * installed it. The code takes the TensorFlow.js module as an argument: any backend of TensorFlow.js computes the same.
 */
import { createRequire } from 'node:module';
import type * as TensorFlow from '@tensorflow/tfjs-core';
import { FoedusError } from '@foedus/connector/errors';
import { inputWidth } from '@foedus/fl-core';
import {
  type Engine,
  type EngineModel,
  type GradientSum,
  LARGEST_VALUE,
  type MicroBatch,
  type ModelPlan,
} from './engine.ts';
import { type LayerPlace, layerPlaces, shapeCheck } from './model-shape.ts';

export type TensorFlowModule = typeof TensorFlow;
type Tensor1D = TensorFlow.Tensor1D;
type Tensor2D = TensorFlow.Tensor2D;
interface Layer {
  readonly weights: Tensor2D;
  readonly bias: Tensor1D;
}

// Not of literal type: the package is not a dependency, so the type checker must not look for it.
const PACKAGE: string = '@tensorflow/tfjs-node-gpu';

/**
 * CUDA by TensorFlow.
 *
 * @throws FoedusError `engine-unavailable` when the package is not installed or cannot be loaded
 */
export async function createTfjsNodeGpuEngine(): Promise<Engine> {
  restoreRemovedNodeFunctions();
  let tf: TensorFlowModule;
  try {
    const module = (await import(PACKAGE)) as { default?: TensorFlowModule } & TensorFlowModule;
    tf = module.default ?? module;
    await tf.ready();
  } catch (cause) {
    throw unavailable(cause);
  }
  return createTfjsEngine(tf, `TensorFlow.js backend ${tf.getBackend()}`);
}

/** @param tf a TensorFlow.js whose backend is set and ready */
export function createTfjsEngine(tf: TensorFlowModule, device: string): Engine {
  return {
    name: 'tfjs-node-gpu',
    device,
    createModel: (plan, microBatch) => Promise.resolve(createModel(tf, plan, microBatch)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function unavailable(cause: unknown): FoedusError {
  const code = (cause as { code?: unknown }).code;
  const missing = code === 'ERR_MODULE_NOT_FOUND' && String(cause).includes(PACKAGE);
  return new FoedusError(
    'engine-unavailable',
    missing
      ? `The optional package ${PACKAGE} is not installed. With an NVIDIA card and CUDA 11: npm install ${PACKAGE}.`
      : `${PACKAGE} is installed, but does not load here: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
}

/** tfjs-node 4.22 calls two functions of node:util that Node 23 has removed. They are put back where they are missing. */
function restoreRemovedNodeFunctions(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  util['isArray'] ??= Array.isArray;
}

function createModel(tf: TensorFlowModule, plan: ModelPlan, microBatch: number): EngineModel {
  const places = layerPlaces(plan);
  const width = inputWidth(plan.features);
  const check = shapeCheck(plan, microBatch);
  const count = places.at(-1)?.end ?? 0;

  const compute = async (
    parameters: Float32Array,
    batch: MicroBatch,
    clipNorm: number | null,
  ): Promise<GradientSum> => {
    check.batch(parameters, batch);
    const result = tf.tidy(() =>
      gradientSum(tf, {
        layers: split(tf, parameters, places),
        inputs: tf.tensor2d(batch.inputs, [microBatch, width]),
        labels: tf.tensor2d(batch.labels, [microBatch, 1]),
        weights: tf.tensor2d(batch.weights, [microBatch, 1]),
        clipNorm,
        activation: plan.model.activation,
      }),
    );
    const values = await read(result);
    return { sum: values.subarray(0, count), lossSum: values[count] ?? 0, clipped: values[count + 1] ?? 0 };
  };

  return {
    microBatch,
    clippedGradientSum: compute,
    gradientSum: (parameters, batch) => compute(parameters, batch, null),
    logits: async (parameters, inputs) => {
      check.inputs(parameters, inputs);
      const result = tf.tidy(() => {
        const layers = split(tf, parameters, places);
        const { output } = forward(tf, layers, tf.tensor2d(inputs, [microBatch, width]), plan.model.activation);
        return tf.reshape<TensorFlow.Rank.R1>(output, [microBatch]);
      });
      return read(result);
    },
    dispose() {
      // Nothing outlives a call.
    },
  };
}

async function read(result: Tensor1D): Promise<Float32Array> {
  try {
    return Float32Array.from(await result.data());
  } finally {
    result.dispose();
  }
}

function split(tf: TensorFlowModule, parameters: Float32Array, places: readonly LayerPlace[]): Layer[] {
  return places.map(({ inputs, outputs, weights, bias, end }) => ({
    weights: tf.tensor2d(parameters.subarray(weights, bias), [inputs, outputs]),
    bias: tf.tensor1d(parameters.subarray(bias, end)),
  }));
}

/** Every value that is beyond LARGEST_VALUE, or no number, becomes 0. */
const bounded = (tf: TensorFlowModule, values: Tensor2D): Tensor2D =>
  tf.where(tf.lessEqual(tf.abs(values), LARGEST_VALUE), values, tf.zerosLike(values));

function forward(
  tf: TensorFlowModule,
  layers: readonly Layer[],
  inputs: Tensor2D,
  activation: ModelPlan['model']['activation'],
  keep: (values: Tensor2D) => Tensor2D = (values) => values,
): { output: Tensor2D; activations: Tensor2D[] } {
  const activations: Tensor2D[] = [];
  let current = inputs;
  for (const [i, { weights, bias }] of layers.entries()) {
    activations.push(current);
    current = tf.add(tf.matMul(current, weights), bias);
    if (i < layers.length - 1) current = keep(activation === 'relu' ? tf.relu(current) : tf.tanh(current));
  }
  return { output: current, activations };
}

/** One flat tensor: the gradients' sum [P], the loss' sum, the number of clipped examples. Called within tidy. */
function gradientSum(
  tf: TensorFlowModule,
  operands: {
    layers: readonly Layer[];
    inputs: Tensor2D;
    labels: Tensor2D;
    weights: Tensor2D;
    clipNorm: number | null;
    activation: ModelPlan['model']['activation'];
  },
): Tensor1D {
  const { layers, labels, weights, clipNorm, activation } = operands;
  // A gradient that is to be clipped must have a norm: see LARGEST_VALUE.
  const keep = (values: Tensor2D): Tensor2D => (clipNorm === null ? values : bounded(tf, values));
  const { output, activations } = forward(tf, layers, operands.inputs, activation, keep);
  const losses = tf.sub(tf.softplus(output), tf.mul(labels, output));
  const lossSum = flat(tf, tf.sum(tf.mul(losses, weights)));

  let delta: Tensor2D = keep(tf.mul(tf.sub(tf.sigmoid(output), labels), weights));
  const deltas: Tensor2D[] = [];
  for (const [i, { weights: ofLayer }] of [...layers.entries()].toReversed()) {
    deltas.unshift(delta);
    const activated = activations[i];
    if (i === 0 || activated === undefined) break;
    delta = keep(tf.mul(tf.matMul(delta, ofLayer, false, true), slope(tf, activated, activation)));
  }

  let factor: TensorFlow.Tensor = tf.scalar(1);
  let clipped = tf.zeros<TensorFlow.Rank.R1>([1]);
  if (clipNorm !== null) {
    const norm = gradientNorms(tf, activations, deltas);
    clipped = flat(tf, tf.sum(tf.mul(tf.cast(tf.greater(norm, clipNorm), 'float32'), weights)));
    factor = tf.div(clipNorm, tf.maximum(norm, clipNorm));
  }

  const parts = deltas.flatMap((ofLayer, i) => {
    const scaled = tf.mul<Tensor2D>(ofLayer, factor);
    return [flat(tf, tf.matMul(activations[i] ?? scaled, scaled, true, false)), tf.sum<Tensor1D>(scaled, 0)];
  });
  return tf.concat1d([...parts, lossSum, clipped]);
}

/**
 * [B, 1]: √Σ over layers of ‖δ‖²(‖a‖² + 1). Each is divided by its largest value before it is squared: the square of a
 * small one would be 0, and a gradient with a large `a` count as short.
 */
function gradientNorms(tf: TensorFlowModule, activations: readonly Tensor2D[], deltas: readonly Tensor2D[]): Tensor2D {
  const norms = deltas.map((delta, i) => {
    const largest = tf.max<Tensor2D>(tf.abs(delta), 1, true);
    const squares = rowSums(tf, tf.square(tf.div<Tensor2D>(delta, orOne(tf, largest))));
    return tf.mul<Tensor2D>(
      tf.sqrt(tf.mul(squares, tf.add(rowSums(tf, tf.square(activations[i] ?? delta)), 1))),
      largest,
    );
  });
  const largest = norms.reduce((one, other) => tf.maximum(one, other));
  const squares = norms.map((norm) => tf.square(tf.div<Tensor2D>(norm, orOne(tf, largest))));
  return tf.mul(tf.sqrt(tf.addN(squares)), largest);
}

/** 1 where it is 0, so that it can be divided by. */
const orOne = (tf: TensorFlowModule, values: Tensor2D): Tensor2D =>
  tf.where(tf.greater(values, 0), values, tf.onesLike(values));

/** act'(z) as a function of act(z). */
function slope(tf: TensorFlowModule, activated: Tensor2D, activation: ModelPlan['model']['activation']): Tensor2D {
  if (activation === 'relu') return tf.cast(tf.greater(activated, 0), 'float32');
  return tf.sub(1, tf.square(activated));
}

const rowSums = (tf: TensorFlowModule, matrix: Tensor2D): Tensor2D => tf.sum<Tensor2D>(matrix, 1, true);

const flat = (tf: TensorFlowModule, tensor: TensorFlow.Tensor): Tensor1D =>
  tf.reshape<TensorFlow.Rank.R1>(tensor, [tensor.size]);
