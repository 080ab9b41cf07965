/**
 * Who has been heard of, and what it says it is doing. Lives in memory: after a restart everybody counts as just seen.
 * A client that is well always has a long poll open, so silence means that it is gone.
 */
import type { ClientPhase } from '@foedus/fl-core';

interface Entry {
  open: number;
  lastSeenAt: Date;
  phase: ClientPhase['phase'] | null;
  timer: NodeJS.Timeout | null;
}

export interface Presence extends Disposable {
  /** A request of the participant begins. @returns to be called when it ends */
  enter(sessionId: string, participantId: string): () => void;
  /** Starts the time after which a silent participant is away. */
  expect(sessionId: string, participantId: string): void;
  setPhase(sessionId: string, participantId: string, phase: ClientPhase['phase'] | null): void;
  of(sessionId: string, participantId: string): { readonly lastSeenAt: Date | null; readonly phase: Entry['phase'] };
}

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
    if (found === undefined) entries.set(key, (found = { open: 0, lastSeenAt: now(), phase: null, timer: null }));
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
