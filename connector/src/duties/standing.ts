import type { DutyStanding } from './model.ts';

/** What a duty's state follows from. Milliseconds since 1970. */
export interface DutyFacts {
  /** Since when it is known, or since when data were received: the time that there is for it begins here. */
  readonly since: number;
  /** Its clock has not started. */
  readonly waits: boolean;
  readonly opensAt?: number | undefined;
  /** The last moment at which it is in time. */
  readonly dueAt?: number | undefined;
  readonly fulfilled: boolean;
}

/** A duty with an end is due for the last tenth of its time, and for this long at most, in milliseconds. */
const LONGEST_DUE = 24 * 60 * 60 * 1000;

/**
 * How a duty stands at a moment, and when that changes by itself. A function of facts alone: whatever was missed while
 * the node was down, the next look finds the right state.
 *
 * @returns `next`: the first moment with another state; absent where none comes by itself
 */
export function standingAt(facts: DutyFacts, now: number): { state: DutyStanding; next?: number } {
  const { waits, dueAt, fulfilled } = facts;
  if (fulfilled) return { state: 'done' };
  if (waits) return { state: 'pending' };
  if (dueAt !== undefined && now > dueAt) return { state: 'overdue' };
  const from = dueFrom(facts);
  if (now < from) return { state: 'pending', next: from };
  return { state: 'due', ...(dueAt !== undefined && { next: dueAt + 1 }) };
}

function dueFrom({ since, opensAt, dueAt }: DutyFacts): number {
  if (dueAt === undefined) return opensAt ?? since;
  const lead = Math.min(LONGEST_DUE, Math.max(0, dueAt - since) / 10);
  return Math.min(dueAt, Math.max(opensAt ?? since, Math.ceil(dueAt - lead)));
}
