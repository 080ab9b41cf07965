/** What the data flow needs of training; fl-client/src/training provides it in a worker thread. */
import type { ScoreHistogram, SessionPlan } from '@foedus/fl-core';

export interface Trainer extends AsyncDisposable {
  /**
   * One round of local training.
   *
   * @param parameters global parameters, float32 [P]
   * @returns update: local minus global parameters, float32 [P], already clipped and noised; seconds of training
   * @throws when the signal aborts
   */
  trainRound(
    parameters: Float32Array,
    round: number,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly update: Float32Array; readonly seconds: number }>;
  /** Metrics of the parameters on the own held-out rows; null where there are none. */
  evaluate(
    parameters: Float32Array,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly auc: number | null; readonly logLoss: number | null }>;
  /** Own held-out rows by label and score, counted exactly: not for anybody's eyes before there is noise on it. */
  histogram(parameters: Float32Array, bins: number, options: { readonly signal: AbortSignal }): Promise<ScoreHistogram>;
}

/** Reads the rows at `parquetPath` and gets ready to train on them. */
export type StartTrainer = (options: {
  readonly plan: SessionPlan;
  /** Absolute. */
  readonly parquetPath: string;
}) => Promise<Trainer>;
