import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parameterCount } from '@foedus/fl-core';
import type { Engine, MicroBatch, ModelPlan } from './engine.ts';
import { createJaxWasmEngine, createJaxWebGpuEngine } from './jax.ts';
import { layerPlaces } from './model-shape.ts';
import { createTfjsEngine, type TensorFlowModule } from './tfjs.ts';

function planOf(inputs: number, hidden: number[], activation: 'relu' | 'tanh'): ModelPlan {
  return {
    features: [{ kind: 'hashed-category', column: 'c', buckets: inputs }],
    model: { kind: 'mlp', hidden, activation, seed: '00'.repeat(32) },
  };
}

/** The model written down a second time: one example, float64, loops. */
function logit(plan: ModelPlan, parameters: ArrayLike<number>, x: ArrayLike<number>): number {
  const places = layerPlaces(plan);
  let current = Array.from(x);
  for (const [l, { outputs, weights, bias }] of places.entries()) {
    const sums = Array.from({ length: outputs }, (_, o) =>
      current.reduce((sum, a, i) => sum + a * (parameters[weights + i * outputs + o] ?? 0), parameters[bias + o] ?? 0),
    );
    const activate = plan.model.activation === 'relu' ? (z: number) => Math.max(z, 0) : Math.tanh;
    current = l < places.length - 1 ? sums.map(activate) : sums;
  }
  return current[0] ?? Number.NaN;
}

function loss(plan: ModelPlan, parameters: ArrayLike<number>, x: ArrayLike<number>, y: number): number {
  const z = logit(plan, parameters, x);
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - y * z;
}

/** One example's gradient by central differences of the float64 model: no derivative is written down in it. */
function gradient(plan: ModelPlan, parameters: Float32Array, x: Float32Array, y: number): Float64Array {
  const point = Float64Array.from(parameters);
  const h = 1e-6;
  return point.map((value, i) => {
    point[i] = value + h;
    const above = loss(plan, point, x, y);
    point[i] = value - h;
    const below = loss(plan, point, x, y);
    point[i] = value;
    return (above - below) / (2 * h);
  });
}

/** Σ of materialised, clipped per-example gradients. */
function expectedSum(plan: ModelPlan, parameters: Float32Array, batch: MicroBatch, clipNorm: number) {
  const width = batch.inputs.length / batch.labels.length;
  const sum = new Float64Array(parameters.length);
  let lossSum = 0;
  let clipped = 0;
  for (const [row, weight] of batch.weights.entries()) {
    if (weight === 0) continue;
    const x = batch.inputs.subarray(row * width, (row + 1) * width);
    const y = batch.labels[row] ?? 0;
    const g = gradient(plan, parameters, x, y);
    const norm = Math.hypot(...g);
    if (norm > clipNorm) clipped++;
    for (const [i, value] of g.entries()) sum[i] = (sum[i] ?? 0) + value * Math.min(1, clipNorm / norm);
    lossSum += loss(plan, parameters, x, y);
  }
  return { sum, lossSum, clipped };
}

function closeTo(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = Math.max(...Array.from(expected, (value, i) => Math.abs((actual[i] ?? Number.NaN) - value)));
  expect(worst).toBeLessThan(tolerance);
}

/**
 * Values in ±1.5 that follow from a seed and are never near 0: at the kink of relu, where generators like to go, a
 * derivative and a difference quotient differ.
 */
function spread(seed: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const part = Math.sin((seed % 10_007) + i * 12.9898) * 43_758.5453;
    const unit = part - Math.floor(part);
    return (unit < 0.5 ? -1 : 1) * (0.1 + 1.4 * Math.abs(2 * unit - 1));
  });
}

const problems = fc
  .record({
    inputs: fc.integer({ min: 2, max: 6 }),
    hidden: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 3 }),
    activation: fc.constantFrom('relu' as const, 'tanh' as const),
    rows: fc.integer({ min: 1, max: 6 }),
  })
  .chain(({ inputs, hidden, activation, rows }) => {
    const plan = planOf(inputs, hidden, activation);
    const floats = (length: number) => fc.nat().map((seed) => spread(seed, length));
    const bits = fc
      .array(fc.constantFrom(0, 1), { minLength: rows, maxLength: rows })
      .map((values) => Float32Array.from(values));
    return fc.record({
      plan: fc.constant(plan),
      rows: fc.constant(rows),
      parameters: floats(parameterCount(plan)),
      batch: fc.record({ inputs: floats(rows * inputs), labels: bits, weights: bits }),
      clipNorm: fc.double({ min: 0.05, max: 3, noNaN: true }),
    });
  });

const softwareTensorFlow = async (): Promise<Engine> => {
  const module = (await import('@tensorflow/tfjs-core')) as { default?: TensorFlowModule } & TensorFlowModule;
  await import('@tensorflow/tfjs-backend-cpu');
  const tf = module.default ?? module;
  await tf.setBackend('cpu');
  await tf.ready();
  return createTfjsEngine(tf, 'TensorFlow.js backend cpu');
};

const reasonAgainstWebGpu = await createJaxWebGpuEngine().then(
  () => undefined,
  (error: unknown) => String(error),
);
if (reasonAgainstWebGpu !== undefined) console.log(`skipped: engine jax-webgpu: ${reasonAgainstWebGpu}`);

describe.each([
  { name: 'jax-wasm', create: createJaxWasmEngine, runs: 25, skip: false },
  { name: 'jax-webgpu', create: createJaxWebGpuEngine, runs: 10, skip: reasonAgainstWebGpu !== undefined },
  { name: 'tfjs', create: softwareTensorFlow, runs: 25, skip: false },
])('the engine $name', ({ create, runs, skip }) => {
  let engine: Engine;
  beforeAll(async () => {
    if (!skip) engine = await create();
  });
  afterAll(async () => {
    if (!skip) await engine[Symbol.asyncDispose]();
  });

  test.skipIf(skip)('sums the clipped gradients of single examples, whatever the shape of the model', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ plan, rows, parameters, batch, clipNorm }) => {
        const model = await engine.createModel(plan, rows);
        const expected = expectedSum(plan, parameters, batch, clipNorm);
        const actual = await model.clippedGradientSum(parameters, batch, clipNorm);
        closeTo(actual.sum, expected.sum, 2e-4 * rows);
        expect(Math.abs(actual.lossSum - expected.lossSum)).toBeLessThan(1e-3);
        expect(Math.abs(actual.clipped - expected.clipped)).toBeLessThanOrEqual(0);
        model.dispose();
      }),
      { numRuns: runs },
    );
  });

  test.skipIf(skip)(
    'clips to the norm whatever the parameters are: none makes a gradient that has no norm',
    async () => {
      const magnitude = fc.tuple(fc.double({ min: -30, max: 38.5, noNaN: true }), fc.boolean());
      const hostile = fc
        .record({
          hidden: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
          activation: fc.constantFrom('relu' as const, 'tanh' as const),
          clipNorm: fc.double({ min: -6, max: 6, noNaN: true }).map((exponent) => 10 ** exponent),
          label: fc.constantFrom(0, 1),
          inputs: fc.tuple(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constantFrom(0, 1)),
        })
        .chain(({ hidden, activation, ...rest }) => {
          const plan = planOf(2, hidden, activation);
          const count = parameterCount(plan);
          const parameters = fc
            .array(magnitude, { minLength: count, maxLength: count })
            .map((values) => Float32Array.from(values, ([exponent, minus]) => (minus ? -1 : 1) * 10 ** exponent));
          return fc.record({ plan: fc.constant(plan), parameters, rest: fc.constant(rest) });
        });
      await fc.assert(
        fc.asyncProperty(hostile, async ({ plan, parameters, rest: { clipNorm, label, inputs } }) => {
          const model = await engine.createModel(plan, 2);
          const batch = {
            inputs: Float32Array.of(...inputs, 0, 0),
            labels: Float32Array.of(label, 0),
            weights: Float32Array.of(1, 0),
          };
          const { sum } = await model.clippedGradientSum(parameters, batch, clipNorm);
          expect(Math.hypot(...sum)).toBeLessThanOrEqual(clipNorm * 1.0001);
          model.dispose();
        }),
        { numRuns: 2 * runs },
      );
    },
  );

  test.skipIf(skip)('does not take a gradient for short whose factors are very small and very large', async () => {
    // The hidden value is 10¹¹; the log odds 60, so that δ = 9·10⁻²⁷, whose square is no float32.
    const plan = planOf(2, [1], 'relu');
    const model = await engine.createModel(plan, 1);
    const batch = { inputs: Float32Array.of(1, 0), labels: Float32Array.of(0), weights: Float32Array.of(1) };
    const { sum } = await model.clippedGradientSum(Float32Array.of(1e11, 0, 0, -6e-10, 0), batch, 1e-20);
    expect(Math.hypot(...sum) / 1e-20).toBeCloseTo(1, 4);
    model.dispose();
  });

  test.skipIf(skip)('without clipping sums the gradients as they are', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ plan, rows, parameters, batch }) => {
        const model = await engine.createModel(plan, rows);
        const expected = expectedSum(plan, parameters, batch, Infinity);
        const actual = await model.gradientSum(parameters, batch);
        closeTo(actual.sum, expected.sum, 1e-3 * rows);
        expect(actual.clipped).toBe(0);
        model.dispose();
      }),
      { numRuns: Math.ceil(runs / 2) },
    );
  });

  test.skipIf(skip)('gives the log odds of every row', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ plan, rows, parameters, batch }) => {
        const model = await engine.createModel(plan, rows);
        const width = batch.inputs.length / rows;
        const expected = Array.from({ length: rows }, (_, row) =>
          logit(plan, parameters, batch.inputs.subarray(row * width, (row + 1) * width)),
        );
        closeTo(await model.logits(parameters, batch.inputs), expected, 1e-3);
        model.dispose();
      }),
      { numRuns: Math.ceil(runs / 2) },
    );
  });

  test.skipIf(skip)('gives the same again in many calls, and rows of weight 0 add nothing', async () => {
    const plan = planOf(5, [4], 'relu');
    const model = await engine.createModel(plan, 3);
    const parameters = Float32Array.from({ length: parameterCount(plan) }, (_, i) => Math.sin(i));
    const inputs = Float32Array.from({ length: 15 }, (_, i) => Math.cos(i));
    const batch = { inputs, labels: Float32Array.of(1, 0, 1), weights: Float32Array.of(1, 0, 1) };
    const first = await model.clippedGradientSum(parameters, batch, 0.5);
    for (let i = 0; i < 50; i++) {
      const other = { ...batch, inputs: inputs.map((value, at) => (at >= 5 && at < 10 ? i : value)) };
      closeTo((await model.clippedGradientSum(parameters, other, 0.5)).sum, first.sum, 1e-6);
    }
    const none = await model.clippedGradientSum(parameters, { ...batch, weights: new Float32Array(3) }, 0.5);
    expect(none).toEqual({ sum: new Float32Array(parameters.length), lossSum: 0, clipped: 0 });
    model.dispose();
  });

  test.skipIf(skip)('refuses arrays of other shapes than the model', async () => {
    const plan = planOf(5, [4], 'tanh');
    const model = await engine.createModel(plan, 2);
    const batch = { inputs: new Float32Array(10), labels: new Float32Array(2), weights: new Float32Array(2) };
    await expect(model.gradientSum(new Float32Array(3), batch)).rejects.toThrow(/parameter vector/);
    const parameters = new Float32Array(parameterCount(plan));
    await expect(model.logits(parameters, new Float32Array(9))).rejects.toThrow(/input batch/);
    model.dispose();
  });
});
