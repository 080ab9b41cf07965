import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { FoedusError } from '../errors.ts';
import type { PeerClient } from '../identity/index.ts';
import { retryAfterOf } from './back-off.ts';
import { parseJson } from './json-body.ts';
import { messagePath } from './messages.ts';
import type { OutboxEntry } from './outbox.ts';
import type { SignOfLife } from './peer-gate.ts';
import { peerPidOf, type Process } from './process-store.ts';

/** What became of one attempt to deliver a message. */
export type Outcome = { readonly sign: SignOfLife } & (
  | { readonly kind: 'delivered'; readonly answer: unknown }
  | { readonly kind: 'again'; readonly reason: string; readonly retryAfter: number }
  | { readonly kind: 'refused'; readonly reason: string }
);

export interface DeliveryOptions {
  readonly client: PeerClient;
  readonly clock: () => Date;
  /** One attempt that takes longer counts as failed. Milliseconds, as is the next. */
  readonly attemptTimeoutMs: number;
  /** Trying one message for longer than this ends its process. A counterparty cannot put us off for longer, either. */
  readonly giveUpAfterMs: number;
}

/**
 * Sends a message once.
 *
 * Worth another try: no connection, 404 (a counterparty may tell its process id before it has stored it), 408, 425, 429
 * and every 5xx. Anything else that is no success is the counterparty's answer to this message.
 */
export async function deliver(
  { client, clock, attemptTimeoutMs, giveUpAfterMs }: DeliveryOptions,
  entry: OutboxEntry,
  process: Process,
  signal: AbortSignal,
): Promise<Outcome> {
  const peerPid = peerPidOf(process);
  if (!entry.initial && peerPid === undefined) {
    const reason = 'the counterparty has not told its process id yet';
    return { kind: 'again', sign: 'nothing', reason, retryAfter: 0 };
  }
  const { consumerPid, providerPid } = process;
  const message = entry.initial ? entry.message : { ...entry.message, consumerPid, providerPid };
  const url = process.counterPartyAddress + messagePath(entry.name, entry.initial ? undefined : peerPid);
  const parent = propagation.extract(ROOT_CONTEXT, entry.trace);
  try {
    const { status, headers, body } = await context.with(parent, () =>
      client.call(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(message),
        expect: process.counterPartyId,
        timeoutMs: attemptTimeoutMs,
        signal,
      }),
    );
    // Many answers are empty or say no content type: only what can be read is used.
    const answer = readAnswer(body);
    if (status < 300) return { kind: 'delivered', sign: 'answered', answer };
    const said = `${status}${wordsOf(answer)}`;
    const reason = `it answered ${said}`;
    const retryAfter = Math.min(retryAfterOf(headers, clock()), giveUpAfterMs);
    if (status === 429 || status >= 500) return { kind: 'again', sign: { reason, retryAfter }, reason, retryAfter };
    if (status === 404 || status === 408 || status === 425) {
      return { kind: 'again', sign: 'answered', reason, retryAfter };
    }
    return { kind: 'refused', sign: 'answered', reason: `The counterparty refused the ${entry.name} with ${said}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (signal.aborted) return { kind: 'again', sign: 'nothing', reason, retryAfter: 0 };
    if (error instanceof FoedusError && error.code !== 'unavailable')
      return { kind: 'refused', sign: 'nothing', reason };
    return { kind: 'again', sign: { reason, retryAfter: 0 }, reason, retryAfter: 0 };
  }
}

/** @returns undefined for what is no JSON */
export function readAnswer(body: Uint8Array | undefined): unknown {
  try {
    return body === undefined || body.byteLength === 0 ? undefined : parseJson(body);
  } catch {
    return undefined;
  }
}

/** What a typed error says, shortened. */
function wordsOf(answer: unknown): string {
  const reason = (answer as { reason?: unknown } | undefined)?.reason;
  const words = Array.isArray(reason) ? reason.filter((item) => typeof item === 'string').join('; ') : '';
  return words === '' ? '' : `: ${words.slice(0, 1_000)}`;
}
