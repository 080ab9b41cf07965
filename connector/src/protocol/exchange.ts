import type { Logger } from 'pino';
import type { Events } from '../events.ts';
import type { PeerClient } from '../identity/index.ts';
import type { Database } from '../store/database.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import { pauseBefore } from './back-off.ts';
import { createDispatcher, type Dispatcher } from './dispatcher.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { createOutbox, type Outbox, type ProcessKind } from './outbox.ts';
import { createPeerGate, type UnreachablePeer } from './peer-gate.ts';
import type { Process } from './process-store.ts';
import { createReconciler, type Reconciled, type Reconciler } from './reconciler.ts';

/** Messages to one counterparty that are on their way at the same time. */
const LANES_PER_PEER = 16;

export interface DeliverySettings {
  /** One attempt that takes longer counts as failed. */
  readonly attemptTimeoutSeconds: number;
  /** Longest pause between two attempts; the pauses double up to it. */
  readonly longestPauseSeconds: number;
  /** A message that could not be delivered for so long is given up, and what it belongs to is terminated. */
  readonly giveUpAfterSeconds: number;
  /** A process that has not moved for so long is asked about at its counterparty. */
  readonly askAfterSeconds: number;
  /** What was answered about a process is kept for so long after its end. */
  readonly forgetAfterSeconds: number;
}

/** How often what has ended long enough ago is looked for, in milliseconds. */
const FORGET_EVERY = 3_600_000;

/** All that messages between this connector and others pass through, whatever they are about. */
export interface Exchange extends AsyncDisposable {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** A message came from this participant. */
  readonly heard: (participantId: string) => void;
  /** A process has a new state, durably. */
  readonly moved: (kind: ProcessKind, process: Process) => void;
  /** Begins to deliver, with what was open when the program ended last time. */
  start(kinds: Readonly<Record<ProcessKind, Reconciled>>): void;
  /** Counterparties that are out of reach. */
  unreachable(): UnreachablePeer[];
}

export function createExchange(options: {
  database: Database;
  group: GroupCommit;
  client: PeerClient;
  events: Events;
  logger: Logger;
  clock: () => Date;
  delivery: DeliverySettings;
}): Exchange {
  const { database, group, client, events, logger, clock, delivery } = options;
  const giveUpAfterMs = delivery.giveUpAfterSeconds * 1000;
  const attemptTimeoutMs = delivery.attemptTimeoutSeconds * 1000;
  const longestPauseMs = delivery.longestPauseSeconds * 1000;
  const askAfterMs = delivery.askAfterSeconds * 1000;
  const stack = new AsyncDisposableStack();
  const outbox = createOutbox(database, group, clock, (processId) => dispatcher?.wake(processId));
  const gate = createPeerGate({
    lanes: LANES_PER_PEER,
    // Longer than the first pauses of a single message, since there have been several failures already.
    pause: (opening) => Math.min(pauseBefore(opening + 2, { longest: longestPauseMs }), giveUpAfterMs),
    changed: (participantId, state, reason) => events.reachable(participantId, state === 'closed', reason),
  });
  stack.defer(() => gate.close());
  const inbox = createInbox(database, group);
  let dispatcher: Dispatcher | undefined;
  let reconciler: Reconciler | undefined;
  return {
    inbox,
    outbox,
    heard: (participantId) => gate.heard(participantId),
    moved: (kind, process) => reconciler?.moved(kind, process),
    unreachable: () => gate.unreachable(),
    start: (kinds) => {
      const shared = { outbox, gate, client, logger, clock, attemptTimeoutMs };
      const asking = stack.use(createReconciler({ ...shared, kinds, askAfterMs }));
      reconciler = asking;
      dispatcher = stack.use(
        createDispatcher({
          ...shared,
          events,
          giveUpAfterMs,
          longestPauseMs,
          refused: (entry, reason) => asking.refused(entry, reason),
          process: ({ kind, processId }) => kinds[kind].store.get(processId),
          delivered: (entry, answer) => kinds[entry.kind].conversation.delivered(entry, answer),
          undeliverable: (entry, reason) => kinds[entry.kind].conversation.undeliverable(entry, reason),
        }),
      );
      asking.recover();
      dispatcher.recover();
      stack.use(forgetting(inbox, delivery.forgetAfterSeconds * 1000, { clock, logger }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Forgets what has ended long enough ago: now, and every now and then. */
function forgetting(
  inbox: Inbox,
  afterMs: number,
  { clock, logger }: { clock: () => Date; logger: Logger },
): AsyncDisposable {
  const stopping = new AbortController();
  const forget = (): Promise<void> =>
    inbox.forget(new Date(clock().getTime() - afterMs), stopping.signal).catch((error: unknown) => {
      logger.error({ err: error }, 'what was answered long ago could not be forgotten; it is tried again');
    });
  let running = forget();
  const timer = setInterval(() => void (running = running.then(forget)), Math.min(FORGET_EVERY, afterMs)).unref();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      clearInterval(timer);
      await running;
    },
  };
}
