/** Which engines work on this machine, and which one to take. */
import { FoedusError } from '@foedus/connector/errors';
import { initialParameters } from '@foedus/fl-core';
import type { Engine, EngineName, ModelPlan } from './engine.ts';
import { createJaxWasmEngine, createJaxWebGpuEngine } from './jax.ts';
import { createTfjsNodeGpuEngine } from './tfjs.ts';
import { provideWebGpu } from './webgpu.ts';

export type EnginePreference = EngineName | 'auto';

const create: Record<EngineName, () => Promise<Engine>> = {
  'jax-wasm': createJaxWasmEngine,
  'jax-webgpu': createJaxWebGpuEngine,
  'tfjs-node-gpu': createTfjsNodeGpuEngine,
};

/**
 * @param preference an engine's name, or `auto`: WebGPU when there is a graphics card that is not a software renderer,
 *   else WebAssembly. TensorFlow is only taken by name: it is a large native library that an operator has to want.
 * @throws FoedusError `engine-unavailable` when the engine asked for does not work here, with the reason
 */
export async function selectEngine(preference: EnginePreference): Promise<Engine> {
  if (preference !== 'auto') return create[preference]();
  const hardware = await provideWebGpu().then(
    (adapter) => !adapter.software,
    () => false,
  );
  if (!hardware) return createJaxWasmEngine();
  return createJaxWebGpuEngine().catch((error: unknown) => {
    if (error instanceof FoedusError && error.code === 'engine-unavailable') return createJaxWasmEngine();
    throw error;
  });
}

export interface EngineProbe {
  readonly name: EngineName;
  readonly works: boolean;
  readonly device?: string;
  /** Why it does not work, in plain words. */
  readonly reason?: string;
  /** Median of a DP-SGD step on 256 rows of a network 150 → 32 → 1. */
  readonly stepMilliseconds?: number;
}

/** Tries every engine by really computing a few steps. Never throws: what goes wrong is the engine's reason. */
export async function probeEngines(): Promise<EngineProbe[]> {
  const probes: EngineProbe[] = [];
  for (const [name, createEngine] of Object.entries(create) as [EngineName, () => Promise<Engine>][]) {
    try {
      await using engine = await createEngine();
      probes.push({ name, works: true, device: engine.device, stepMilliseconds: await timeOfStep(engine) });
    } catch (error) {
      probes.push({ name, works: false, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return probes;
}

async function timeOfStep(engine: Engine): Promise<number> {
  const [rows, width] = [256, 150];
  const plan: ModelPlan = {
    features: [{ kind: 'hashed-category', column: 'probe', buckets: width }],
    model: { kind: 'mlp', hidden: [32], activation: 'relu', seed: '01'.repeat(32) },
  };
  const parameters = initialParameters(plan);
  const inputs = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) inputs[row * width + (row % width)] = 1;
  const labels = Float32Array.from({ length: rows }, (_, row) => row % 2);
  const batch = { inputs, labels, weights: new Float32Array(rows).fill(1) };
  const model = await engine.createModel(plan, rows);
  try {
    const times: number[] = [];
    for (let i = 0; i < 12; i++) {
      const start = performance.now();
      const { sum } = await model.clippedGradientSum(parameters, batch, 1);
      times.push(performance.now() - start);
      if (!sum.every(Number.isFinite) || sum.every((value) => value === 0)) {
        throw new FoedusError('engine-unavailable', 'It computes, but wrongly: a gradient is not finite, or all zero.');
      }
    }
    // The first two compile and warm up.
    const measured = times.slice(2).toSorted((a, b) => a - b);
    return Math.round((measured[measured.length >> 1] ?? 0) * 100) / 100;
  } finally {
    model.dispose();
  }
}
