/** What the operator's API and the dashboard show of a session. JSON, complete, rebuilt from the store at any time. */
import type { ClientPhase, SecureStep, SessionPlan } from '@foedus/fl-core';

export const sessionStates = ['planned', 'recruiting', 'running', 'paused', 'completed', 'stopped', 'failed'] as const;
export type SessionState = (typeof sessionStates)[number];

export const roundPhases = ['training', 'aggregating', 'evaluating', 'done', 'abandoned'] as const;
export type RoundPhase = (typeof roundPhases)[number];

export interface SessionView {
  readonly id: string;
  readonly title: string;
  readonly state: SessionState;
  /** In words: why it ended, failed or waits. */
  readonly reason: string | null;
  readonly plan: SessionPlan;
  readonly planHash: string;
  /** SHA-256 of the newest parameters, hex. */
  readonly modelHash: string;
  /** Float32 parameters. */
  readonly parameters: number;
  /** Rounds finished with output. */
  readonly roundsDone: number;
  /** Rounds asked for in all: the plan's, and those asked for later. */
  readonly roundsTarget: number;
  readonly participants: readonly ParticipantView[];
  readonly rounds: readonly RoundView[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface ParticipantView {
  readonly participantId: string;
  readonly agreementId: string;
  readonly transferId: string | null;
  readonly status: 'invited' | 'enrolled' | 'away' | 'refused' | 'departed';
  /** In words: the refusal or the error. */
  readonly note: string | null;
  readonly phase: ClientPhase['phase'] | null;
  readonly lastSeenAt: string | null;
  /** As the participant's own node stated with its last release. */
  readonly privacy: {
    readonly epsilonSpent: number;
    readonly epsilonLimit: number | null;
    readonly delta: number;
  } | null;
  readonly roundsContributed: number;
}

export interface RoundView {
  readonly round: number;
  readonly phase: RoundPhase;
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** Seconds spent in each phase so far. */
  readonly durations: Partial<Record<'training' | 'aggregating' | 'evaluating', number>>;
  /** By participant id: what it did in this round. */
  readonly contributions: Readonly<
    Record<
      string,
      {
        readonly status: 'waiting' | 'received' | 'refused' | 'missed';
        readonly reason: string | null;
        readonly trainingSeconds: number | null;
        readonly bytes: number | null;
        readonly auc: number | null;
        readonly logLoss: number | null;
        /** Under secure aggregation: the first step that it had no answer to in time. Null: none, or the round goes on. */
        readonly droppedAt: SecureStep | null;
      }
    >
  >;
  /**
   * While a round under secure aggregation is under way: its step, the last one that each member has answered, how many
   * of those who hold a secret are needed for it, and how many members have to be in the sum.
   */
  readonly secure: {
    readonly step: SecureStep;
    readonly answered: Readonly<Record<string, SecureStep | null>>;
    readonly threshold: number;
    readonly minimumCohort: number;
  } | null;
  /** Unweighted means over the participants that reported. */
  readonly mean: { readonly auc: number | null; readonly logLoss: number | null };
  readonly reason: string | null;
}
