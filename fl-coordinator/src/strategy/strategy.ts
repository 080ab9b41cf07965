/** From a plan's strategy to a function: old parameters and a round's sum in, new parameters out. */
import type { StrategyParameters } from '@foedus/fl-core';
import type { Aggregate } from './aggregate.ts';
import { fedAdam, initialFedAdamState } from './fedadam.ts';
import { fedAvg } from './fedavg.ts';

/** The model between two rounds. */
export interface ServerModel {
  /** float32 [P] */
  readonly parameters: Float32Array;
  /** What the server's optimizer remembers, float32, layout known to the strategy alone; null: nothing. */
  readonly optimizer: Float32Array | null;
}

/** One round of a strategy. Pure: the arguments are left as they are. */
export type Strategy = (model: ServerModel, aggregate: Aggregate) => ServerModel;

/** @returns the strategy that a plan names. */
export function strategyOf(plan: StrategyParameters): Strategy {
  if (plan.name === 'fedavg') {
    return ({ parameters }, aggregate) => ({ parameters: fedAvg(parameters, aggregate, plan), optimizer: null });
  }
  return ({ parameters, optimizer }, aggregate) => {
    const p = parameters.length;
    const before =
      optimizer === null ? initialFedAdamState(p, plan) : { delta: optimizer.subarray(0, p), v: optimizer.subarray(p) };
    const after = fedAdam(parameters, aggregate, before, plan);
    const packed = new Float32Array(2 * p);
    packed.set(after.state.delta);
    packed.set(after.state.v, p);
    return { parameters: after.parameters, optimizer: packed };
  };
}
