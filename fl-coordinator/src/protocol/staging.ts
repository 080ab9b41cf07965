/**
 * A fixed number of buffers that uploads are decoded into. Who comes when all are in use waits, without a byte of its
 * body being read: TCP's flow control holds the sender back. So memory depends on the model, not on the clients.
 */
export interface Staging {
  /**
   * Runs `work` with a buffer of `length` values of any content, as soon as one is free, first come first served.
   *
   * @throws the signal's reason when it aborts before
   */
  use<T>(length: number, signal: AbortSignal, work: (buffer: Float32Array) => Promise<T>): Promise<T>;
}

/** @param buffers how many uploads are read at the same time */
export function createStaging(buffers: number): Staging {
  // Places, not buffers: a buffer is made when it is needed, and handed on as long as somebody waits.
  const free: null[] = Array.from({ length: buffers }, () => null);
  const queue: ((buffer: Float32Array | null) => void)[] = [];

  const take = async (signal: AbortSignal): Promise<Float32Array | null> => {
    signal.throwIfAborted();
    const buffer = free.pop();
    if (buffer !== undefined) return buffer;
    const { promise, resolve, reject } = Promise.withResolvers<Float32Array | null>();
    const leave = (): void => {
      queue.splice(queue.indexOf(resolve), 1);
      reject(signal.reason as Error);
    };
    queue.push(resolve);
    signal.addEventListener('abort', leave, { once: true });
    // Once resolved, a later abort must not take another's place out of the queue.
    return promise.finally(() => signal.removeEventListener('abort', leave));
  };
  const give = (buffer: Float32Array): void => {
    const next = queue.shift();
    if (next !== undefined) return next(buffer);
    // When nobody waits, its memory is given back at once, and not at the next collection of garbage.
    (buffer.buffer as ArrayBuffer).transfer(0);
    free.push(null);
  };

  return {
    async use(length, signal, work) {
      const taken = await take(signal);
      const buffer = taken?.length === length ? taken : new Float32Array(length);
      try {
        return await work(buffer);
      } finally {
        give(buffer);
      }
    },
  };
}
