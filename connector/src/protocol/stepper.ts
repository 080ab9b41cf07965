import type { Logger } from 'pino';
import { pause, pauseBefore } from './back-off.ts';

/** Does what a process's state asks of this side, whenever a state has changed. */
export interface Stepper extends AsyncDisposable {
  /** The state of the process has (perhaps) changed. Returns at once. */
  wake(id: string): void;
}

/**
 * Runs `step` for each process that was woken: never twice at the same time for one process, once more when it was
 * woken meanwhile. A step that throws is tried again after a pause.
 */
export function createStepper(step: (id: string) => Promise<void>, logger: Logger): Stepper {
  const stopping = new AbortController();
  const running = new Map<string, { again: boolean; done: Promise<void> }>();
  const run = async (id: string, state: { again: boolean }): Promise<void> => {
    for (let failures = 0; state.again && !stopping.signal.aborted;) {
      state.again = false;
      try {
        await step(id);
        failures = 0;
      } catch (error) {
        if (stopping.signal.aborted) return;
        failures += 1;
        state.again = true;
        logger.error({ err: error, process: id }, 'a step failed and is tried again');
        await pause(pauseBefore(failures + 2), stopping.signal);
      }
    }
    running.delete(id);
  };
  return {
    wake: (id) => {
      if (stopping.signal.aborted) return;
      const busy = running.get(id);
      if (busy) {
        busy.again = true;
        return;
      }
      const state = { again: true, done: Promise.resolve() };
      running.set(id, state);
      state.done = Promise.resolve().then(() => run(id, state));
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await Promise.allSettled([...running.values()].map(({ done }) => done));
    },
  };
}
