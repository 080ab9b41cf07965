/**
 * FedAdam: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan, "Adaptive Federated Optimization", ICLR 2021,
 * https://arxiv.org/abs/2003.00295, Algorithm 2; symbols as there.
 */
import type { Aggregate } from './aggregate.ts';

export interface FedAdamOptions {
  /** η, the server's learning rate. */
  readonly serverLearningRate: number;
  /** β₁, decay of the first moment. */
  readonly beta1: number;
  /** β₂, decay of the second moment. */
  readonly beta2: number;
  /** τ, the degree of adaptivity: the larger, the less adaptive. */
  readonly tau: number;
}

/** What FedAdam keeps between rounds. */
export interface FedAdamState {
  /** Δ_{t−1}, float32 [n]. */
  readonly delta: Float32Array;
  /** v_{t−1}, float32 [n]. */
  readonly v: Float32Array;
}

/** @returns Δ_{−1} = 0 and v_{−1} = τ² (the algorithm asks for v_{−1} ≥ τ²). */
export function initialFedAdamState(parameters: number, { tau }: FedAdamOptions): FedAdamState {
  return { delta: new Float32Array(parameters), v: new Float32Array(parameters).fill(tau * tau) };
}

/**
 * Δ_t = β₁Δ_{t−1} + (1 − β₁)·(1/|S|) Σ Δᵢ;  v_t = β₂v_{t−1} + (1 − β₂)Δ_t²;  x_{t+1} = x_t + η Δ_t / (√v_t + τ)
 *
 * @param x global parameters x_t, float32 [n]; x_{t+1} afterwards
 * @param state of the round before; of this round afterwards
 */
export function fedAdam(
  x: Float32Array,
  { sum, updates }: Aggregate,
  { delta, v }: FedAdamState,
  { serverLearningRate, beta1, beta2, tau }: FedAdamOptions,
): void {
  for (let i = 0; i < x.length; i++) {
    const d = beta1 * delta[i]! + (1 - beta1) * (sum[i]! / updates);
    const vi = beta2 * v[i]! + (1 - beta2) * d * d;
    delta[i] = d;
    v[i] = vi;
    x[i] = x[i]! + (serverLearningRate * d) / (Math.sqrt(vi) + tau);
  }
}
