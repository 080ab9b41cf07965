/** Ring elements on the wire: `bits` bits each, the lowest first, without gaps. */

/** @returns the bytes that `length` elements take */
export const packedBytes = (length: number, bits: number): number => Math.ceil((length * bits) / 8);

/**
 * @param values words [P]; only the lower `bits` bits are packed
 * @param bits 1 … 32
 */
export function pack(values: Uint32Array, bits: number): Uint8Array<ArrayBuffer> {
  const size = packedBytes(values.length, bits);
  const words = new Int32Array(Math.ceil(size / 4));
  packInto(words, values, bits);
  return new Uint8Array(words.buffer, 0, size);
}

/**
 * As `pack`, to the beginning of `words`.
 *
 * @param words ⌈values.length·bits/32⌉ or more
 */
export function packInto(words: Int32Array, values: Uint32Array, bits: number): void {
  const mask = bits === 32 ? -1 : (1 << bits) - 1;
  let held = 0;
  let width = 0;
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]! & mask;
    held |= value << width;
    width += bits;
    if (width >= 32) {
      words[at++] = held;
      width -= 32;
      // A shift by 32 would be one by 0.
      held = (value >>> 1) >>> (bits - width - 1);
    }
  }
  if (width > 0) words[at] = held;
}

/**
 * sum ← sum + packed, elementwise: an upload is added as it is read.
 *
 * @param packed packedBytes(sum.length, bits) bytes
 */
export function addPacked(sum: Uint32Array, packed: Uint8Array, bits: number): void {
  const signed = new Int32Array(sum.buffer, sum.byteOffset, sum.length);
  const bytes = packed.byteOffset % 4 === 0 ? packed : new Uint8Array(packed);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  // An element may reach into a second word; bits above it do not matter in a sum. The last elements have none.
  const last = Math.max(0, Math.min(signed.length, Math.floor(((words.length - 1) * 32) / bits)));
  for (let i = 0, word = 0, shift = 0; i < last; i++) {
    signed[i] = (signed[i]! + ((words[word]! >>> shift) | ((words[word + 1]! << 1) << (31 - shift)))) | 0;
    shift += bits;
    word += shift >>> 5;
    shift &= 31;
  }
  for (let i = last; i < signed.length; i++) {
    const start = i * bits;
    let value = 0;
    for (let bit = 0; bit < bits; bit++) {
      const place = start + bit;
      value |= ((packed[Math.floor(place / 8)]! >>> (place % 8)) & 1) << bit;
    }
    signed[i] = (signed[i]! + value) | 0;
  }
}

/** @returns the ring elements as integers in [−2^(bits−1), 2^(bits−1)) */
export function centred(sum: Uint32Array, bits: number): Int32Array {
  const shift = 32 - bits;
  const values = new Int32Array(sum.length);
  for (let i = 0; i < values.length; i++) values[i] = (sum[i]! << shift) >> shift;
  return values;
}
