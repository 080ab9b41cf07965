/**
 * FedAvg with a server learning rate: McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning
 * of Deep Networks from Decentralized Data", AISTATS 2017, https://arxiv.org/abs/1602.05629, Algorithm 1; written with
 * the update Δᵢ = xᵢ − x as in Reddi et al. 2021, Algorithm 1, with SGD as the server's optimizer.
 *
 * Every participant has the same weight: numbers of rows are not known to the coordinator.
 */
import type { Aggregate } from './aggregate.ts';

export interface FedAvgOptions {
  /** η; 1 is the plain mean of the participants' models. */
  readonly serverLearningRate: number;
}

/**
 * x ← x + η · (1/|S|) Σ Δᵢ
 *
 * @param x global parameters, float32 [n], changed in place
 */
export function fedAvg(x: Float32Array, { sum, updates }: Aggregate, { serverLearningRate }: FedAvgOptions): void {
  for (let i = 0; i < x.length; i++) x[i] = x[i]! + (serverLearningRate * sum[i]!) / updates;
}
