/** What a client should be doing now: a function of what is stored, so that a restart changes nothing. */
import type { Task } from '@foedus/fl-core';
import type { RoundRecord, SessionRecord } from '../store/records.ts';

/**
 * @param round the newest round, if any
 * @param modelHash of the newest parameters
 * @param cohort participants of the round that are enrolled
 */
export function taskOf(
  { state, reason, seq }: Pick<SessionRecord, 'state' | 'reason' | 'seq'>,
  round: Pick<RoundRecord, 'round' | 'phase'> | undefined,
  modelHash: string,
  cohort: number,
): Task {
  if (state === 'completed' || state === 'stopped' || state === 'failed') {
    return { kind: 'done', seq, reason: reason ?? `The session is ${state}.` };
  }
  if (state === 'running' && round?.phase === 'training') {
    return { kind: 'train', seq, round: round.round, modelHash, cohort: Math.max(1, cohort) };
  }
  if (state === 'running' && round?.phase === 'evaluating') {
    return { kind: 'evaluate', seq, round: round.round, modelHash };
  }
  return { kind: 'pause', seq };
}
