/**
 * What a training needs from a numerical library. An engine computes sums over a micro-batch of fixed shape; sampling,
 * noise and the optimiser are outside (training/), so that they are the same, and audited once, for every engine.
 */
import type { SessionPlan } from '@foedus/fl-core';

export const engineNames = ['jax-wasm', 'jax-webgpu', 'tfjs-node-gpu'] as const;
export type EngineName = (typeof engineNames)[number];

/** The part of a session plan that an engine has to know. */
export type ModelPlan = Pick<SessionPlan, 'features' | 'model'>;

export interface Engine extends AsyncDisposable {
  readonly name: EngineName;
  /** What computes, in words: `CPU (WebAssembly)`, the graphics card's name, … */
  readonly device: string;
  /**
   * @param microBatch B, the number of rows that every call of the model takes; compiled for it at the first call
   */
  createModel(plan: ModelPlan, microBatch: number): Promise<EngineModel>;
}

/**
 * Where gradients are clipped, an activation or a derivative beyond this, or that is no number, counts as 0. Parameters
 * come from outside and may be made such that a row's values overflow: its gradient would have no norm, could not be
 * clipped, and would spoil the sum, which tells that such a row is there. Below this every norm is a float32, and with
 * C ≥ 10⁻⁶ every clipped value is as well.
 */
export const LARGEST_VALUE = 1e12;

/** B rows. Rows that are only there to fill the shape have weight 0 and finite inputs, and contribute nothing. */
export interface MicroBatch {
  /** float32 [B × D], row-major. */
  readonly inputs: Float32Array;
  /** float32 [B], 0 or 1. */
  readonly labels: Float32Array;
  /** float32 [B], 0 or 1. */
  readonly weights: Float32Array;
}

export interface GradientSum {
  /** float32 [P]: Σᵢ of the examples' gradients of the log loss, clipped or not, in the order of parameterShapes. */
  readonly sum: Float32Array;
  /** Σᵢ log loss, in nats. Says something about single rows: stays with the client. */
  readonly lossSum: number;
  /** How many examples were clipped; 0 where nothing is clipped. Stays with the client as well. */
  readonly clipped: number;
}

/** Calls must not overlap. Arguments may be reused once the returned promise has settled. */
export interface EngineModel {
  /** B. */
  readonly microBatch: number;
  /**
   * Σᵢ gᵢ · min(1, C/‖gᵢ‖₂), the clipped sum of Abadi et al. 2016, Algorithm 1, by ghost norms: per layer
   * ‖gᵢ‖² = ‖δᵢ‖²(‖aᵢ‖² + 1) for the layer's input a and output gradient δ (Goodfellow, arXiv:1510.01799), so no
   * example's gradient is ever written out, and the sum is aᵀ(c ⊙ δ) (Li et al., arXiv:2110.05679; Bu et al.,
   * arXiv:2210.00038). No parameters, however large, make an example's part longer than C, but for rounding.
   *
   * @param parameters float32 [P], finite or not
   * @param clipNorm C ≥ 10⁻⁶
   */
  clippedGradientSum(parameters: Float32Array, batch: MicroBatch, clipNorm: number): Promise<GradientSum>;
  /** Σᵢ gᵢ, for training without a privacy budget. */
  gradientSum(parameters: Float32Array, batch: MicroBatch): Promise<GradientSum>;
  /**
   * @param inputs float32 [B × D]
   * @returns float32 [B]: log odds of label 1
   */
  logits(parameters: Float32Array, inputs: Float32Array): Promise<Float32Array>;
  dispose(): void;
}
