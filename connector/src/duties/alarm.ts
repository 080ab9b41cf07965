import type { Logger } from 'pino';

/** Rings when it is time, and when somebody says that something has changed. */
export interface Alarm extends AsyncDisposable {
  wake(): void;
}

/** It rings at least so often, in milliseconds: clocks are set, machines sleep. */
const AT_LEAST = 60 * 60 * 1000;

/**
 * One ring after the other. What comes while it rings makes it ring once more.
 *
 * @param ring does what there is to do, and says when there is something to do next
 */
export function createAlarm(options: {
  clock: () => Date;
  logger: Logger;
  ring: () => Promise<Date | undefined>;
}): Alarm {
  const { clock, logger, ring } = options;
  let timer: NodeJS.Timeout | undefined;
  let ringing: Promise<void> | undefined;
  let again = false;
  let stopped = false;

  const once = async (): Promise<void> => {
    let next: Date | undefined;
    try {
      next = await ring();
    } catch (error) {
      logger.error({ err: error }, 'duties could not be looked at');
      next = new Date(clock().getTime() + 60_000);
    }
    const left = next === undefined ? AT_LEAST : Math.max(0, next.getTime() - clock().getTime());
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(wake, Math.min(AT_LEAST, left)).unref();
  };
  const wake = (): void => {
    if (stopped) return;
    if (ringing !== undefined) {
      again = true;
      return;
    }
    again = false;
    // Not inside whatever has woken it.
    ringing = new Promise((resolve) => setImmediate(resolve))
      .then(() => (stopped ? undefined : once()))
      .finally(() => {
        ringing = undefined;
        if (again) wake();
      });
  };
  return {
    wake,
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(timer);
      await ringing;
    },
  };
}
