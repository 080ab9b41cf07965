/**
 * Tells waiting calls in this process that something changed: long polls hold on to it instead of asking the database
 * again and again.
 */
export interface Changes {
  /** Wakes everybody who waits on `topic`. */
  notify(topic: string): void;
  /**
   * Waits for the next change of `topic`, at most `ms` milliseconds.
   *
   * @returns at once when `signal` aborts, or when this node stops
   */
  wait(topic: string, ms: number, signal: AbortSignal): Promise<void>;
  /** Aborts when the node stops: nobody waits any longer then. */
  readonly stopping: AbortSignal;
}

export function createChanges(stopping: AbortSignal): Changes {
  const waiting = new Map<string, Set<() => void>>();
  return {
    stopping,
    notify: (topic) => {
      for (const wake of waiting.get(topic) ?? []) wake();
    },
    wait: async (topic, ms, signal) => {
      if (stopping.aborted || signal.aborted) return;
      await new Promise<void>((resolve) => {
        const listeners = waiting.get(topic) ?? new Set();
        waiting.set(topic, listeners);
        const wake = (): void => {
          clearTimeout(timer);
          stopping.removeEventListener('abort', wake);
          signal.removeEventListener('abort', wake);
          listeners.delete(wake);
          if (listeners.size === 0) waiting.delete(topic);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        stopping.addEventListener('abort', wake);
        signal.addEventListener('abort', wake);
        listeners.add(wake);
      });
    },
  };
}
