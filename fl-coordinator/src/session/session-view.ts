/** Builds what the operator sees of a session from what is stored. */
import { thresholdOf } from '@foedus/fl-core';
import type { ModelRegistry } from '../store/model-registry.ts';
import type { ContributionRecord, RoundRecord, SessionRecord } from '../store/records.ts';
import type { SessionStore } from '../store/session-store.ts';
import type { MetricMeans } from './early-stop.ts';
import type { Presence } from './presence.ts';
import type { SecureRound } from './secure-round.ts';
import type { SecureRounds } from './secure-rounds.ts';
import type { ParticipantView, RoundView, SessionView } from './view.ts';

/** @returns the unweighted means over those that reported; null where nobody did */
export function meansOf(contributions: readonly Pick<ContributionRecord, 'auc' | 'logLoss'>[]): MetricMeans {
  const mean = (metric: 'auc' | 'logLoss'): number | null => {
    const values = contributions.map((one) => one[metric]).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return { auc: mean('auc'), logLoss: mean('logLoss') };
}

/** Seconds of each phase, the running one up to `now`. */
export function durationsAt(round: RoundRecord, now: Date): RoundView['durations'] {
  const { phase, phaseSince, durations } = round;
  if (phaseSince === null || phase === 'done' || phase === 'abandoned') return durations;
  const running = Math.max(0, (now.getTime() - Date.parse(phaseSince)) / 1000);
  return { ...durations, [phase]: (durations[phase] ?? 0) + running };
}

function secureViewOf(round: SecureRound): NonNullable<RoundView['secure']> {
  const { cohort, degree, mode, minimumCohort } = round.task.terms;
  const neighbours = Math.min(degree ?? Infinity, cohort.length - 1);
  return { step: round.step, answered: round.answered(), threshold: thresholdOf(neighbours, mode), minimumCohort };
}

/** @param now for the duration of the phase that is running */
export function sessionView(
  session: SessionRecord,
  sources: {
    readonly store: SessionStore;
    readonly models: ModelRegistry;
    readonly secureRounds: Pick<SecureRounds, 'of'>;
    readonly presence: Presence;
    readonly now: Date;
  },
): SessionView {
  const { store, models, secureRounds, presence, now } = sources;
  const secure = secureRounds.of(session.id);
  const byRound = Map.groupBy(store.contributions(session.id), ({ round }) => round);
  const received = [...byRound.values()].flat().filter(({ status }) => status === 'received');
  const contributed = Map.groupBy(received, ({ participantId }) => participantId);

  const participants = store.participants(session.id).map((participant): ParticipantView => {
    const { participantId, agreementId, transferId, status, note, privacy } = participant;
    const { lastSeenAt, phase } = presence.of(session.id, participantId);
    return {
      participantId,
      agreementId,
      transferId,
      status,
      note,
      phase: status === 'enrolled' || status === 'refused' ? phase : null,
      lastSeenAt: lastSeenAt?.toISOString() ?? participant.lastSeenAt,
      privacy,
      roundsContributed: contributed.get(participantId)?.length ?? 0,
    };
  });

  const rounds = store.rounds(session.id).map((round): RoundView => {
    const contributions = byRound.get(round.round) ?? [];
    return {
      round: round.round,
      phase: round.phase,
      startedAt: round.startedAt,
      endedAt: round.endedAt,
      durations: durationsAt(round, now),
      contributions: Object.fromEntries(
        contributions.map(({ participantId, status, reason, trainingSeconds, bytes, auc, logLoss, droppedAt }) => [
          participantId,
          { status, reason, trainingSeconds, bytes, auc, logLoss, droppedAt },
        ]),
      ),
      secure: secure?.round === round.round ? secureViewOf(secure) : null,
      mean: meansOf(contributions),
      reason: round.reason,
    };
  });

  return {
    id: session.id,
    title: session.plan.title,
    state: session.state,
    reason: session.reason,
    plan: session.plan,
    planHash: session.planHash,
    modelHash: models.newest(session.id)?.hash ?? session.initialHash,
    parameters: session.parameters,
    roundsDone: session.roundsDone,
    roundsTarget: session.roundsTarget,
    participants,
    rounds,
    createdAt: session.createdAt,
    updatedAt: session.updatedAt,
  };
}
