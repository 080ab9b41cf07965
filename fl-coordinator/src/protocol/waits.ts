/** Requests that are held open until there is something to answer. */
import { FoedusError } from '@foedus/connector/errors';

/** A client that is well has two open, and for a while those of a connection that was cut off. */
const MOST_OF_ONE = 8;

export interface Waits {
  /** Whether one more request of `key` may be held open. */
  isFree(key: string): boolean;
  /** Holds a request open for `work`. @throws FoedusError `unavailable` when too many of `key` are */
  hold<T>(key: string, work: () => Promise<T>): Promise<T>;
}

/** @param most requests of one key at the same time */
export function createWaits(most = MOST_OF_ONE): Waits {
  const open = new Map<string, number>();
  const isFree = (key: string): boolean => (open.get(key) ?? 0) < most;
  return {
    isFree,
    async hold(key, work) {
      if (!isFree(key)) {
        throw new FoedusError(
          'unavailable',
          `${most} requests of this participant are waiting already. Ask again later.`,
        );
      }
      open.set(key, (open.get(key) ?? 0) + 1);
      try {
        return await work();
      } finally {
        const rest = open.get(key)! - 1;
        if (rest === 0) open.delete(key);
        else open.set(key, rest);
      }
    },
  };
}
