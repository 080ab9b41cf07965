/** How long a session waits. */
import type { RoundRecord, SessionRecord } from '../store/records.ts';

/** Since when a running session without a round has been waiting for one. */
export function lastEnd({ recruitingSince }: SessionRecord, last: RoundRecord | undefined): string | null {
  return last?.endedAt ?? recruitingSince;
}

/**
 * When the session goes on without whomever it waits for, in ms since 1970; null: it waits for nobody.
 *
 * @param last its newest round
 * @param step the deadline of the secure round's step, if one is open
 */
export function deadlineOf(session: SessionRecord, last: RoundRecord | undefined, step: number | undefined) {
  const after = (since: string | null): number | null =>
    since === null ? null : Date.parse(since) + session.plan.roundTimeoutSeconds * 1000;
  if (session.state === 'recruiting') return after(session.recruitingSince);
  if (session.state !== 'running') return null;
  if (last === undefined || last.endedAt !== null) return after(lastEnd(session, last));
  return last.phase === 'evaluating' ? after(last.phaseSince) : (step ?? after(last.phaseSince));
}
