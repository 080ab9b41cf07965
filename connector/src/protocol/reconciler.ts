import { randomInt } from 'node:crypto';
import type { Logger } from 'pino';
import type { PeerClient } from '../identity/index.ts';
import type { MessageName, Outbox, OutboxEntry, ProcessKind } from './outbox.ts';
import type { PeerGate } from './peer-gate.ts';
import { askState, inferredMessage, type PeerState } from './peer-state.ts';
import { peerPidOf, type Process } from './process-store.ts';
import { isFinal, openStates, type StateMachine } from './state-machine.ts';

/** Negotiations or transfers, as the exchange of messages sees them. */
export interface Reconciled {
  readonly machine: StateMachine<string, MessageName>;
  readonly store: {
    get(id: string): Process | undefined;
    inStates(states: readonly string[]): readonly (Process & { readonly updatedAt: string })[];
  };
  /** See `Conversation`. */
  readonly conversation: {
    delivered(entry: OutboxEntry, answer: unknown): void;
    undeliverable(entry: OutboxEntry, reason: string): Promise<void>;
    infer(id: string, seen: string, name: MessageName): Promise<void>;
    abandon(id: string, reason: string): Promise<void>;
  };
}

export interface ReconcilerOptions {
  readonly kinds: Readonly<Record<ProcessKind, Reconciled>>;
  readonly outbox: Outbox;
  readonly gate: PeerGate;
  readonly client: PeerClient;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** A process that nothing has happened to for so long may be stuck. Milliseconds, as is the next. */
  readonly askAfterMs: number;
  readonly attemptTimeoutMs: number;
}

/**
 * Brings both sides of a process together again when a message was given up: asks the counterparty for its state, and
 * takes over what that implies.
 *
 * A process that moves on is never asked about. One that does not is asked about after `askAfterMs`, and then ever more
 * rarely, down to once a day: it may wait for a person.
 */
export interface Reconciler extends AsyncDisposable {
  /** Something has happened to the process: it is not stuck. */
  moved(kind: ProcessKind, process: Process): void;
  /** Takes up every open process after a start; what has been still for long is asked about at once. */
  recover(): void;
  /** For the dispatcher: the counterparty refuses a message. Perhaps it is there already. */
  refused(entry: OutboxEntry, reason: string): Promise<void>;
}

/** Longest time between two questions about one process, in milliseconds. */
const RARELY = 24 * 3_600_000;
/** What a timer of Node can wait at most. */
const LONGEST_TIMER = 2 ** 31 - 1;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { kinds, outbox, gate, logger, clock, askAfterMs } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const timers = new Map<string, NodeJS.Timeout>();
  const asking = new Set<Promise<void>>();

  const forget = (id: string): void => {
    clearTimeout(timers.get(id));
    timers.delete(id);
  };
  /** @param asked how often it has been asked about since it moved; `unknown`: how often the answer was 404 */
  const askLater = (kind: ProcessKind, id: string, ms: number, asked: number, unknown: number): void => {
    forget(id);
    if (signal.aborted) return;
    const timer = setTimeout(
      () => {
        timers.delete(id);
        const work = look(kind, id, asked, unknown)
          .catch((error: unknown) => logger.error({ err: error, process: id }, 'a process could not be reconciled'))
          .finally(() => asking.delete(work));
        asking.add(work);
      },
      // What began together need not be asked about together; but timers of a few lengths cost less than of many.
      Math.min(ms + (ms * randomInt(32)) / 320, LONGEST_TIMER),
    );
    timers.set(id, timer.unref());
  };

  const ask = async (kind: ProcessKind, process: Process): Promise<PeerState | undefined> => {
    const turn = await gate.enter(process.counterPartyId, askAfterMs);
    if (!turn.pass) return undefined;
    let answer: PeerState | undefined;
    try {
      answer = await askState(options, kind, process, signal);
      return answer;
    } finally {
      gate.leave(process.counterPartyId, answer?.sign ?? 'nothing');
    }
  };
  /** @returns whether both are in the same state now */
  const adopt = async (kind: ProcessKind, process: Process, theirs: string): Promise<boolean> => {
    if (theirs === process.state) return true;
    const { machine, conversation } = kinds[kind];
    const name = inferredMessage(machine, process, theirs);
    if (name === undefined) return false;
    const { id, counterPartyId, state } = process;
    logger.info({ process: id, counterPartyId, state, theirs }, 'the counterparty is further on than its messages');
    await conversation.infer(id, state, name);
    return true;
  };

  const look = async (kind: ProcessKind, id: string, asked: number, unknown: number): Promise<void> => {
    const { store, machine, conversation } = kinds[kind];
    const process = store.get(id);
    if (!process || isFinal(machine, process.state)) return;
    const next = Math.min(askAfterMs * 2 ** Math.min(asked + 1, 40), Math.max(askAfterMs, RARELY));
    // While there is something to say, the dispatcher finds out whether anybody listens.
    if (peerPidOf(process) === undefined || outbox.head(id)) {
      askLater(kind, id, askAfterMs, asked, unknown);
      return;
    }
    const answer = await ask(kind, process);
    if (answer?.kind === 'state') await adopt(kind, process, answer.state);
    // A consumer need not answer for its transfers; a provider must, and one 404 may be an accident.
    const gone = answer?.kind === 'unknown' && process.role === 'consumer' ? unknown + 1 : 0;
    if (gone > 1) {
      await conversation.abandon(
        id,
        'The counterparty has answered twice that it does not know this process any more.',
      );
      return;
    }
    // Whatever has changed it has set a timer of its own.
    if (!timers.has(id)) askLater(kind, id, gone > 0 ? askAfterMs : next, asked + 1, gone);
  };

  return {
    moved: (kind, { id, state }) => {
      if (isFinal(kinds[kind].machine, state)) forget(id);
      else askLater(kind, id, askAfterMs, 0, 0);
    },
    recover: () => {
      const now = clock().getTime();
      for (const kind of ['negotiation', 'transfer'] as const) {
        const { store, machine } = kinds[kind];
        for (const { id, updatedAt } of store.inStates(openStates(machine))) {
          askLater(kind, id, Math.max(0, Date.parse(updatedAt) + askAfterMs - now), 0, 0);
        }
      }
    },
    refused: async (entry, reason) => {
      const { kind, processId } = entry;
      const { store, conversation } = kinds[kind];
      const process = store.get(processId);
      if (process && peerPidOf(process) !== undefined && !entry.initial) {
        const answer = await ask(kind, process);
        if (signal.aborted) return;
        if (answer?.kind === 'state' && (await adopt(kind, process, answer.state))) {
          outbox.removeSoon(entry);
          return;
        }
      }
      await conversation.undeliverable(entry, reason);
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      for (const id of timers.keys()) forget(id);
      await Promise.allSettled(asking);
    },
  };
}
