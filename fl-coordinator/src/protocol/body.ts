/** Reading the bodies of uploads from senders that may stall, lie or go away. */
import type { Readable } from 'node:stream';
import { FoedusError } from '@foedus/connector/errors';
import type { Context } from 'hono';

/** Bytes a second: whoever sends more slowly is waited for no longer than for one that is silent. */
export const SLOWEST = 16_384;

/** Bytes that may have come without having been asked for: enough for a batch, little for many senders. */
const MOST_WAITING = 131_072;

/**
 * The body of a request as Node has it: a web stream around it costs more for each chunk than its decoding. It is read
 * either here or there, never both.
 */
export const bodyOf = (c: Context): Readable => (c.env as { readonly incoming: Readable }).incoming;

/**
 * The chunks of `body`, in batches of what has come. What is left of a body when this is left early is its owner's. The
 * place that an upload takes while it is read is one that others wait for, so it is kept by bytes that come, not by each
 * of them: every `SLOWEST` of them buy a second.
 */
async function* batchesOf(
  body: Readable,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  let batch: Uint8Array[] = [];
  let waiting = 0;
  let bytes = 0;
  let waitedMs = 0;
  let end: { readonly error: unknown } | 'whole' | null = body.readableEnded ? 'whole' : null;
  let wake: () => void = () => {};
  const onData = (chunk: Uint8Array): void => {
    batch.push(chunk);
    bytes += chunk.length;
    waiting += chunk.length;
    if (waiting >= MOST_WAITING) body.pause();
    wake();
  };
  const finish = (how: typeof end): void => {
    end ??= how;
    wake();
  };
  const onEnd = (): void => finish('whole');
  const onError = (cause: unknown): void => finish({ error: cutOff(cause) });
  const onClose = (): void => finish({ error: cutOff(body.errored) });
  const onAbort = (): void => finish({ error: signal.reason });

  /** Resolves when something has come or happened. */
  const arrival = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    const since = performance.now();
    const left = idleMs + (bytes / SLOWEST) * 1_000 - waitedMs;
    const why =
      left < idleMs
        ? `Only ${bytes} bytes came in ${Math.round((waitedMs + left) / 1_000)} seconds. Upload again, faster.`
        : `No byte came for ${idleMs / 1_000} seconds. Upload again.`;
    const patience = setTimeout(
      () => finish({ error: new FoedusError('bad-request', why) }),
      Math.min(idleMs, Math.max(0, left)),
    );
    await promise;
    clearTimeout(patience);
    waitedMs += performance.now() - since;
  };

  signal.throwIfAborted();
  signal.addEventListener('abort', onAbort, { once: true });
  body.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  if (body.destroyed) onClose();
  try {
    for (;;) {
      body.resume();
      if (batch.length === 0 && end === null) await arrival();
      // Of one that was cut off, too: nothing comes of what is not whole.
      if (end !== null && end !== 'whole') throw (end as { readonly error: unknown }).error;
      if (batch.length === 0) return;
      const next = batch;
      batch = [];
      waiting = 0;
      yield next;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    body.off('data', onData).off('end', onEnd).off('close', onClose);
    body.pause();
    // Somebody has to listen, or an error that comes now would be nobody's.
    body.off('error', onError).on('error', () => undefined);
  }
}

/**
 * The chunks of `body`.
 *
 * @param idleMs the longest silence between two chunks
 * @throws FoedusError `bad-request` when the sender is silent for too long, too slow or goes away; the signal's reason
 */
export async function* chunksOf(
  body: Readable,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const batch of batchesOf(body, idleMs, signal)) yield* batch;
}

/**
 * The same, each in memory only until the next one is asked for: buffers lie outside the engine's heap, so it lets tens
 * of megabytes of them pile up.
 *
 * @throws FoedusError as chunksOf
 */
export async function* passingChunksOf(
  body: Readable,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const batch of batchesOf(body, idleMs, signal)) {
    for (const chunk of batch) {
      yield chunk;
      const { buffer, byteLength } = chunk;
      // Others lie in a buffer that they share.
      if (buffer.byteLength === byteLength) (buffer as ArrayBuffer).transfer(0);
    }
  }
}

/** Reads and forgets what a client is still sending, so that it gets the answer instead of a broken connection. */
export async function discard(body: Readable, maxBytes: number, idleMs: number, signal: AbortSignal): Promise<void> {
  let bytes = 0;
  for await (const chunk of passingChunksOf(body, idleMs, signal)) {
    bytes += chunk.length;
    if (bytes > maxBytes) return;
  }
}

function cutOff(cause: unknown): FoedusError {
  return new FoedusError('bad-request', 'The upload was cut off. Send it again.', { cause });
}
