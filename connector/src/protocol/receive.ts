import { FoedusError } from '../errors.ts';
import { digest } from '../identity/index.ts';
import type { GroupCommit } from '../store/group-commit.ts';
import type { Transaction } from '../store/transact.ts';
import type { Inbox } from './inbox.ts';
import type { MessageName, Outbox } from './outbox.ts';
import { peerPidOf, type Process } from './process-store.ts';
import { INITIAL, isFinal, otherRole, transition, type Role, type StateMachine } from './state-machine.ts';
import { isObject } from './terms.ts';

/** A message about an existing process, read and validated; `body` is it as it came. */
export interface Incoming {
  /** Participant id from the caller's certificate. */
  readonly caller: string;
  readonly body: unknown;
}

type Answer = Record<string, unknown>;

/** How long a message waits at most, in milliseconds, for one of ours that it has crossed and that goes first. */
const PATIENCE = 2_000;

interface Mailboxes {
  readonly group: GroupCommit;
  readonly inbox: Inbox;
  readonly outbox: Pick<Outbox, 'nextName' | 'clear' | 'gone'>;
}

/**
 * Handles one incoming message of a conversation that exists: foreign or unknown, repeated, illegal, or taken.
 * All in one transaction; nothing is changed unless `take` runs to its end.
 *
 * Where both sides have said something at the same time, each for itself legally, the message that ends the process
 * goes before one that does not, and else the provider's before the consumer's. Who yields forgets what it wanted to
 * say; whose message goes first lets the other's wait until it has arrived, and if that takes long, come again. So both
 * end up in the same state, unless both have ended the process: a final state is never left.
 *
 * @param process our record by the id in the path, if there is one
 * @param pids the process ids that the message carries
 * @param take stores the process in its new state and returns it
 * @param acknowledge the answer for a process
 * @throws FoedusError `not-found` for unknown and for foreign processes alike, `bad-request` for process ids that do
 *   not belong together, `illegal-transition`, `unavailable` while our own message goes first
 */
export async function receive<P extends Process, State extends string, Name extends MessageName>(
  { group, inbox, outbox }: Mailboxes,
  message: Incoming & {
    machine: StateMachine<State, Name>;
    name: Name;
    process: () => P | undefined;
    pids: { consumerPid?: string | undefined; providerPid?: string | undefined };
    take: (transaction: Transaction, process: P, next: State) => P;
    acknowledge: (process: P) => Answer;
  },
): Promise<Answer> {
  const hash = digest(message.body);
  const attempt = (transaction: Transaction): { answer: Answer } | { waitsFor: string } => {
    const process = message.process();
    if (!process || process.counterPartyId !== message.caller) throw unknownProcess();
    const known = withPeerPid(process, message.pids);
    const sender = otherRole(process.role);
    const direct = transition(message.machine, process.state as State, message.name, sender);
    const ours = direct === undefined ? (outbox.nextName(process.id) as Name | undefined) : undefined;
    const crossed = ours === undefined ? undefined : crossing(message, process, ours);
    const next = direct ?? crossed;
    const earlier = inbox.answerTo(process.id, hash);
    // A message with an @id is one message however often it comes. Without one, equal bytes may be a new message (a
    // second suspension); no message is legal directly after itself, so legality tells which.
    if (earlier && (next === undefined || hasId(message.body))) return { answer: earlier };
    if (next === undefined) throw illegal(message.name, process.state, sender);
    if (crossed !== undefined) {
      if (!goesFirst(message.machine, { state: crossed, sender }, process.state)) return { waitsFor: process.id };
      outbox.clear(process.id);
    }
    const answer = message.acknowledge(message.take(transaction, known, next));
    inbox.put(process.id, hash, answer);
    return { answer };
  };
  const first = await group.run(attempt);
  if ('answer' in first) return first.answer;
  await outbox.gone(first.waitsFor, PATIENCE);
  const second = await group.run(attempt);
  if ('answer' in second) return second.answer;
  throw ourTurn();
}

/** Where a message leads that was said before ours was known, if it was legal then. */
function crossing<State extends string, Name extends string>(
  { machine, name }: { machine: StateMachine<State, Name>; name: Name },
  { role, state }: Process,
  ours: Name,
): State | undefined {
  const both = machine.states.filter((before) => transition(machine, before, ours, role) !== undefined);
  const next = both.map((before) => transition(machine, before, name, otherRole(role))).find(Boolean);
  return next !== undefined && isFinal(machine, state) && isFinal(machine, next) ? undefined : next;
}

/** Whether what they said goes before what we said, which has led us to `ours`. */
function goesFirst(
  machine: { readonly final: readonly string[] },
  theirs: { state: string; sender: Role },
  ours: string,
): boolean {
  if (isFinal(machine, theirs.state) !== isFinal(machine, ours)) return isFinal(machine, theirs.state);
  return theirs.sender === 'provider';
}

/**
 * Handles the first message of a conversation, idempotent by the sender's process id: the same content is the same
 * message, whatever `@id` it has.
 *
 * @param existing the process that the sender already has under this process id
 * @param create stores the new process and returns it
 */
export async function receiveFirst<P extends Process, State extends string, Name extends MessageName>(
  { group, inbox }: Mailboxes,
  message: Incoming & {
    machine: StateMachine<State, Name>;
    name: Name;
    sender: Role;
    existing: () => P | undefined;
    create: (transaction: Transaction, state: State) => P;
    acknowledge: (process: P) => Answer;
  },
): Promise<Answer> {
  const { '@id': _id, ...content } = isObject(message.body) ? message.body : {};
  const hash = digest(content);
  return await group.run((transaction) => {
    const existing = message.existing();
    const earlier = existing && inbox.answerTo(existing.id, hash);
    if (earlier) return earlier;
    if (existing) throw illegal(message.name, existing.state, message.sender);
    const state = transition(message.machine, INITIAL, message.name, message.sender);
    if (state === undefined) throw illegal(message.name, INITIAL, message.sender);
    const process = message.create(transaction, state);
    const answer = message.acknowledge(process);
    inbox.put(process.id, hash, answer);
    return answer;
  });
}

/** Unknown and foreign are answered alike, so that nobody learns which processes others have. */
export function unknownProcess(): FoedusError {
  return new FoedusError('not-found', 'There is no such process between you and this connector.');
}

export function illegal(message: string, state: string, sender: Role): FoedusError {
  return new FoedusError('illegal-transition', `The ${sender} may not send ${message} in the state ${state}.`, {
    details: { state },
  });
}

function ourTurn(): FoedusError {
  return new FoedusError('unavailable', 'A message of ours about this process is on its way to you. Take it first.', {
    // It is only this process that has to wait, and no longer than our message takes.
    details: { retryAfterSeconds: 0 },
  });
}

/** Learns the counterparty's process id from its first message about the process; afterwards it must stay the same. */
function withPeerPid<P extends Process>(
  process: P,
  pids: { consumerPid?: string | undefined; providerPid?: string | undefined },
): P {
  const [own, peer] =
    process.role === 'consumer' ? (['consumerPid', 'providerPid'] as const) : (['providerPid', 'consumerPid'] as const);
  if (pids[own] !== undefined && pids[own] !== process.id) throw wrongPid(own);
  const known = peerPidOf(process);
  if (known !== undefined && pids[peer] !== undefined && pids[peer] !== known) throw wrongPid(peer);
  return known === undefined && pids[peer] !== undefined ? { ...process, [peer]: pids[peer] } : process;
}

/** @param reason JSON path, colon, what is wrong there */
export function badMessage(reason: string): FoedusError {
  return new FoedusError('bad-request', reason, { details: { reasons: [reason] } });
}

function wrongPid(term: string): FoedusError {
  return badMessage(`$.${term}: is not the process id of this process`);
}

function hasId(body: unknown): boolean {
  return typeof (body as { '@id'?: unknown })['@id'] === 'string';
}
