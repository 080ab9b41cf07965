/** Reading the bodies of uploads from senders that may stall, lie or go away. */
import { FoedusError } from '@foedus/connector/errors';

/** Bytes a second: whoever sends more slowly is waited for no longer than for one that is silent. */
export const SLOWEST = 16_384;

/**
 * The chunks of `body`. Ends the stream when it is left early. The place that an upload takes while it is read is one that
 * others wait for, so it is kept by bytes that come, not by each of them: every `SLOWEST` of them buy a second.
 *
 * @param idleMs the longest silence between two chunks
 * @throws FoedusError `bad-request` when the sender is silent for too long, too slow or goes away; the signal's reason
 */
export async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  let stopped: { readonly reason: unknown } | null = null;
  let bytes = 0;
  let waitedMs = 0;
  // Ends the read that is waited for. A race against a promise that lasts would keep every chunk until its end.
  const stop = (reason: unknown): void => {
    stopped ??= { reason };
    void reader.cancel().catch(() => undefined);
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    signal.throwIfAborted();
    const since = performance.now();
    const left = idleMs + (bytes / SLOWEST) * 1_000 - waitedMs;
    const why =
      left < idleMs
        ? `Only ${bytes} bytes came in ${Math.round((waitedMs + left) / 1_000)} seconds. Upload again, faster.`
        : `No byte came for ${idleMs / 1_000} seconds. Upload again.`;
    const patience = setTimeout(() => stop(new FoedusError('bad-request', why)), Math.min(idleMs, left));
    try {
      const read = await reader.read().catch((cause: unknown) => (stopped === null ? cutOff(cause) : undefined));
      bytes += read?.value?.length ?? 0;
      return read?.value;
    } finally {
      clearTimeout(patience);
      waitedMs += performance.now() - since;
    }
  };
  const onAbort = (): void => stop(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      const chunk = await next();
      if (stopped !== null) throw (stopped as { readonly reason: unknown }).reason;
      if (chunk === undefined) return;
      yield chunk;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Not awaited: a sender that is stuck must not hold a staging buffer.
    void reader.cancel().catch(() => undefined);
  }
}

/** Reads and forgets what a client is still sending, so that it gets the answer instead of a broken connection. */
export async function discard(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  idleMs: number,
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  for await (const chunk of chunksOf(body, idleMs, signal)) {
    bytes += chunk.length;
    if (bytes > maxBytes) return;
  }
}

function cutOff(cause: unknown): never {
  throw new FoedusError('bad-request', 'The upload was cut off. Send it again.', { cause });
}
