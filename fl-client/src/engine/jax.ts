/**
 * The engines on jax-js: compiled to WebAssembly for the CPU, or to WebGPU shaders.
 *
 * jax-js counts references: a function consumes the arrays it is given, `.ref` keeps one for another use. Every array
 * below is used once without `.ref`, its last use.
 */
import { type Device, init, jit, nn, numpy as np } from '@jax-js/jax';
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
import { provideWebGpu } from './webgpu.ts';

type Activation = ModelPlan['model']['activation'];

interface Layer {
  readonly weights: np.Array;
  readonly bias: np.Array;
}

/** CPU by WebAssembly with SIMD: needs nothing, works everywhere. */
export async function createJaxWasmEngine(): Promise<Engine> {
  await init('wasm');
  return engineOn('wasm', 'jax-wasm', 'CPU (WebAssembly)');
}

/**
 * Any GPU with Vulkan, Metal or Direct3D 12, by the optional package `webgpu`.
 *
 * @throws FoedusError `engine-unavailable` when the package or an adapter is missing
 */
export async function createJaxWebGpuEngine(): Promise<Engine> {
  const adapter = await provideWebGpu();
  const devices = await init('webgpu');
  if (!devices.includes('webgpu')) throw adapter.unusable();
  return engineOn('webgpu', 'jax-webgpu', adapter.description);
}

function engineOn(device: Device, name: 'jax-wasm' | 'jax-webgpu', description: string): Engine {
  return {
    name,
    device: description,
    createModel: (plan, microBatch) => Promise.resolve(createModel(device, plan, microBatch)),
    // jax-js keeps one backend per device for the life of the thread.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function createModel(device: Device, plan: ModelPlan, microBatch: number): EngineModel {
  const places = layerPlaces(plan);
  const { activation } = plan.model;
  const width = inputWidth(plan.features);
  const check = shapeCheck(plan, microBatch);
  const count = places.at(-1)?.end ?? 0;
  const array = (values: Float32Array, shape: number[]): np.Array =>
    np.array(values as Float32Array<ArrayBuffer>, { shape, device });

  const forwardOnly = jit((parameters: np.Array, inputs: np.Array): np.Array => {
    const { output, activations } = forward(split(parameters, places), inputs, activation);
    for (const unused of activations) unused.dispose();
    return output.reshape([microBatch]);
  });
  const clippedSum = jit(
    (parameters: np.Array, inputs: np.Array, labels: np.Array, weights: np.Array, clipNorm: np.Array): np.Array =>
      gradientSum({ parameters, inputs, labels, weights, clipNorm, places, activation }),
  );
  const plainSum = jit((parameters: np.Array, inputs: np.Array, labels: np.Array, weights: np.Array): np.Array =>
    gradientSum({ parameters, inputs, labels, weights, clipNorm: null, places, activation }),
  );

  const operands = (parameters: Float32Array, batch: MicroBatch): [np.Array, np.Array, np.Array, np.Array] => {
    check.batch(parameters, batch);
    return [
      array(parameters, [count]),
      array(batch.inputs, [microBatch, width]),
      array(batch.labels, [microBatch, 1]),
      array(batch.weights, [microBatch, 1]),
    ];
  };
  const unpack = async (result: np.Array): Promise<GradientSum> => {
    const values = (await result.data()) as Float32Array;
    return { sum: values.subarray(0, count), lossSum: values[count] ?? 0, clipped: values[count + 1] ?? 0 };
  };

  return {
    microBatch,
    clippedGradientSum: async (parameters, batch, clipNorm) =>
      unpack(clippedSum(...operands(parameters, batch), array(Float32Array.of(clipNorm), [1, 1]))),
    gradientSum: async (parameters, batch) => unpack(plainSum(...operands(parameters, batch))),
    logits: async (parameters, inputs) => {
      check.inputs(parameters, inputs);
      const result = forwardOnly(array(parameters, [count]), array(inputs, [microBatch, width]));
      return (await result.data()) as Float32Array;
    },
    dispose() {
      for (const compiled of [forwardOnly, clippedSum, plainSum]) compiled.dispose();
    },
  };
}

function split(parameters: np.Array, places: readonly LayerPlace[]): Layer[] {
  const layers = places.map(({ inputs, outputs, weights, bias, end }) => ({
    weights: parameters.ref.slice([weights, bias]).reshape([inputs, outputs]),
    bias: parameters.ref.slice([bias, end]),
  }));
  parameters.dispose();
  return layers;
}

/** Every value that is beyond LARGEST_VALUE, or no number, becomes 0; consumes it. */
const bounded = (values: np.Array): np.Array =>
  np.where(np.lessEqual(np.absolute(values.ref), LARGEST_VALUE), values, 0);

/** Consumes everything; returns the logits [B, 1] and each layer's input [B, in], which `keep` has seen. */
function forward(
  layers: readonly Layer[],
  inputs: np.Array,
  activation: Activation,
  keep: (values: np.Array) => np.Array = (values) => values,
): { output: np.Array; activations: np.Array[] } {
  const activations: np.Array[] = [];
  let current = inputs;
  for (const [i, { weights, bias }] of layers.entries()) {
    activations.push(current.ref);
    const sums = np.matmul(current, weights).add(bias);
    if (i === layers.length - 1) return { output: sums, activations };
    current = keep(activation === 'relu' ? nn.relu(sums) : np.tanh(sums));
  }
  throw new RangeError('A model has at least one layer.');
}

/** act'(z) as a function of act(z); consumes it. */
function slope(activated: np.Array, activation: Activation): np.Array {
  if (activation === 'relu') return np.where(np.greater(activated, 0), 1, 0);
  return np.square(activated).neg().add(1);
}

/** One flat array: the gradients' sum [P], the loss' sum, the number of clipped examples. */
function gradientSum(operands: {
  parameters: np.Array;
  inputs: np.Array;
  labels: np.Array;
  weights: np.Array;
  clipNorm: np.Array | null;
  places: readonly LayerPlace[];
  activation: Activation;
}): np.Array {
  const { labels, weights, clipNorm, activation } = operands;
  // A gradient that is to be clipped must have a norm: see LARGEST_VALUE.
  const keep = clipNorm === null ? (values: np.Array): np.Array => values : bounded;
  const layers = split(operands.parameters, operands.places);
  const { output, activations } = forward(
    layers.map((layer) => ({ weights: layer.weights.ref, bias: layer.bias })),
    operands.inputs,
    activation,
    keep,
  );
  const losses = nn.softplus(output.ref).sub(labels.ref.mul(output.ref));
  const lossSum = np.sum(losses.mul(weights.ref)).reshape([1]);

  // δ of the last layer is σ(z) − y; of an earlier one (δ Wᵀ) ⊙ act'(z).
  let delta = keep(nn.sigmoid(output).sub(labels).mul(weights.ref));
  const deltas: np.Array[] = [];
  for (let i = layers.length - 1; i > 0; i--) {
    deltas.unshift(delta);
    const through = np.matmul(delta.ref, np.transpose(layerAt(layers, i).weights));
    delta = keep(through.mul(slope(arrayAt(activations, i).ref, activation)));
  }
  deltas.unshift(delta);
  layerAt(layers, 0).weights.dispose();

  let factor: np.Array | null = null;
  let clipped = np.array([0]);
  if (clipNorm !== null) {
    const norm = gradientNorms(activations, deltas);
    clipped.dispose();
    clipped = np.sum(np.where(np.greater(norm.ref, clipNorm.ref), 1, 0).mul(weights.ref)).reshape([1]);
    // min(1, C/‖g‖) without dividing by 0
    factor = clipNorm.ref.div(np.maximum(norm, clipNorm));
  }
  weights.dispose();

  const parts: np.Array[] = [];
  for (const [i, ofLayer] of deltas.entries()) {
    const scaled = factor === null ? ofLayer : ofLayer.mul(factor.ref);
    parts.push(np.matmul(np.transpose(arrayAt(activations, i)), scaled.ref).reshape([-1]));
    parts.push(np.sum(scaled, 0));
  }
  factor?.dispose();
  return np.concatenate([...parts, lossSum, clipped]);
}

/**
 * [B, 1]: √Σ over layers of ‖δ‖²(‖a‖² + 1); keeps its arguments. Each is divided by its largest value before it is
 * squared: the square of a small one would be 0, and a gradient with a large `a` count as short.
 */
function gradientNorms(activations: readonly np.Array[], deltas: readonly np.Array[]): np.Array {
  const norms = deltas.map((delta, i) => {
    const largest = np.max(np.absolute(delta.ref), 1, { keepdims: true });
    const part = np.square(delta.ref.div(orOne(largest.ref)));
    return np.sqrt(rowSums(part).mul(rowSums(np.square(arrayAt(activations, i).ref)).add(1))).mul(largest);
  });
  const largest = norms.map(({ ref }) => ref).reduce((one, other) => np.maximum(one, other));
  const unit = orOne(largest.ref);
  const squares = norms.map((norm) => np.square(norm.div(unit.ref))).reduce((sum, square) => sum.add(square));
  unit.dispose();
  return np.sqrt(squares).mul(largest);
}

/** 1 where it is 0, so that it can be divided by; consumes it. */
const orOne = (values: np.Array): np.Array => np.where(np.greater(values.ref, 0), values, 1);

const rowSums = (matrix: np.Array): np.Array => np.sum(matrix, 1, { keepdims: true });

function arrayAt(arrays: readonly np.Array[], i: number): np.Array {
  const array = arrays[i];
  if (array === undefined) throw new RangeError(`No array ${i}.`);
  return array;
}

function layerAt(layers: readonly Layer[], i: number): Layer {
  const layer = layers[i];
  if (layer === undefined) throw new RangeError(`No layer ${i}.`);
  return layer;
}
