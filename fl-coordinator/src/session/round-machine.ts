/** The phases of a round as a table, and when a round closes. */
import type { ParticipantView, RoundPhase, RoundView } from './view.ts';

export type RoundEvent =
  /** The updates are in. */
  | 'close'
  /** The new parameters are stored; metrics are asked for. */
  | 'evaluate'
  /** Everything is stored. */
  | 'finish'
  /** Too few updates: no output. */
  | 'abandon'
  /** The coordinator was killed: the sum is lost, participants send the same updates again. */
  | 'restart';

const transitions: Readonly<Record<RoundPhase, Readonly<Partial<Record<RoundEvent, RoundPhase>>>>> = {
  training: { close: 'aggregating', abandon: 'abandoned', restart: 'training' },
  aggregating: { evaluate: 'evaluating', finish: 'done', abandon: 'abandoned', restart: 'training' },
  evaluating: { finish: 'done', restart: 'evaluating' },
  done: {},
  abandoned: {},
};

/** @throws Error when the table has no such transition: a defect of the caller */
export function nextPhase(phase: RoundPhase, event: RoundEvent): RoundPhase {
  const next = transitions[phase][event];
  if (next === undefined) throw new Error(`a round in phase ${phase} cannot ${event}`);
  return next;
}

/** One participant as a round sees it. */
export interface Member {
  readonly participantId: string;
  readonly status: ParticipantView['status'];
  readonly contribution: RoundView['contributions'][string]['status'];
  /** Why it refused or left, in words. */
  readonly reason: string | null;
}

export type TrainingVerdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'close' }
  | { readonly kind: 'abandon'; readonly reason: string };

const isHere = ({ status }: Member): boolean => status === 'enrolled' || status === 'refused';

/**
 * What becomes of a round in training:
 * it closes when everybody who is there has answered and the minimum cohort is reached, or when its time is over with
 * the minimum cohort; it is abandoned as soon as the minimum cohort is out of reach. Participants that are away may
 * come back while the round is open, but nobody waits for them once the cohort is reached.
 */
export function trainingVerdict(
  round: number,
  members: readonly Member[],
  minimumCohort: number,
  timeout: { readonly isOver: boolean; readonly seconds: number },
): TrainingVerdict {
  const received = members.filter(({ contribution }) => contribution === 'received');
  const waiting = members.filter(({ contribution }) => contribution === 'waiting');
  const left = received.length + waiting.length;
  if (left < minimumCohort) {
    return {
      kind: 'abandon',
      reason: `Round ${round}: ${lossesOf(members)}${left} of at least ${minimumCohort} participants are left.`,
    };
  }
  if (timeout.isOver) {
    if (received.length >= minimumCohort) return { kind: 'close' };
    const silent = waiting.map(({ participantId }) => participantId).join(', ');
    return {
      kind: 'abandon',
      reason: `Round ${round}: ${lossesOf(members)}no answer from ${silent} within ${timeout.seconds} seconds; ${received.length} of at least ${minimumCohort} updates came.`,
    };
  }
  return received.length >= minimumCohort && !waiting.some(isHere) ? { kind: 'close' } : { kind: 'wait' };
}

/** Whether all metrics that can be expected are there. */
export function evaluationIsComplete(
  members: readonly (Member & { readonly evaluated: boolean })[],
  timeIsOver: boolean,
): boolean {
  return (
    timeIsOver || members.every((member) => member.evaluated || member.contribution !== 'received' || !isHere(member))
  );
}

/** @returns who refused or left, and why, as the beginning of a sentence; empty when nobody did */
export function lossesOf(members: readonly Member[]): string {
  const lost = members.filter(({ contribution }) => contribution === 'refused' || contribution === 'missed');
  return lost
    .map(({ participantId, contribution, reason }) => {
      const what = contribution === 'refused' ? 'refused' : 'left';
      return `${participantId} ${what}${reason === null ? '' : `: ${reason.replace(/[.;\s]+$/, '')}`}; `;
    })
    .join('');
}
