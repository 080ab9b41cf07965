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
  /** Δ_{t−1}, float32 [P]. */
  readonly delta: Float32Array;
  /** v_{t−1}, float32 [P]. */
  readonly v: Float32Array;
}

/** @returns Δ_{−1} = 0 and v_{−1} = τ² (the algorithm asks for v_{−1} ≥ τ²). */
export function initialFedAdamState(parameters: number, { tau }: FedAdamOptions): FedAdamState {
  return { delta: new Float32Array(parameters), v: new Float32Array(parameters).fill(tau * tau) };
}

/**
 * Δ_t = β₁Δ_{t−1} + (1 − β₁)·(1/|S|) Σ Δᵢ;  v_t = β₂v_{t−1} + (1 − β₂)Δ_t²;  x_{t+1} = x_t + η Δ_t / (√v_t + τ)
 *
 * @param x global parameters x_t, float32 [P]
 * @returns x_{t+1} and the state for the next round, float32 [P] each
 */
export function fedAdam(
  x: Float32Array,
  { sum, updates }: Aggregate,
  state: FedAdamState,
  { serverLearningRate, beta1, beta2, tau }: FedAdamOptions,
): { readonly parameters: Float32Array; readonly state: FedAdamState } {
  const parameters = new Float32Array(x.length);
  const delta = new Float32Array(x.length);
  const v = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const d = beta1 * (state.delta[i] ?? 0) + (1 - beta1) * ((sum[i] ?? 0) / updates);
    const vi = beta2 * (state.v[i] ?? 0) + (1 - beta2) * d * d;
    delta[i] = d;
    v[i] = vi;
    parameters[i] = (x[i] ?? 0) + (serverLearningRate * d) / (Math.sqrt(vi) + tau);
  }
  return { parameters, state: { delta, v } };
}
