import type duckdb from '@duckdb/node-bindings';
import { isValid } from './column-validity.ts';
import type { VectorReader } from './vector-reader.ts';

/** DuckDB's string in words of 4 bytes: length, then 12 bytes of value, or a prefix and a pointer. */
export const STRING_WORDS = 4;
/** A longer value lies elsewhere. */
export const INLINE_BYTES = 12;
/**
 * Strings whose bytes lie so close behind each other are read at once. Both ends of the gap are in pages that exist,
 * and between them there is no room for another page.
 */
const LARGEST_GAP = 16;
/** From here on a copy by the runtime is faster than one word by word. */
const SHORT_BYTES = 96;

/** Strings of a vector, as they lie there. */
export interface VectorStrings {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly mask: Uint8Array | null;
}

export function readStrings(reader: VectorReader, vector: duckdb.Vector, size: number): VectorStrings {
  const bytes = reader.values(vector, size * STRING_WORDS * 4);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, size * STRING_WORDS);
  return { bytes, words, mask: reader.validity(vector, size) };
}

/** Copies the strings that the vector points to: neighbours at once, and none twice that several rows share. */
export function copyLong(
  strings: VectorStrings,
  from: number,
  count: number,
  offsets: Int32Array,
  target: Uint8Array,
  reader: VectorReader,
): void {
  const { words, mask } = strings;
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  const seen = new Map<number, number>();
  /** Rows of the run of neighbours under way. */
  let run: number[] = [];
  let runStart = 0;
  let runEnd = 0;
  const finish = (): void => {
    if (run.length === 0) return;
    const firstRow = run[0] as number;
    const bytes = reader.pointed(strings.bytes, (from + firstRow) * STRING_WORDS * 4 + 8, runEnd - runStart);
    const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const i of run) {
      const at = pointerOf(words, from + i) - runStart;
      const to = offsets[i] as number;
      const length = (offsets[i + 1] as number) - to;
      if (length > SHORT_BYTES) target.set(bytes.subarray(at, at + length), to);
      else copyShort(source, at, length, view, to);
    }
    run = [];
  };
  for (let i = 0; i < count; i++) {
    const row = from + i;
    const length = words[row * STRING_WORDS] as number;
    if (length <= INLINE_BYTES || !isValid(mask, row)) continue;
    const pointer = pointerOf(words, row);
    const gap = pointer - runEnd;
    if (run.length > 0 && gap >= 0 && gap <= LARGEST_GAP) {
      run.push(i);
      runEnd = pointer + length;
      continue;
    }
    const earlier = seen.get(pointer);
    if (earlier !== undefined && (offsets[earlier + 1] as number) - (offsets[earlier] as number) === length) {
      // The earlier one may still wait in the run.
      if (run.includes(earlier)) finish();
      target.copyWithin(offsets[i] as number, offsets[earlier] as number, (offsets[earlier] as number) + length);
      continue;
    }
    finish();
    run = [i];
    runStart = pointer;
    runEnd = pointer + length;
    seen.set(pointer, i);
  }
  finish();
}

function copyShort(source: DataView, at: number, length: number, target: DataView, to: number): void {
  let k = 0;
  for (; k + 4 <= length; k += 4) target.setUint32(to + k, source.getUint32(at + k, true), true);
  for (; k < length; k++) target.setUint8(to + k, source.getUint8(at + k));
}

/** An address below 2^53, as all that processors use are. */
function pointerOf(words: Uint32Array, row: number): number {
  return (words[row * STRING_WORDS + 2] as number) + (words[row * STRING_WORDS + 3] as number) * 2 ** 32;
}
