/** What a client should be doing now: a function of what is stored, so that a restart changes nothing. */
import type { SecureTask, Task } from '@foedus/fl-core';
import type { RoundRecord, SessionRecord } from '../store/records.ts';

/**
 * @param round the newest round, if any
 * @param modelHash of the newest parameters
 * @param cohort participants of the round that are enrolled
 * @param secure the round's terms; null: it is held under secure aggregation without this participant, which joins the
 *   next one; undefined: without secure aggregation
 */
export function taskOf(
  { state, reason, seq }: Pick<SessionRecord, 'state' | 'reason' | 'seq'>,
  round: Pick<RoundRecord, 'round' | 'phase'> | undefined,
  modelHash: string,
  cohort: number,
  secure?: SecureTask | null,
): Task {
  if (state === 'completed' || state === 'stopped' || state === 'failed') {
    return { kind: 'done', seq, reason: reason ?? `The session is ${state}.` };
  }
  // Members of a secure round are at work until its sum is there; what at, its steps say.
  if (state === 'running' && secure !== undefined && (round?.phase === 'training' || round?.phase === 'aggregating')) {
    if (secure === null) return { kind: 'pause', seq };
    const { cohort: members } = secure.terms;
    return { kind: 'train', seq, round: round.round, modelHash, cohort: members.length, secure };
  }
  if (state === 'running' && round?.phase === 'training') {
    return { kind: 'train', seq, round: round.round, modelHash, cohort: Math.max(1, cohort) };
  }
  if (state === 'running' && round?.phase === 'evaluating') {
    return { kind: 'evaluate', seq, round: round.round, modelHash };
  }
  return { kind: 'pause', seq };
}
