/** The states of a session as a table, and what follows from who takes part in it. */
import { FoedusError } from '@foedus/connector/errors';
import type { ParticipantView, SessionState } from './view.ts';

export type SessionEvent =
  /** The operator starts it, or tries again after a failure. */
  | 'start'
  /** Enough participants have enrolled. */
  | 'recruited'
  | 'pause'
  | 'resume'
  | 'stop'
  /** The operator asks for more rounds. */
  | 'extend'
  /** All rounds are done, or the plan says to stop early. */
  | 'complete'
  | 'fail';

const transitions: Readonly<Record<SessionState, Readonly<Partial<Record<SessionEvent, SessionState>>>>> = {
  planned: { start: 'recruiting', stop: 'stopped', extend: 'planned' },
  recruiting: { recruited: 'running', stop: 'stopped', extend: 'recruiting', fail: 'failed' },
  running: { pause: 'paused', stop: 'stopped', extend: 'running', complete: 'completed', fail: 'failed' },
  paused: { resume: 'running', stop: 'stopped', extend: 'paused', fail: 'failed' },
  completed: { extend: 'recruiting' },
  failed: { start: 'recruiting' },
  stopped: {},
};

const words: Readonly<Record<SessionEvent, string>> = {
  start: 'started',
  recruited: 'set running',
  pause: 'paused',
  resume: 'resumed',
  stop: 'stopped',
  extend: 'extended by more rounds',
  complete: 'completed',
  fail: 'failed',
};

/** States in which nothing goes on and no transfer should be open. */
export const restingStates: ReadonlySet<SessionState> = new Set(['planned', 'completed', 'stopped', 'failed']);

/** @returns whether `event` is possible in `state`. */
export function canTransition(state: SessionState, event: SessionEvent): boolean {
  return transitions[state][event] !== undefined;
}

/** @throws FoedusError `conflict` when the table has no such transition */
export function transition(state: SessionState, event: SessionEvent): SessionState {
  const next = transitions[state][event];
  if (next !== undefined) return next;
  const possible = Object.keys(transitions[state]).filter((name) =>
    ['start', 'pause', 'resume', 'stop', 'extend'].includes(name),
  );
  throw new FoedusError(
    'conflict',
    `A session that is ${state} cannot be ${words[event]}. ${
      possible.length === 0
        ? 'Plan a new session instead.'
        : `It can be ${possible.map((name) => words[name as SessionEvent]).join(', ')}.`
    }`,
  );
}

export interface Recruit {
  readonly participantId: string;
  readonly status: ParticipantView['status'];
  readonly note: string | null;
}

export type RecruitingVerdict =
  | { readonly kind: 'wait'; readonly reason: string }
  | { readonly kind: 'run' }
  | { readonly kind: 'fail'; readonly reason: string };

/**
 * Whether a recruiting session can run: when everybody who has not departed is enrolled; after the time for it is over,
 * as soon as the minimum cohort is.
 */
export function recruitingVerdict(
  participants: readonly Recruit[],
  minimumCohort: number,
  timeIsOver: boolean,
): RecruitingVerdict {
  const gone = participants.filter(({ status }) => status === 'departed');
  // A participant that refused is still there and is asked again in the next round.
  const here = participants.filter(({ status }) => status === 'enrolled' || status === 'refused');
  const missing = participants.filter(({ status }) => status === 'invited' || status === 'away');
  if (here.length + missing.length < minimumCohort) {
    const why = gone.map(({ participantId, note }) => `${participantId}: ${note ?? 'left'}`).join(' ');
    return {
      kind: 'fail',
      reason: `${here.length + missing.length} of at least ${minimumCohort} participants can take part. ${why}`.trim(),
    };
  }
  if (here.length >= minimumCohort && (missing.length === 0 || timeIsOver)) return { kind: 'run' };
  const waitingFor = missing.map(({ participantId, note }) =>
    note === null ? participantId : `${participantId} (${note})`,
  );
  return { kind: 'wait', reason: `Waiting for ${waitingFor.join(', ')} to enrol.` };
}
