import { pipeline } from 'node:stream/promises';
import { Readable, type Transform } from 'node:stream';
import { FoedusError } from '../../errors.ts';
import { createGzip, createZstdCompress } from 'node:zlib';

/** What a body leaves in; `identity`: as it is. */
export const ENCODINGS = ['zstd', 'gzip', 'identity'] as const;
export type ContentEncoding = (typeof ENCODINGS)[number];

/**
 * A body that is read as fast as its reader takes it. It ends cleanly only after the last piece: a source that fails
 * or is aborted ends in an error.
 *
 * @param release called once when nobody reads any more
 */
export function byteStream(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>,
  signal: AbortSignal,
  release: () => Promise<void>,
): ReadableStream<Uint8Array> {
  let abort = (): void => undefined;
  const end = async (): Promise<void> => {
    signal.removeEventListener('abort', abort);
    await release();
  };
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      // At once, also when nobody reads just now.
      abort = () => {
        controller.error(signal.reason);
        void end();
      };
      signal.addEventListener('abort', abort, { once: true });
    },
    async pull(controller) {
      try {
        const { done, value } = await pieces.next();
        signal.throwIfAborted();
        if (!done) return controller.enqueue(value);
      } catch (error) {
        await end();
        throw error;
      }
      await end();
      controller.close();
      // A reader that brought its own buffer waits for it back.
      controller.byobRequest?.respond(0);
    },
    async cancel() {
      await pieces.return(undefined);
      await end();
    },
  });
}

/** Compresses pieces as they come: as many wait as the compressor takes at a time. */
export async function* compressed(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>,
  encoding: ContentEncoding,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  if (encoding === 'identity') return yield* pieces;
  const compressor: Transform = encoding === 'gzip' ? createGzip({ level: 1 }) : createZstdCompress();
  const fed = pipeline(Readable.from(pieces, { objectMode: true }), compressor);
  // Its failure reaches the reader through the compressor.
  fed.catch(() => undefined);
  try {
    // Byte streams take the buffer of a piece: it must not be shared with others.
    for await (const piece of compressor) yield new Uint8Array(piece as Buffer);
    await fed;
  } finally {
    compressor.destroy();
  }
  return undefined;
}

/** Ends in an error before more than `limit` bytes have left: what a policy grants of one answer. */
export async function* limited(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>,
  limit: number | null,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  if (limit === null) return yield* pieces;
  let sent = 0;
  for await (const piece of pieces) {
    sent += piece.byteLength;
    if (sent > limit) {
      throw new FoedusError(
        'too-large',
        `The agreement grants ${limit} bytes at a time, and this is more. Ask for less.`,
      );
    }
    yield piece;
  }
  return undefined;
}
