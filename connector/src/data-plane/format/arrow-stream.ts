import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as arrow from 'apache-arrow';

export const ARROW_STREAM = 'application/vnd.apache.arrow.stream';

/** In place of a length: the buffer is as it was, since compressing did not make it smaller. */
const NOT_COMPRESSED = -1n;

/** hono and Node move bodies fastest in pieces of this size; the default of 64 KiB halves the rate. */
const PIECE_BYTES = 256 * 1024;

// Compressed buffers in IPC messages (Arrow's columnar format, "Compression"), for writing and for reading.
arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, {
  encode: (data) => zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  decode: (data) => zstdDecompressSync(data),
});

/**
 * The Arrow IPC stream of a schema and its batches, in pieces of 256 KiB. The marker of its end comes only after the
 * last batch.
 *
 * @param compression of the buffers of each batch. @default none
 */
export async function* arrowPieces(
  schema: arrow.Schema,
  source: AsyncIterable<arrow.RecordBatch>,
  compression: arrow.CompressionType.ZSTD | null = null,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  const written: Uint8Array[] = [];
  const sink = new (class extends arrow.AsyncByteQueue {
    override write(bytes: Uint8Array): void {
      written.push(bytes);
    }
  })();
  const writer = new StreamWriter({ autoDestroy: false, compressionType: compression });
  writer.reset(sink, schema);
  const pieces = createPieces();
  for await (const batch of source) {
    writer.write(batch);
    for (const bytes of written.splice(0)) yield* pieces.add(bytes);
  }
  writer.finish();
  for (const bytes of written.splice(0)) yield* pieces.add(bytes);
  yield* pieces.rest();
}

/** Cuts what is written into pieces of the same size. */
export function createPieces() {
  let piece = emptyPiece();
  let filled = 0;
  return {
    *add(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + PIECE_BYTES - filled);
        piece.set(part, filled);
        at += part.length;
        filled += part.length;
        if (filled < PIECE_BYTES) continue;
        yield piece;
        // The stream takes the buffer with the piece: each needs its own.
        piece = emptyPiece();
        filled = 0;
      }
    },
    *rest(): Generator<Uint8Array<ArrayBuffer>> {
      // A copy of its own size: nothing else of the buffer goes with it.
      if (filled > 0) yield piece.slice(0, filled);
      filled = 0;
    },
  };
}

/** A buffer that is not cleared first: a piece leaves only when all of it has been written. */
function emptyPiece(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(PIECE_BYTES).buffer);
}

class StreamWriter extends arrow.RecordBatchStreamWriter {
  /** A compressed buffer begins with the length of what it decompresses to. Arrow's writer puts its own there. */
  protected override _compressBodyBuffers(buffers: ArrayBufferView[]) {
    const compressed = super._compressBodyBuffers(buffers);
    for (const [i, { byteLength }] of buffers.entries()) {
      const prefix = compressed.buffers[i * 2] as Uint8Array;
      if (prefix.byteLength === 0) continue;
      const view = new DataView(prefix.buffer, prefix.byteOffset);
      if (view.getBigInt64(0, true) !== NOT_COMPRESSED) view.setBigInt64(0, BigInt(byteLength), true);
    }
    return compressed;
  }
}
