export * from './session/plan.ts';
export * from './session/messages.ts';
export * from './session/hash.ts';
export * from './session/secure-round.ts';
export * from './session/round-event.ts';
export * from './session/promise.ts';
export {
  type BudgetTradeOff,
  lengthsAround,
  noiseByRounds,
  type SessionTradeOff,
  sessionTradeOff,
  spread,
} from './session/trade-off.ts';
export { type EpsilonByRound, epsilonByRound, type PlannedEvaluation } from './session/spending.ts';
export * from './session/back-off.ts';
export * from './update/codec.ts';
export * from './update/masked-input.ts';
export * from './metrics/area-under-roc.ts';
export * from './metrics/log-loss.ts';
export * from './metrics/score-histogram.ts';
export * from './privacy/event.ts';
export * from './privacy/rdp.ts';
export * from './privacy/accountant.ts';
export * from './privacy/rdp-of-event.ts';
export * from './privacy/truncated-sampling.ts';
export * from './privacy/budget.ts';
export * from './privacy/sensitivity.ts';
export * from './privacy/distributed-noise.ts';
export { type Bounds, type LossOptions, pldDeltaOf, pldEpsilonOf } from './privacy/privacy-loss/accountant.ts';
export { NoLossDistributionError } from './privacy/privacy-loss/mechanism.ts';
export * from './noise/random-bits.ts';
export * from './noise/rational.ts';
export * from './noise/discrete-gaussian.ts';
export * from './noise/skellam.ts';
export * from './secure-aggregation/failure.ts';
export * from './secure-aggregation/terms.ts';
export * from './secure-aggregation/messages.ts';
export * from './secure-aggregation/client.ts';
export * from './secure-aggregation/server.ts';
export * from './secure-aggregation/encoding.ts';
export { chooseDegree, type Mode, thresholdOf } from './secure-aggregation/graph.ts';
export { packedBytes } from './secure-aggregation/packing.ts';
