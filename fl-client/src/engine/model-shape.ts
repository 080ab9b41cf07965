import { layerWidths, parameterCount } from '@foedus/fl-core';
import type { MicroBatch, ModelPlan } from './engine.ts';

/** A layer's place in the flat parameter vector: weights [inputs, outputs] from `weights`, bias [outputs] from `bias`. */
export interface LayerPlace {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: number;
  readonly bias: number;
  readonly end: number;
}

/** @returns where each layer's tensors lie, first layer first (the order of parameterShapes). */
export function layerPlaces(plan: ModelPlan): LayerPlace[] {
  const widths = layerWidths(plan);
  let offset = 0;
  return widths.slice(1).map((outputs, layer) => {
    const inputs = widths[layer] ?? 0;
    const weights = offset;
    const bias = weights + inputs * outputs;
    offset = bias + outputs;
    return { inputs, outputs, weights, bias, end: offset };
  });
}

/** Checks that the arguments of a call have the model's shapes. */
export function shapeCheck(plan: ModelPlan, microBatch: number) {
  const count = parameterCount(plan);
  const width = layerWidths(plan)[0] ?? 0;
  const require = (what: string, actual: number, expected: number): void => {
    if (actual !== expected) throw new RangeError(`${what} has ${actual} values; the model takes ${expected}.`);
  };
  return {
    inputs(parameters: Float32Array, inputs: Float32Array): void {
      require('The parameter vector', parameters.length, count);
      require('The input batch', inputs.length, microBatch * width);
    },
    batch(parameters: Float32Array, batch: MicroBatch): void {
      this.inputs(parameters, batch.inputs);
      require('The label batch', batch.labels.length, microBatch);
      require('The weight batch', batch.weights.length, microBatch);
    },
  };
}
