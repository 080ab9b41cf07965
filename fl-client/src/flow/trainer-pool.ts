/**
 * A trainer holds a model, rows and a thread, and a coordinator may start many sessions under one agreement. So this node
 * has a fixed number of places for trainers, whatever the number of sessions.
 */
import type { Trainer } from './trainer.ts';

export interface TrainerPool {
  /**
   * A session's trainer: started when it is first used, kept as long as nobody else needs its place, and started again
   * when it is used after that or after a failure. One call at a time; the others wait for it.
   *
   * Each call throws the signal's reason when that aborts before there is a place, and what `start` throws.
   */
  trainer(start: () => Promise<Trainer>): Trainer;
}

/** A trainer that has a place. */
interface Placed {
  readonly trainer: Trainer;
  isGone: boolean;
}

/**
 * Whoever needs a place gets a free one, or that of the trainer which has been idle for longest, or waits until one is idle:
 * first come, first served. A trainer that is in use is never disposed of.
 *
 * @param places how many trainers live at the same time
 */
export function createTrainerPool(places: number): TrainerPool {
  let taken = 0;
  /** In order of their last use. */
  const idle = new Set<Placed>();
  const queue: (() => void)[] = [];

  const freePlace = (): void => {
    const next = queue.shift();
    if (next === undefined) taken -= 1;
    else next();
  };
  const disposeOf = async (placed: Placed): Promise<void> => {
    placed.isGone = true;
    idle.delete(placed);
    await placed.trainer[Symbol.asyncDispose]();
  };
  const retire = async (placed: Placed): Promise<void> => {
    if (placed.isGone) return;
    try {
      await disposeOf(placed);
    } finally {
      freePlace();
    }
  };
  const takePlace = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (taken < places) {
      taken += 1;
      return;
    }
    const [oldest] = idle;
    // Its place is handed over. What goes wrong with another session's thread is nothing to the one that comes.
    if (oldest !== undefined) return await disposeOf(oldest).catch(() => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      queue.splice(queue.indexOf(enter), 1);
      reject(signal.reason as Error);
    };
    const enter = (): void => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    queue.push(enter);
    signal.addEventListener('abort', leave, { once: true });
    await promise;
  };
  const open = async (start: () => Promise<Trainer>, signal: AbortSignal): Promise<Placed> => {
    await takePlace(signal);
    try {
      return { trainer: await start(), isGone: false };
    } catch (error) {
      freePlace();
      throw error;
    }
  };

  return {
    trainer(start) {
      let own: Placed | null = null;
      let tail: Promise<unknown> = Promise.resolve();
      const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
        const turn = tail.then(work);
        tail = turn.catch(() => undefined);
        return turn;
      };
      const use = <T>(signal: AbortSignal, work: (trainer: Trainer) => Promise<T>): Promise<T> =>
        inTurn(async () => {
          if (own === null || own.isGone) own = await open(start, signal);
          const placed = own;
          idle.delete(placed);
          try {
            const result = await work(placed.trainer);
            rest(placed);
            return result;
          } catch (error) {
            // Its thread may be gone; the next call gets another one.
            if (signal.aborted) rest(placed);
            else await retire(placed);
            throw error;
          }
        });
      const rest = (placed: Placed): void => {
        idle.add(placed);
        if (queue.length > 0) void retire(placed).catch(() => undefined);
      };
      return {
        trainRound: (parameters, round, options) =>
          use(options.signal, (trainer) => trainer.trainRound(parameters, round, options)),
        evaluate: (parameters, options) => use(options.signal, (trainer) => trainer.evaluate(parameters, options)),
        histogram: (parameters, bins, options) =>
          use(options.signal, (trainer) => trainer.histogram(parameters, bins, options)),
        [Symbol.asyncDispose]: () =>
          inTurn(async () => {
            if (own !== null) await retire(own);
          }),
      };
    },
  };
}
