import { FoedusError } from '@foedus/connector/errors';
import { createBackOff } from '@foedus/fl-core';
import type { Logger } from 'pino';

/** The program on the other end cannot be reached, or says that it cannot answer now. */
export const isUnavailable = (error: unknown): boolean => error instanceof FoedusError && error.code === 'unavailable';

/**
 * Repeats `work` with growing pauses as long as it fails in a passing way.
 *
 * @param isPassing which failures are worth another try
 * @throws what `work` throws otherwise, or the signal's reason
 */
export async function untilItWorks<T>(
  work: () => Promise<T>,
  {
    signal,
    logger,
    isPassing = isUnavailable,
  }: {
    readonly signal: AbortSignal;
    readonly logger: Logger;
    readonly isPassing?: (error: unknown) => boolean;
  },
): Promise<T> {
  const backOff = createBackOff();
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      logger.warn({ err: error }, `${error instanceof Error ? error.message : 'A call failed'} Trying again.`);
      await backOff.wait(signal);
    }
  }
}
