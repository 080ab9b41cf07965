import { FoedusError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import type { Transaction } from '../store/transact.ts';
import { readReason, writeDocument, writeMessage, writeReason, type MessageType } from './messages.ts';
import type { Inbox } from './inbox.ts';
import type { MessageName, Outbox, OutboxEntry, ProcessKind } from './outbox.ts';
import { peerPidOf, type Process, type ProcessStore } from './process-store.ts';
import { illegal, receive, receiveFirst, unknownProcess, type Incoming } from './receive.ts';
import { INITIAL, isFinal, otherRole, transition, type Role, type StateMachine } from './state-machine.ts';
import { compactTerms, isObject } from './terms.ts';

/** The fields that a conversation itself writes. */
export interface Conversing<State extends string> extends Process {
  readonly state: State;
  readonly reason?: string | undefined;
  readonly updatedAt: string;
}

type Answer = Record<string, unknown>;
type Pids = { readonly consumerPid?: string | undefined; readonly providerPid?: string | undefined };

export interface ConversationOptions<P extends Conversing<State>, State extends string, Name extends MessageName> {
  readonly kind: ProcessKind;
  readonly machine: StateMachine<State, Name>;
  readonly termination: Name;
  readonly store: ProcessStore<P>;
  readonly group: GroupCommit;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly events: Events;
  readonly clock: () => Date;
  /** What holds only as long as a state does: written over the process whenever it moves. */
  readonly forget?: Partial<P>;
  /** Called inside the transaction for every new state, once it is stored. It may say something to it. */
  readonly changed: (transaction: Transaction, process: P, before: State | undefined, by: 'us' | 'them') => void;
  /** Called for every message that came from a counterparty. */
  readonly heard: (participantId: string) => void;
  /** Called when a new state is durable. */
  readonly moved: (kind: ProcessKind, process: Process) => void;
  /** What else a message without content changes, when it was inferred from the counterparty's state. */
  readonly inferred: (transaction: Transaction, process: P, name: Name) => Partial<P>;
}

/**
 * What negotiations and transfers share: a process that two connectors keep in step by messages. A change of state,
 * the message that announces it and its entry in the log are one transaction.
 */
export interface Conversation<P, State extends string, Name extends string> {
  /** Starts a conversation: stores `process` and sends its first message. */
  begin(process: P, name: Name, fields: Record<string, unknown>): Promise<P>;
  /**
   * Says something: moves the process along its state machine and sends the message.
   *
   * @throws FoedusError `illegal-transition`
   */
  say(transaction: Transaction, process: P, name: Name, fields: Record<string, unknown>, patch?: Partial<P>): P;
  /** Ends the conversation with a termination message. @throws FoedusError `illegal-transition` */
  terminate(transaction: Transaction, process: P, why: { code?: string | undefined; reason?: string | undefined }): P;
  /** Handles a message about an existing process. @throws FoedusError see `receive` */
  hear(
    incoming: Incoming,
    id: string,
    name: Name,
    pids: Pids,
    effect?: (transaction: Transaction, process: P, next: State) => Partial<P>,
  ): Promise<Answer>;
  /** Handles a first message. `create` returns the process to store. @throws FoedusError see `receiveFirst` */
  hearFirst(
    incoming: Incoming,
    name: Name,
    sender: Role,
    peerPid: string,
    create: (state: State) => P,
  ): Promise<Answer>;
  /** @throws FoedusError `not-found`, also for a caller who is not the counterparty */
  stateFor(caller: string, id: string): Answer;
  /** For the dispatcher: the counterparty has the message. */
  delivered(entry: OutboxEntry, answer: unknown): void;
  /** For the dispatcher: it will never have it. */
  undeliverable(entry: OutboxEntry, reason: string): Promise<void>;
  /**
   * The counterparty is in a state that only its message `name` leads to, and the message never came: applies it.
   * Nothing happens where the process is not in the state any more that it was seen in.
   */
  infer(id: string, seen: string, name: Name): Promise<void>;
  /** The counterparty knows nothing of the process: ends it, without a message. */
  abandon(id: string, reason: string): Promise<void>;
}

export function createConversation<P extends Conversing<State>, State extends string, Name extends MessageName>(
  options: ConversationOptions<P, State, Name>,
): Conversation<P, State, Name> {
  const { kind, machine, termination, forget, store, group, inbox, outbox, events, clock, heard, inferred } = options;
  const { states } = machine;
  const terminated = states.find((state) => state === 'TERMINATED')!;

  const changed: typeof options.changed = (transaction, process, before, by) => {
    transaction.after(() => options.moved(kind, process));
    // Last: it may take the next step already.
    options.changed(transaction, process, before, by);
  };
  const acknowledge = ({ consumerPid, providerPid, state }: P): Answer =>
    writeDocument(kind === 'negotiation' ? 'ContractNegotiation' : 'TransferProcess', {
      consumerPid: consumerPid ?? '',
      providerPid: providerPid ?? '',
      state,
    });
  const move = (transaction: Transaction, process: P, state: State, by: 'us' | 'them', patch: Partial<P>): P => {
    const moved = { ...process, ...forget, ...patch, state, updatedAt: clock().toISOString() };
    store.save(moved);
    changed(transaction, moved, process.state, by);
    return moved;
  };
  /** Moves the process as a message of the counterparty wants it. */
  const take = (transaction: Transaction, process: P, next: State, patch: Partial<P>): P => {
    // Whatever was still to be said is of no use to a counterparty that has ended the process.
    if (isFinal(machine, next)) outbox.clear(process.id);
    return move(transaction, process, next, 'them', patch);
  };
  const send = (
    transaction: Transaction,
    id: string,
    name: Name,
    fields: Record<string, unknown>,
    initial: boolean,
  ) => {
    const [type] = name.split(':') as [MessageType];
    outbox.add(transaction, { processId: id, kind, name, initial, message: writeMessage(type, fields) });
  };

  const say: Conversation<P, State, Name>['say'] = (transaction, process, name, fields, patch = {}) => {
    const next = transition(machine, process.state, name, process.role);
    if (next === undefined) throw illegal(name, process.state, process.role);
    send(transaction, process.id, name, fields, false);
    return move(transaction, process, next, 'us', patch);
  };
  const terminate: Conversation<P, State, Name>['terminate'] = (transaction, process, why) => {
    const reason = why.reason ?? why.code;
    return say(
      transaction,
      process,
      termination,
      { ...writeReason(why) },
      (reason === undefined ? {} : { reason }) as Partial<P>,
    );
  };

  const learnPeerPid = (id: string, answer: unknown): void => {
    const process = store.get(id);
    if (!process || peerPidOf(process) !== undefined) return;
    const term = process.role === 'consumer' ? 'providerPid' : 'consumerPid';
    const document = compactTerms(answer);
    const pid = isObject(document) ? document[term] : undefined;
    // Without it, the first message that comes back will tell.
    if (typeof pid !== 'string' || pid === '' || pid.length > 2048) return;
    store.save({ ...process, [term]: pid });
  };

  return {
    begin: (process, name, fields) =>
      group.run((transaction) => {
        if (transition(machine, INITIAL, name, process.role) !== process.state) {
          throw illegal(name, INITIAL, process.role);
        }
        store.insert(process);
        send(transaction, process.id, name, fields, true);
        changed(transaction, process, undefined, 'us');
        return process;
      }),
    say,
    terminate,

    hear: async (incoming, id, name, pids, effect = () => ({})) => {
      const answer = await receive(
        { group, inbox, outbox },
        {
          ...incoming,
          machine,
          name,
          pids,
          process: () => store.get(id),
          acknowledge,
          take: (transaction, process, next) => {
            const patch = effect(transaction, process, next);
            if (name !== termination) return take(transaction, process, next, patch);
            const reason = readReason(compactTerms(incoming.body) as { reason?: unknown[] });
            const why = (reason === undefined ? {} : { reason }) as Partial<P>;
            return take(transaction, process, next, { ...patch, ...why });
          },
        },
      );
      heard(incoming.caller);
      return answer;
    },

    hearFirst: async (incoming, name, sender, peerPid, create) => {
      const answer = await receiveFirst(
        { group, inbox, outbox },
        {
          ...incoming,
          machine,
          name,
          sender,
          existing: () => store.byPeer(otherRole(sender), incoming.caller, peerPid),
          acknowledge,
          create: (transaction, state) => {
            const process = create(state);
            store.insert(process);
            changed(transaction, process, undefined, 'them');
            return process;
          },
        },
      );
      heard(incoming.caller);
      return answer;
    },

    stateFor: (caller, id) => {
      const process = store.get(id);
      if (!process || process.counterPartyId !== caller) throw unknownProcess();
      return acknowledge(process);
    },

    delivered: (entry, answer) => {
      // If that is lost in a crash, the message is sent again, and the answer tells the process id again.
      outbox.removeSoon(entry, () => entry.initial && learnPeerPid(entry.processId, answer));
    },

    undeliverable: (entry, reason) =>
      group.run((transaction) => {
        events.record(transaction, { type: 'undeliverable', processId: entry.processId, message: entry.name, reason });
        outbox.clear(entry.processId);
        const process = store.get(entry.processId);
        if (!process || isFinal(machine, process.state)) return;
        const patch = { reason } as Partial<P>;
        if (peerPidOf(process) === undefined) move(transaction, process, terminated, 'us', patch);
        else say(transaction, process, termination, { ...writeReason({ code: 'undeliverable', reason }) }, patch);
      }),

    infer: (id, seen, name) =>
      group.run((transaction) => {
        const process = store.get(id);
        if (process?.state !== seen) return;
        const next = transition(machine, process.state, name, otherRole(process.role));
        if (next === undefined) throw illegal(name, process.state, otherRole(process.role));
        const patch = inferred(transaction, process, name);
        const reason = 'The counterparty has ended it; its message with the reason did not arrive.';
        const why = (name === termination ? { reason } : {}) as Partial<P>;
        take(transaction, process, next, { ...patch, ...why });
      }),

    abandon: (id, reason) =>
      group.run((transaction) => {
        const process = store.get(id);
        if (!process || isFinal(machine, process.state)) return;
        outbox.clear(id);
        move(transaction, process, terminated, 'us', { reason } as Partial<P>);
      }),
  };
}

/** @throws FoedusError `not-found` with the operator's view of it */
export function existing<P>(process: P | undefined, what: string, id: string): P {
  if (process) return process;
  throw new FoedusError('not-found', `There is no ${what} ${id} here. List them to find the right id.`);
}
