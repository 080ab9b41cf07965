/**
 * A fixed number of buffers for each session that uploads are decoded into. Who comes when all are in use waits, without
 * a byte of its body being read: TCP's flow control holds the sender back. So memory depends on the model, not on the
 * clients; and a session whose members are slow keeps no other one waiting.
 */
export interface Staging {
  /**
   * Runs `work` with a buffer of `bytes` bytes of any content, as soon as one of the session's is free, first come first
   * served. The buffer is not to be kept.
   *
   * @throws the signal's reason when it aborts before
   */
  use<T>(
    sessionId: string,
    bytes: number,
    signal: AbortSignal,
    work: (buffer: Uint8Array<ArrayBuffer>) => Promise<T>,
  ): Promise<T>;
}

/**
 * The C library's allocator (glibc) maps what is larger than this apart and gives it back to the system when it is freed;
 * of what is smaller it keeps up to twice the largest (mallopt(3), M_MMAP_THRESHOLD). Memory that nothing is written to is
 * not taken from the system.
 */
const MAPPED_APART = 33_554_432 + 65_536;
/** What would be kept of a smaller buffer does not matter. */
const LARGE = 4_194_304;

const bufferOf = (bytes: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(new ArrayBuffer(bytes < LARGE ? bytes : Math.max(bytes, MAPPED_APART)), 0, bytes);

/** Where a session's uploads wait for each other; there only while somebody uploads. */
interface Places {
  taken: number;
  readonly queue: ((handedOn: Uint8Array<ArrayBuffer> | null) => void)[];
}

/** @param buffers how many uploads of a session are read at the same time */
export function createStaging(buffers: number): Staging {
  const sessions = new Map<string, Places>();

  /** @returns the buffer of the one before, if there was somebody who waited for it */
  const take = async (places: Places, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer> | null> => {
    if (places.taken < buffers) {
      places.taken += 1;
      return null;
    }
    const { queue } = places;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer> | null>();
    const leave = (): void => {
      queue.splice(queue.indexOf(resolve), 1);
      reject(signal.reason as Error);
    };
    queue.push(resolve);
    signal.addEventListener('abort', leave, { once: true });
    // Once resolved, a later abort must not take another's place out of the queue.
    return promise.finally(() => signal.removeEventListener('abort', leave));
  };
  const give = (sessionId: string, places: Places, buffer: Uint8Array<ArrayBuffer>): void => {
    const next = places.queue.shift();
    if (next !== undefined) return next(buffer);
    // When nobody waits, its memory is given back at once, and not at the next collection of garbage.
    buffer.buffer.transfer(0);
    places.taken -= 1;
    if (places.taken === 0) sessions.delete(sessionId);
  };

  return {
    async use(sessionId, bytes, signal, work) {
      signal.throwIfAborted();
      let places = sessions.get(sessionId);
      if (places === undefined) sessions.set(sessionId, (places = { taken: 0, queue: [] }));
      const handedOn = await take(places, signal);
      const fits = handedOn?.length === bytes;
      if (!fits) handedOn?.buffer.transfer(0);
      const buffer = fits ? handedOn : bufferOf(bytes);
      try {
        return await work(buffer);
      } finally {
        give(sessionId, places, buffer);
      }
    },
  };
}
