/** What the store holds, as the rest of the coordinator reads it. */
import type { SecureStep, SessionPlan, UpdateHeader } from '@foedus/fl-core';
import type { ParticipantView, RoundPhase, RoundView, SessionState } from '../session/view.ts';

export interface SessionRecord {
  readonly id: string;
  readonly plan: SessionPlan;
  readonly planHash: string;
  /** SHA-256 of the initial parameters, hex. */
  readonly initialHash: string;
  /** Float32 values of the model. */
  readonly parameters: number;
  readonly state: SessionState;
  readonly reason: string | null;
  /** Number of the task that clients should be at; grows with every change of it. */
  readonly seq: number;
  readonly roundsTarget: number;
  readonly roundsDone: number;
  /** The operator asked for more rounds than planned: the plan's early stop no longer counts. */
  readonly extended: boolean;
  readonly recruitingSince: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface ParticipantRecord {
  readonly participantId: string;
  readonly agreementId: string;
  /** SHA-256 of the agreement that both sides signed, hex; null where it was not asked for yet. */
  readonly agreementHash: string | null;
  /** The smallest cohort that the agreement allows; null: any. */
  readonly minimumCohort: number | null;
  /** Id of the transfer at the coordinator's own connector. */
  readonly transferId: string | null;
  /** The transfer is the session's and not final, as far as is known here. */
  readonly transferOpen: boolean;
  readonly status: ParticipantView['status'];
  readonly note: string | null;
  readonly lastSeenAt: string | null;
  readonly privacy: NonNullable<UpdateHeader['privacy']> | null;
  /** Claims and signature of the last enrolment, JSON: the evidence that this participant agreed to the plan. */
  readonly enrolment: string | null;
}

export interface RoundRecord {
  readonly round: number;
  readonly phase: RoundPhase;
  /** Since when the phase has been running; null while it does not. */
  readonly phaseSince: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly durations: RoundView['durations'];
  readonly reason: string | null;
}

export type ContributionStatus = RoundView['contributions'][string]['status'];

export interface ContributionRecord {
  readonly round: number;
  readonly participantId: string;
  readonly status: ContributionStatus;
  readonly reason: string | null;
  readonly trainingSeconds: number | null;
  readonly bytes: number | null;
  /** It has answered the round's evaluation, possibly without any metric. */
  readonly evaluated: boolean;
  readonly auc: number | null;
  readonly logLoss: number | null;
  readonly droppedAt: RoundView['contributions'][string]['droppedAt'];
}

/** Members without an answer to a step of a secure round when it was closed. */
export interface Dropouts {
  readonly step: SecureStep;
  readonly participantIds: readonly string[];
}

/** A transfer that is to be ended. */
export interface EndingTransfer {
  readonly transferId: string;
  /** State of the session when it came to rest. */
  readonly outcome: string;
  readonly reason: string;
}
