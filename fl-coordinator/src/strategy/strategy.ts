/** From a plan's strategy to a function: a part of the model and the sum of a round's updates in, the new part out. */
import type { StrategyParameters } from '@foedus/fl-core';
import type { Aggregate } from './aggregate.ts';
import { fedAdam, initialFedAdamState } from './fedadam.ts';
import { fedAvg } from './fedavg.ts';

/**
 * Some consecutive parameters, and what the server's optimizer remembers of each of them. Strategies work parameter by
 * parameter, so that a model never has to be in memory as a whole.
 */
export interface ModelPart {
  /** float32 [n] */
  readonly parameters: Float32Array;
  /** float32 [n] each, in an order known to the strategy alone; empty: nothing. */
  readonly optimizer: readonly Float32Array[];
}

/**
 * One round of a strategy.
 *
 * @param part parameters and state are changed in place
 * @param aggregate the sum of the same parameters
 * @returns the part after the round, in the same memory as far as there was any
 */
export type Strategy = (part: ModelPart, aggregate: Aggregate) => ModelPart;

/** @returns the strategy that a plan names. */
export function strategyOf(plan: StrategyParameters): Strategy {
  if (plan.name === 'fedavg') {
    return ({ parameters }, aggregate) => {
      fedAvg(parameters, aggregate, plan);
      return { parameters, optimizer: [] };
    };
  }
  return ({ parameters, optimizer }, aggregate) => {
    const [first, second] = optimizer;
    const state =
      first === undefined || second === undefined
        ? initialFedAdamState(parameters.length, plan)
        : { delta: first, v: second };
    fedAdam(parameters, aggregate, state, plan);
    return { parameters, optimizer: [state.delta, state.v] };
  };
}

/** What comes out of a round is no model: whatever was made of its parts before is to be dropped. */
export class NotFiniteError extends Error {}

/**
 * A round of a strategy over a whole model, part by part.
 *
 * @param parts of the model before the round, in their order
 * @param aggregate the sum of all parameters
 * @throws NotFiniteError at the first part with a new parameter that is not a finite number
 */
export function* nextModel(
  strategy: Strategy,
  parts: Iterable<ModelPart>,
  { sum, updates }: Aggregate,
): Generator<ModelPart> {
  let at = 0;
  for (const part of parts) {
    const end = at + part.parameters.length;
    const next = strategy(part, { sum: sum.subarray(at, end), updates });
    if (!next.parameters.every((value) => Number.isFinite(value))) throw new NotFiniteError();
    yield next;
    at = end;
  }
  if (at !== sum.length) throw new RangeError(`A sum of ${sum.length} values is not of a model of ${at} parameters.`);
}
