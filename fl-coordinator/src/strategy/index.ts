export { createRunningSum, type Aggregate, type RunningSum } from './aggregate.ts';
export { strategyOf, type ServerModel, type Strategy } from './strategy.ts';
