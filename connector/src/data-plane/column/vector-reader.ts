import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import duckdb from '@duckdb/node-bindings';

/** Reads the memory of DuckDB's vectors. Every read is a copy that the bindings make. */
export interface VectorReader {
  /** The first `bytes` bytes of a vector's values. */
  values(vector: duckdb.Vector, bytes: number): Uint8Array;
  /** The bitmap of a vector's rows that are there; null when all of them are. */
  validity(vector: duckdb.Vector, rows: number): Uint8Array | null;
  /** `bytes` bytes from where the pointer at `at` in `holder`, a copy that was read, points to. */
  pointed(holder: Uint8Array, at: number, bytes: number): Uint8Array;
  /** Frees all copies: nobody may read them afterwards. */
  release(): void;
}

export function createVectorReader(): VectorReader {
  const copies: ArrayBuffer[] = [];
  const kept = (copy: Uint8Array): Uint8Array => {
    // One that shares its memory with others is left to the garbage collector.
    if (copy.byteLength === copy.buffer.byteLength) copies.push(copy.buffer as ArrayBuffer);
    return copy;
  };
  return {
    values: (vector, bytes) => kept(duckdb.vector_get_data(vector, bytes)),
    validity(vector, rows) {
      // The bindings answer null, not an empty array, when nothing in the vector is NULL.
      const bits = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null;
      return bits === null ? null : kept(bits);
    },
    pointed: (holder, at, bytes) =>
      kept(duckdb.get_data_from_pointer(holder.buffer as ArrayBuffer, holder.byteOffset + at, bytes)),
    release() {
      // Left alone, copies of some ten megabytes would make V8 collect its whole heap, again and again.
      for (const copy of copies) copy.transfer(0);
      copies.length = 0;
    },
  };
}

const CHUNKS_AT_ONCE = 64;
/** Pieces of the answer wait with them: from some more megabytes on, V8 would collect its whole heap for their sake. */
const BYTES_AT_ONCE = 3 * 1024 * 1024;

/**
 * Lets go of chunks that were read. The bindings free a chunk only when its handle is collected, and V8 does not know
 * how large it is, so without this hundreds of megabytes would wait. A collection of the young generation takes well
 * under a millisecond, and chunks never get older than that.
 *
 * @returns to be called with each chunk that was read, and its size in bytes as far as known
 */
export function createChunkRelease(): (bytes: number) => void {
  let chunks = 0;
  let held = 0;
  return (bytes) => {
    chunks += 1;
    held += bytes;
    if (chunks < CHUNKS_AT_ONCE && held < BYTES_AT_ONCE) return;
    chunks = 0;
    held = 0;
    collectYoung();
  };
}

let collect: ((options: { type: 'minor' }) => void) | undefined;

function collectYoung(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('globalThis.gc') as typeof collect;
    // Nothing else in the process is to see it.
    setFlagsFromString('--no-expose-gc');
  }
  collect?.({ type: 'minor' });
}
