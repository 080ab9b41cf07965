import { setTimeout as pause } from 'node:timers/promises';
import { FoedusError } from '@foedus/connector/errors';
import type { OperatorClient } from '@foedus/connector/operator-client';

/** How long the operator waits before asking a connector again that is down or cannot reach the other, in milliseconds. */
const PATIENCE = 50;

/**
 * Repeats a call of an operator's API until it is answered: a person whose connector is down does that, too. A call
 * whose answer was lost may have had its effect.
 */
export async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isPassing(error)) throw error;
      await pause(PATIENCE);
    }
  }
}

/** Says something about a process whose state may change under the operator's hand. */
export async function unlessIllegal(call: () => Promise<unknown>): Promise<void> {
  try {
    await untilAnswered(call);
  } catch (error) {
    // The same was said before (the answer was lost), or the other side has said something meanwhile.
    if (!(error instanceof FoedusError && error.code === 'illegal-transition')) throw error;
  }
}

/** The connector that is asked is down, or just died, or it cannot reach the other one. */
function isPassing(error: unknown): boolean {
  if (error instanceof FoedusError) return error.code === 'unavailable';
  // The answer broke off: fetch says so with errors of its own.
  return error instanceof TypeError || error instanceof SyntaxError;
}

type Kind = 'negotiation' | 'transfer';

/** Waits until a record is in one of `states`, through any number of restarts. */
export async function untilState(
  operator: OperatorClient,
  kind: Kind,
  id: string,
  states: readonly string[],
): Promise<{ state: string; providerPid?: string | undefined; agreementId?: string | undefined }> {
  return await untilAnswered(async () => {
    try {
      return kind === 'negotiation'
        ? await operator.negotiationUntil(id, states as never)
        : await operator.transferUntil(id, states as never);
    } catch (error) {
      if (!(error instanceof FoedusError && error.code === 'conflict')) throw error;
      return kind === 'negotiation' ? await operator.negotiation(id) : await operator.transfer(id);
    }
  });
}
