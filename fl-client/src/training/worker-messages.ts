/** What the training thread and its owner say to each other. Results are transferred, not copied. */
import type { ScoreHistogram, SessionPlan } from '@foedus/fl-core';
import type { EnginePreference } from '../engine/select.ts';
import type { EvaluationResult, RoundResult } from './round.ts';

export interface WorkerData {
  readonly engine: EnginePreference;
  readonly parquetPaths: readonly string[];
  readonly plan: SessionPlan;
}

interface AnyRequest {
  readonly id: number;
  /** float32 [P] */
  readonly parameters: Float32Array;
  /**
   * Shared int32 [1]: not 0 when the request is to stop. The thread looks at it between steps, because while it
   * computes no message reaches it.
   */
  readonly stop: Int32Array<SharedArrayBuffer>;
}

export type WorkerRequest =
  | (AnyRequest & { readonly kind: 'train'; readonly round: number })
  | (AnyRequest & { readonly kind: 'evaluate' })
  | (AnyRequest & { readonly kind: 'count'; readonly bins: number });

export interface WorkerReady {
  readonly engine: { readonly name: string; readonly device: string };
  readonly rows: { readonly train: number; readonly heldOut: number };
}

export interface CarriedError {
  readonly code: string | null;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type WorkerReply =
  | ({ readonly kind: 'ready' } & WorkerReady)
  | { readonly kind: 'failed'; readonly error: CarriedError }
  | { readonly kind: 'step'; readonly id: number; readonly stepsDone: number; readonly steps: number }
  | { readonly kind: 'trained'; readonly id: number; readonly result: RoundResult }
  | { readonly kind: 'evaluated'; readonly id: number; readonly result: EvaluationResult }
  | { readonly kind: 'counted'; readonly id: number; readonly result: ScoreHistogram }
  | { readonly kind: 'error'; readonly id: number; readonly error: CarriedError };
