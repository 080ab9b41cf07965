/** What partners report of a model, and after which rounds they are asked. */
import { FoedusError } from '@foedus/connector/errors';
import { type Evaluation, type SessionPlan, metricsOfHistogram } from '@foedus/fl-core';
import type { SessionRecord } from '../store/records.ts';
import type { MetricMeans } from './early-stop.ts';

/** @returns whether the model of the round that is being finished is to be evaluated */
export function isEvaluated({ plan, roundsDone }: Pick<SessionRecord, 'plan' | 'roundsDone'>): boolean {
  const { metrics, every } = plan.evaluation;
  return metrics.length > 0 && (roundsDone + 1) % every === 0;
}

/**
 * The metrics that the plan asks for, as far as they were reported: exact ones as they are, others as they follow from
 * the noised histogram.
 *
 * @throws FoedusError `bad-request` for a report of another kind than planned, and for a value that is no AUC or log loss
 */
export function metricsReported(plan: Pick<SessionPlan, 'evaluation'>, reported: Evaluation): MetricMeans {
  const { metrics: asked, noise } = plan.evaluation;
  const { metrics, histogram } = reported;
  const only = ({
    auc = null,
    logLoss = null,
  }: {
    readonly auc?: number | null;
    readonly logLoss?: number | null;
  }) => ({
    auc: asked.includes('auc') ? auc : null,
    logLoss: asked.includes('logLoss') ? logLoss : null,
  });
  if (noise !== null) {
    if (Object.keys(metrics).length > 0) {
      throw new FoedusError('bad-request', 'The plan asks for a noised histogram: exact metrics are not taken.');
    }
    if (histogram === undefined) return only({});
    if (histogram.positives.length !== noise.bins) {
      throw new FoedusError(
        'bad-request',
        `The histogram has ${histogram.positives.length} bins; the plan asks for ${noise.bins}.`,
      );
    }
    return only(metricsOfHistogram(histogram));
  }
  if (histogram !== undefined) {
    throw new FoedusError('bad-request', 'The plan asks for no histogram, and for metrics without noise.');
  }
  const { auc, logLoss } = metrics;
  if ((auc !== undefined && (auc < 0 || auc > 1)) || (logLoss !== undefined && logLoss < 0)) {
    throw new FoedusError('bad-request', 'AUC lies between 0 and 1, and log loss is not negative.');
  }
  return only(metrics);
}
