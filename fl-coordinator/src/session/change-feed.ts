/** Tells whoever waits in this process that a session has changed. */

export interface ChangeFeed {
  publish(sessionId: string): void;
  /** @returns a function that ends the subscription */
  subscribe(listener: (sessionId: string) => void): () => void;
  /**
   * Resolves at the first change of the session after which `holds` does, after `milliseconds`, or when `signal` aborts,
   * whichever is first. `holds` is asked at every change of the session, and must not throw.
   */
  until(sessionId: string, holds: () => boolean, milliseconds: number, signal: AbortSignal): Promise<void>;
}

export function createChangeFeed(): ChangeFeed {
  const listeners = new Set<(sessionId: string) => void>();
  const subscribe: ChangeFeed['subscribe'] = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    publish(sessionId) {
      for (const listener of listeners) listener(sessionId);
    },
    subscribe,
    until: (sessionId, holds, milliseconds, signal) =>
      new Promise((resolve) => {
        const end = (): void => {
          unsubscribe();
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          resolve();
        };
        const unsubscribe = subscribe((changed) => {
          if (changed === sessionId && holds()) end();
        });
        const timer = setTimeout(end, milliseconds);
        if (signal.aborted) end();
        else signal.addEventListener('abort', end, { once: true });
      }),
  };
}
