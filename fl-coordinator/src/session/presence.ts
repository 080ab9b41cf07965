/**
 * Who has been heard of, and what it says it is doing. Lives in memory: after a restart everybody counts as just seen.
 * A client that is well always has a long poll open, so silence means that it is gone.
 */
import type { ClientPhase } from '@foedus/fl-core';

/**
 * Requests that a participant may send in a session: so many at once, and so many a second in the long run. A round takes
 * fewer than ten, so the fastest of rounds are far below it.
 */
const ASKED_AT_ONCE = 2_000;
const ASKED_A_SECOND = 1_000;

interface Entry {
  /** Requests that it may send at `countedAt`, ms since 1970. */
  left: number;
  countedAt: number;
  open: number;
  lastSeenAt: Date;
  phase: ClientPhase['phase'] | null;
  timer: NodeJS.Timeout | null;
}

export interface Presence extends Disposable {
  /** Counts a request. @returns seconds after which it may come again; 0 when it may be answered now */
  count(sessionId: string, participantId: string): number;
  /** A request of the participant begins. @returns to be called when it ends */
  enter(sessionId: string, participantId: string): () => void;
  /** Starts the time after which a silent participant is away. */
  expect(sessionId: string, participantId: string): void;
  setPhase(sessionId: string, participantId: string, phase: ClientPhase['phase'] | null): void;
  of(sessionId: string, participantId: string): { readonly lastSeenAt: Date | null; readonly phase: Entry['phase'] };
}

const startingAt = (now: Date): Entry => ({
  left: ASKED_AT_ONCE,
  countedAt: now.getTime(),
  open: 0,
  lastSeenAt: now,
  phase: null,
  timer: null,
});

export function createPresence(options: {
  readonly awayAfterMs: number;
  readonly now: () => Date;
  /** Nothing was heard of the participant for `awayAfterMs`. */
  readonly onAway: (sessionId: string, participantId: string, lastSeenAt: Date) => void;
}): Presence {
  const { awayAfterMs, now, onAway } = options;
  const entries = new Map<string, Entry>();
  const entry = (sessionId: string, participantId: string): Entry => {
    const key = `${sessionId} ${participantId}`;
    let found = entries.get(key);
    if (found === undefined) entries.set(key, (found = startingAt(now())));
    return found;
  };
  const disarm = (of: Entry): void => {
    if (of.timer !== null) clearTimeout(of.timer);
    of.timer = null;
  };
  const arm = (of: Entry, sessionId: string, participantId: string): void => {
    disarm(of);
    if (of.open > 0) return;
    of.timer = setTimeout(() => {
      of.phase = null;
      onAway(sessionId, participantId, of.lastSeenAt);
    }, awayAfterMs).unref();
  };
  return {
    count(sessionId, participantId) {
      const of = entry(sessionId, participantId);
      const at = now().getTime();
      // A clock that is set back takes nothing away.
      const passed = Math.max(0, at - of.countedAt) / 1000;
      of.left = Math.min(ASKED_AT_ONCE, of.left + passed * ASKED_A_SECOND);
      of.countedAt = at;
      if (of.left < 1) return Math.ceil((1 - of.left) / ASKED_A_SECOND);
      of.left -= 1;
      return 0;
    },
    enter(sessionId, participantId) {
      const of = entry(sessionId, participantId);
      of.open += 1;
      of.lastSeenAt = now();
      disarm(of);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        of.open -= 1;
        of.lastSeenAt = now();
        arm(of, sessionId, participantId);
      };
    },
    expect(sessionId, participantId) {
      arm(entry(sessionId, participantId), sessionId, participantId);
    },
    setPhase(sessionId, participantId, phase) {
      entry(sessionId, participantId).phase = phase;
    },
    of(sessionId, participantId) {
      const found = entries.get(`${sessionId} ${participantId}`);
      return { lastSeenAt: found?.lastSeenAt ?? null, phase: found?.phase ?? null };
    },
    [Symbol.dispose]() {
      for (const of of entries.values()) disarm(of);
      entries.clear();
    },
  };
}
