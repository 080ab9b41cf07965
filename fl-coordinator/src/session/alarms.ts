/** Node's longest timer, in milliseconds. */
const LONGEST_TIMER = 2_147_483_647;

/** At most one alarm for each session. None of them keeps the process alive. */
export interface Alarms extends Disposable {
  /**
   * Rings at `deadline` (ms since 1970) instead of whenever was set before; null: not at all. One that has passed has
   * had its effect: what the session waits for then is an event.
   */
  set(sessionId: string, deadline: number | null): void;
  /** Rings after so many milliseconds, unless an alarm is set already. */
  after(sessionId: string, milliseconds: number): void;
}

export function createAlarms(ring: (sessionId: string) => void, now: () => number): Alarms {
  const timers = new Map<string, NodeJS.Timeout>();
  let disposed = false;
  const start = (sessionId: string, milliseconds: number): void => {
    if (disposed) return;
    const timer = setTimeout(
      () => {
        timers.delete(sessionId);
        ring(sessionId);
      },
      Math.min(Math.ceil(milliseconds), LONGEST_TIMER),
    );
    timers.set(sessionId, timer.unref());
  };
  return {
    set(sessionId, deadline) {
      clearTimeout(timers.get(sessionId));
      timers.delete(sessionId);
      const wait = deadline === null ? 0 : deadline - now();
      if (wait > 0) start(sessionId, wait);
    },
    after(sessionId, milliseconds) {
      if (!timers.has(sessionId)) start(sessionId, milliseconds);
    },
    [Symbol.dispose]() {
      disposed = true;
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
