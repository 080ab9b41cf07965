/** What plain and secure rounds have in common: calls that are repeated, and the ways in which a round can end. */
import { hash } from 'node:crypto';
import { FoedusError } from '@foedus/connector/errors';
import type { SignedHead } from '@foedus/connector/operator-client';
import type { ClientPhase } from '@foedus/fl-core';
import type { Logger } from 'pino';
import { ALREADY_RELEASED, type Charging, type Quote, type RoundUse } from './charge.ts';
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

/** The coordinator has gone on without us: the next task says with what. */
export class OutOfStep extends Error {}

export function ignoreOutOfStep(error: unknown): void {
  if (!(error instanceof OutOfStep)) throw error;
}

/** How long a phase must last to be told of, in milliseconds. */
const TELL_AFTER_MS = 250;

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
  /**
   * Sends what was charged, as `ask` does. Where releases of other sessions under the agreement have overtaken the head,
   * the ledger is shown the one that the coordinator holds, and the newest goes along instead.
   *
   * @param head of the ledger after the charge
   * @throws Refused where the ledger is older than what the coordinator holds; as `ask`
   */
  readonly send: <T>(
    agreementId: string,
    head: SignedHead,
    call: (head: SignedHead) => Promise<T>,
    signal: AbortSignal,
    isFatal?: (error: unknown) => boolean,
  ) => Promise<T>;
  /** For whoever watches: nothing depends on it. */
  readonly tell: (round: number, phase: ClientPhase['phase'], signal: AbortSignal) => void;
  /** The quote of a round that is permitted and not released yet. @throws Refused with the node's own words */
  quote(use: RoundUse, signal: AbortSignal): Promise<Quote>;
  /**
   * @param bytes that are to leave; null: none yet, only to learn why not
   * @returns the head of the ledger to send along
   * @throws Refused with the node's own words
   */
  charge(use: RoundUse, bytes: Uint8Array | null, signal: AbortSignal): Promise<SignedHead>;
}

export function createRoundCalls(options: {
  readonly coordinator: CoordinatorClient;
  readonly charging: Charging;
  readonly logger: Logger;
}): RoundCalls {
  const { coordinator, charging, logger } = options;
  let telling: NodeJS.Timeout | undefined;
  const own: RoundCalls['own'] = (call, signal) => untilItWorks(call, { signal, logger });

  const charge: RoundCalls['charge'] = async (use, bytes, signal) => {
    const charged = bytes === null ? use : { ...use, released: hash('sha256', bytes, 'hex') };
    try {
      return await own(() => charging.charge(charged), signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof FoedusError)) throw error;
      throw new Refused(error.code, error.message);
    }
  };

  const ask: RoundCalls['ask'] = async (call, signal, isFatal = () => false) => {
    try {
      const isPassing = (error: unknown): boolean => !outOfStepCodes.has(codeOf(error) ?? '') && !isFatal(error);
      return await untilItWorks(call, { signal, logger, isPassing });
    } catch (error) {
      if (outOfStepCodes.has(codeOf(error) ?? '')) throw new OutOfStep((error as Error).message, { cause: error });
      throw error;
    }
  };

  /** @throws Refused with the own connector's words */
  const present = async (agreementId: string, error: FoedusError, signal: AbortSignal): Promise<SignedHead> => {
    const { ledgerHead } = error.details as { readonly ledgerHead?: SignedHead };
    if (ledgerHead === undefined) throw new Refused(error.code, error.message);
    try {
      return await own(() => charging.present(agreementId, ledgerHead), signal);
    } catch (cause) {
      if (signal.aborted || !(cause instanceof FoedusError)) throw cause;
      throw new Refused(cause.code === 'conflict' ? 'ledger-too-old' : cause.code, cause.message);
    }
  };

  return {
    own,
    charge,
    ask,
    async send<T>(
      agreementId: string,
      head: SignedHead,
      call: (head: SignedHead) => Promise<T>,
      signal: AbortSignal,
      isFatal: (error: unknown) => boolean = () => false,
    ): Promise<T> {
      let newest = head;
      const attempt = async () => {
        for (;;) {
          const overtaken = newest.head.hash;
          try {
            return await call(newest);
          } catch (error) {
            if (!(error instanceof FoedusError) || error.code !== 'older-head') throw error;
            newest = await present(agreementId, error, signal);
            // The ledger has nothing newer to show: to send the same again would be no use.
            if (newest.head.hash === overtaken) throw new Refused(error.code, error.message);
          }
        }
      };
      return await ask(attempt, signal, (error) => error instanceof Refused || isFatal(error));
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
      if (!quote.isPermitted) await charge(use, null, signal);
      return quote;
    },
  };
}
