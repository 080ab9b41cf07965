/** A stored model as the body of an answer: read from the store as fast as the receiver takes it. */
import { encodeUpdateHeader, littleEndianBytes } from '@foedus/fl-core';
import type { SessionRecord } from '../store/records.ts';
import type { ModelEntry, ModelRegistry } from '../store/model-registry.ts';

export interface ModelBody {
  /** Bytes of the whole. */
  readonly length: number;
  /** Everything; a model that is forgotten meanwhile ends it with an error. */
  readonly pieces: () => Generator<Uint8Array<ArrayBuffer>, void>;
}

/** Several of them wait for each connection. */
const PIECE_BYTES = 32_768;

/** The model in the update codec, kind `model`. */
export function modelBody(
  models: Pick<ModelRegistry, 'parameters'>,
  session: Pick<SessionRecord, 'id' | 'planHash' | 'parameters'>,
  { round, hash }: ModelEntry,
): ModelBody {
  const { id: sessionId, planHash, parameters: count } = session;
  const header = encodeUpdateHeader({ sessionId, planHash, round, kind: 'model', count, payloadHash: hash });
  return {
    length: header.length + count * Float32Array.BYTES_PER_ELEMENT,
    *pieces() {
      yield header;
      let given = 0;
      for (let part = 0; given < count; part++) {
        const values = models.parameters(sessionId, round, part);
        if (values === undefined) throw new Error(`the model of round ${round} of ${sessionId} is not kept any more`);
        given += values.length;
        const bytes = littleEndianBytes(values);
        if (bytes.length <= PIECE_BYTES) yield bytes as Uint8Array<ArrayBuffer>;
        else {
          for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.slice(at, at + PIECE_BYTES);
          (values.buffer as ArrayBuffer).transfer(0);
        }
      }
    },
  };
}

/** The body in one piece, for models that many ask for at the same time. */
export function wholeOf({ length, pieces }: ModelBody): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces()) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Pieces that an HTTP server may have read ahead of what it has sent: three before the first, then one at a time. */
const READ_AHEAD = 4;

/**
 * The body piece by piece, read as they are sent. The memory of those that are sent goes back at once: buffers lie
 * outside the engine's heap, so it lets tens of megabytes of them pile up.
 */
export function streamOf({ pieces }: ModelBody): ReadableStream<Uint8Array> {
  const source = pieces();
  const given: Uint8Array<ArrayBuffer>[] = [];
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = source.next();
        if (given.length === READ_AHEAD) given.shift()!.buffer.transfer(0);
        if (next.done === true) return controller.close();
        given.push(next.value);
        controller.enqueue(next.value);
      },
      cancel() {
        source.return();
      },
    },
    { highWaterMark: 0 },
  );
}
