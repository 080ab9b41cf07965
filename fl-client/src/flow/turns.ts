/** @returns gives the turn back; only the first call counts */
export type Turns = (key: string, signal: AbortSignal) => Promise<() => void>;

/**
 * Lets so many of each key in at the same time; the others wait, first come, first served.
 *
 * @returns takes a turn; throws the signal's reason when it aborts before
 */
export function createTurns(most: number): Turns {
  const held = new Map<string, { taken: number; readonly queue: (() => void)[] }>();
  return async (key, signal) => {
    signal.throwIfAborted();
    let of = held.get(key);
    if (of === undefined) held.set(key, (of = { taken: 0, queue: [] }));
    const { queue } = of;
    if (of.taken < most) of.taken += 1;
    else {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const enter = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        queue.splice(queue.indexOf(enter), 1);
        reject(signal.reason as Error);
      };
      queue.push(enter);
      signal.addEventListener('abort', leave, { once: true });
      await promise;
    }
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const next = queue.shift();
      if (next !== undefined) return next();
      of.taken -= 1;
      if (of.taken === 0) held.delete(key);
    };
  };
}
