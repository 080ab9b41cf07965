/** Lets so many at a time do something for each of several parties; others of the same party wait in order. */
export interface Turns {
  /**
   * Waits for a turn, which ends when it is disposed.
   *
   * @throws the reason of `signal` where it aborts first
   */
  take(party: string, signal: AbortSignal): Promise<Disposable>;
}

/** @param most turns of one party at a time, 1 or more */
export function createTurns(most: number): Turns {
  const parties = new Map<string, { taken: number; readonly waiting: Set<() => void> }>();
  return {
    async take(party, signal) {
      signal.throwIfAborted();
      const known = parties.get(party) ?? { taken: 0, waiting: new Set() };
      parties.set(party, known);
      if (known.taken < most) known.taken += 1;
      else {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const leave = (): void => {
          known.waiting.delete(resolve);
          reject(signal.reason as Error);
        };
        known.waiting.add(resolve);
        signal.addEventListener('abort', leave, { once: true });
        // Who waits is given the turn of somebody who leaves: the number of those taken stays.
        await promise.finally(() => signal.removeEventListener('abort', leave));
      }
      let ended = false;
      return {
        [Symbol.dispose]: () => {
          if (ended) return;
          ended = true;
          const [next] = known.waiting;
          if (next !== undefined) {
            known.waiting.delete(next);
            next();
            return;
          }
          known.taken -= 1;
          if (known.taken === 0) parties.delete(party);
        },
      };
    },
  };
}
