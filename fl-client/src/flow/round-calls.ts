/** What plain and secure rounds have in common: calls that are repeated, and the ways in which a round can end. */
import { FoedusError } from '@foedus/connector/errors';
import type { SignedHead } from '@foedus/connector/operator-client';
import type { ClientPhase } from '@foedus/fl-core';
import type { Logger } from 'pino';
import type { Charging, Quote, RoundUse } from './charge.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import { untilItWorks } from './retry.ts';

/** A refusal that the coordinator is told of, in words that give nothing of this node away. */
export class Refused extends Error {
  readonly code: string;
  /** Whose message it was, where it was another participant's. */
  readonly about: string | undefined;
  constructor(code: string, message: string, about?: string) {
    super(message);
    this.code = code;
    this.about = about;
  }
}

/** Another update of a round whose first one is paid for and gone would not be paid for. */
export const ALREADY_RELEASED = 'already-released';

/** The coordinator has gone on without us: the next task says with what. */
export class OutOfStep extends Error {}

export function ignoreOutOfStep(error: unknown): void {
  if (!(error instanceof OutOfStep)) throw error;
}

/** How long a phase must last to be told of, in milliseconds. */
const TELL_AFTER_MS = 50;

const outOfStepCodes: ReadonlySet<string> = new Set(['round-over', 'dropped-out', 'not-enrolled', 'not-found', 'gone']);

/** @returns the code of a FoedusError; null for other errors */
export const codeOf = (error: unknown): string | null => (error instanceof FoedusError ? error.code : null);

export interface RoundCalls {
  /** A call of the own connector. It must answer before anything is released. */
  readonly own: <T>(call: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  /**
   * A call of the coordinator, repeated until it works or the coordinator has gone on.
   *
   * @param isFatal failures that no other try can mend
   * @throws OutOfStep; what is fatal
   */
  readonly ask: <T>(call: () => Promise<T>, signal: AbortSignal, isFatal?: (error: unknown) => boolean) => Promise<T>;
  /** For whoever watches: nothing depends on it. */
  readonly tell: (round: number, phase: ClientPhase['phase'], signal: AbortSignal) => void;
  /** The quote of a round that is permitted and not released yet. @throws Refused with the node's own words */
  quote(use: RoundUse, signal: AbortSignal): Promise<Quote>;
  /** @returns the head of the ledger to send along. @throws Refused with the node's own words */
  charge(use: RoundUse, signal: AbortSignal): Promise<SignedHead>;
}

export function createRoundCalls(options: {
  readonly coordinator: CoordinatorClient;
  readonly charging: Charging;
  readonly logger: Logger;
}): RoundCalls {
  const { coordinator, charging, logger } = options;
  let telling: NodeJS.Timeout | undefined;
  const own: RoundCalls['own'] = (call, signal) => untilItWorks(call, { signal, logger });

  const charge: RoundCalls['charge'] = async (use, signal) => {
    try {
      return await own(() => charging.charge(use), signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof FoedusError)) throw error;
      throw new Refused(error.code, error.message);
    }
  };

  return {
    own,
    charge,
    async ask(call, signal, isFatal = () => false) {
      try {
        const isPassing = (error: unknown): boolean => !outOfStepCodes.has(codeOf(error) ?? '') && !isFatal(error);
        return await untilItWorks(call, { signal, logger, isPassing });
      } catch (error) {
        if (outOfStepCodes.has(codeOf(error) ?? '')) throw new OutOfStep((error as Error).message, { cause: error });
        throw error;
      }
    },
    tell(round, phase, signal) {
      clearTimeout(telling);
      // A phase that is over in a moment is nothing to watch.
      telling = setTimeout(() => {
        coordinator.phase({ round, phase }, signal).catch(() => undefined);
      }, TELL_AFTER_MS).unref();
    },
    async quote(use, signal) {
      const quote = await own(() => charging.quote(use), signal);
      if (quote.isCharged) {
        throw new Refused(
          ALREADY_RELEASED,
          `An update of round ${use.round} was released before and is not kept any more; another one would not be paid for.`,
        );
      }
      // Before hours of training: the same decision as after them. The ledger's denial is in the node's own words.
      if (!quote.isPermitted) await charge(use, signal);
      return quote;
    },
  };
}
