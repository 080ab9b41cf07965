/** Which rows of a column are not NULL: a byte each while gathering, a bit each in the batch, nothing when all are. */
export interface Validity {
  readonly rows: number;
  readonly nulls: number;
  /** Notes `count` rows of a vector, and calls `onNull` with the index, within the batch, of every NULL. */
  append(mask: Uint8Array | null, from: number, count: number, onNull: (index: number) => void): void;
  /** Notes `count` rows that are NULL. */
  appendNulls(count: number): void;
  readonly isNull: (index: number) => boolean;
  /** The rows so far; none are noted afterwards. */
  take(): { nullCount: number; nullBitmap: Uint8Array | null };
}

export function isValid(mask: Uint8Array | null, row: number): boolean {
  return mask === null || (((mask[row >> 3] as number) >> (row & 7)) & 1) === 1;
}

export function createValidity(capacity: number): Validity {
  let flags: Uint8Array | undefined;
  let rows = 0;
  let nulls = 0;
  /** Flags for `size` rows; they exist only from the first NULL on. */
  const flagsFor = (size: number): Uint8Array => {
    if (flags !== undefined && flags.length >= size) return flags;
    const larger = new Uint8Array(Math.max(capacity, size, (flags?.length ?? 0) * 2)).fill(1);
    if (flags !== undefined) larger.set(flags);
    flags = larger;
    return flags;
  };
  const drop = (index: number, size: number): void => {
    flagsFor(size)[index] = 0;
    nulls += 1;
  };
  return {
    get rows() {
      return rows;
    },
    get nulls() {
      return nulls;
    },
    append(mask, from, count, onNull) {
      const size = rows + count;
      if (mask !== null) {
        for (let i = 0; i < count; i++) {
          const row = from + i;
          if (((mask[row >> 3] as number) >> (row & 7)) & 1) continue;
          drop(rows + i, size);
          onNull(rows + i);
        }
      }
      rows = size;
    },
    appendNulls(count) {
      const size = rows + count;
      for (let i = rows; i < size; i++) drop(i, size);
      rows = size;
    },
    isNull: (index) => flags !== undefined && flags[index] === 0,
    take() {
      const taken = { nullCount: nulls, nullBitmap: nulls === 0 ? null : packed(flagsFor(rows), rows) };
      if (nulls > 0) flags?.fill(1, 0, rows);
      rows = 0;
      nulls = 0;
      return taken;
    },
  };
}

/** @returns one bit for each of the first `rows` bytes, least significant first, as Arrow has it */
export function packed(flags: Uint8Array, rows: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  for (let i = 0; i < rows; i++) bits[i >> 3] = (bits[i >> 3] as number) | ((flags[i] as number) << (i & 7));
  return bits;
}
