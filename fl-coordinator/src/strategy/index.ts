export { createRunningSum, type Aggregate, type RunningSum } from './aggregate.ts';
export { strategyOf, type ModelPart, type Strategy } from './strategy.ts';
