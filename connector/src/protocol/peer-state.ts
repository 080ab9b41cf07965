import type { PeerClient } from '../identity/index.ts';
import { readAnswer } from './delivery.ts';
import { readMessage } from './messages.ts';
import type { MessageName, ProcessKind } from './outbox.ts';
import type { SignOfLife } from './peer-gate.ts';
import { peerPidOf, type Process } from './process-store.ts';
import { otherRole, type StateMachine } from './state-machine.ts';

/** What a counterparty says about a process when it is asked. */
export type PeerState = { readonly sign: SignOfLife } & (
  | { readonly kind: 'state'; readonly state: string }
  /** It answers 404 (or 410). */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'no answer'; readonly reason: string }
);

/**
 * Asks the counterparty for its view of a process: `GET /negotiations/:pid`, `GET /transfers/:pid` (DSP 2025-1). The
 * answer comes from whoever proves by its certificate to be the counterparty, and names both process ids.
 *
 * @param process with the counterparty's process id
 */
export async function askState(
  { client, attemptTimeoutMs }: { client: PeerClient; attemptTimeoutMs: number },
  kind: ProcessKind,
  process: Process,
  signal: AbortSignal,
): Promise<PeerState> {
  const url = `${process.counterPartyAddress}/${kind}s/${encodeURIComponent(peerPidOf(process) ?? '')}`;
  try {
    const { status, body } = await client.call(url, {
      headers: { accept: 'application/json' },
      expect: process.counterPartyId,
      timeoutMs: attemptTimeoutMs,
      signal,
    });
    if (status >= 500 || status === 429) {
      const reason = `it answered ${status}`;
      return { kind: 'no answer', sign: { reason, retryAfter: 0 }, reason };
    }
    if (status === 404 || status === 410) return { kind: 'unknown', sign: 'answered' };
    const document = readMessage(kind === 'negotiation' ? 'ContractNegotiation' : 'TransferProcess', readAnswer(body));
    if (document.consumerPid !== process.consumerPid || document.providerPid !== process.providerPid) {
      return { kind: 'no answer', sign: 'answered', reason: 'it answered about another process' };
    }
    return { kind: 'state', sign: 'answered', state: document.state };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const failed = (error as { code?: string }).code === 'unavailable' && !signal.aborted;
    return { kind: 'no answer', sign: failed ? { reason, retryAfter: 0 } : 'nothing', reason };
  }
}

/** Messages that say nothing but the state they lead to: where the state is known, the message is not needed. */
const WITHOUT_CONTENT: ReadonlySet<MessageName> = new Set([
  'ContractNegotiationEventMessage:ACCEPTED',
  'ContractNegotiationEventMessage:FINALIZED',
  'ContractNegotiationTerminationMessage',
  'TransferSuspensionMessage',
  'TransferCompletionMessage',
  'TransferTerminationMessage',
]);

/**
 * The message that a counterparty must have sent, when it is in `theirs` and we are in `ours`.
 *
 * @returns undefined where there is none, or its content would be missed
 */
export function inferredMessage<State extends string, Name extends MessageName>(
  machine: StateMachine<State, Name>,
  { role, state: ours }: Pick<Process, 'role' | 'state'>,
  theirs: string,
): Name | undefined {
  const row = machine.rows.find(
    ({ from, sender, to, message }) =>
      from === ours && sender === otherRole(role) && to === theirs && WITHOUT_CONTENT.has(message),
  );
  return row?.message;
}
