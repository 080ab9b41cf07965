/** When a session has learned all it will: the plan's early stop. */
import type { SessionPlan } from '@foedus/fl-core';

type EarlyStop = NonNullable<SessionPlan['earlyStop']>;
type Metric = EarlyStop['metric'];

/** Mean metrics after a round; null: nobody reported. */
export type MetricMeans = Readonly<Record<Metric, number | null>>;

/** AUC is better when larger, log loss when smaller. */
const sign: Readonly<Record<Metric, 1 | -1>> = { auc: 1, logLoss: -1 };

/**
 * @param history means after each finished round, oldest first; rounds without the metric are passed over
 * @returns why to stop, in words, or null: the metric has not improved by more than `minDelta` on the best before for
 *   `patience` rounds in a row
 */
export function earlyStopReason(history: readonly MetricMeans[], rule: EarlyStop | null): string | null {
  if (rule === null) return null;
  let best = -Infinity;
  let since = 0;
  for (const means of history) {
    const value = means[rule.metric];
    if (value === null) continue;
    const score = sign[rule.metric] * value;
    if (score > best + rule.minDelta) {
      best = score;
      since = 0;
    } else since += 1;
  }
  if (since < rule.patience) return null;
  const name = rule.metric === 'auc' ? 'AUC' : 'log loss';
  return `Stopped early: ${name} has not improved by more than ${rule.minDelta} for ${rule.patience} rounds.`;
}

/** @returns the index of the best means, by AUC and where nobody reported it by log loss; null without any metric. */
export function bestOf(history: readonly MetricMeans[], metric: Metric | null): number | null {
  const by = metric ?? (history.some(({ auc }) => auc !== null) ? 'auc' : 'logLoss');
  let best: number | null = null;
  let bestScore = -Infinity;
  for (const [index, means] of history.entries()) {
    const value = means[by];
    if (value === null || sign[by] * value <= bestScore) continue;
    best = index;
    bestScore = sign[by] * value;
  }
  return best;
}
