/** Ring elements on the wire: `bits` bits each, the lowest first, without gaps. */

/** @returns the bytes that `length` elements take */
export const packedBytes = (length: number, bits: number): number => Math.ceil((length * bits) / 8);

/**
 * @param values words [P]; only the lower `bits` bits are packed
 * @param bits 1 … 32
 */
export function pack(values: Uint32Array, bits: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(packedBytes(values.length, bits));
  const mask = bits === 32 ? 0xffff_ffff : (1 << bits) - 1;
  let held = 0;
  let width = 0;
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]! & mask;
    held |= value << width;
    let rest = width + bits;
    if (rest >= 32) {
      bytes[at] = held;
      bytes[at + 1] = held >>> 8;
      bytes[at + 2] = held >>> 16;
      bytes[at + 3] = held >>> 24;
      at += 4;
      rest -= 32;
      // A shift by 32 would be one by 0.
      held = width === 0 ? 0 : value >>> (32 - width);
    }
    width = rest;
  }
  for (; width > 0; width -= 8, held >>>= 8) bytes[at++] = held;
  return bytes;
}

/**
 * sum ← sum + packed, elementwise: an upload is added as it is read.
 *
 * @param packed packedBytes(sum.length, bits) bytes
 */
export function addPacked(sum: Uint32Array, packed: Uint8Array, bits: number): void {
  const signed = new Int32Array(sum.buffer, sum.byteOffset, sum.length);
  const mask = bits === 32 ? -1 : (1 << bits) - 1;
  let held = 0;
  let width = 0;
  let at = 0;
  for (let i = 0; i < signed.length; i++) {
    if (width >= bits) {
      signed[i] = (signed[i]! + (held & mask)) | 0;
      held = bits === 32 ? 0 : held >>> bits;
      width -= bits;
      continue;
    }
    const next =
      (packed[at] ?? 0) | ((packed[at + 1] ?? 0) << 8) | ((packed[at + 2] ?? 0) << 16) | ((packed[at + 3] ?? 0) << 24);
    at += 4;
    const value = held | (next << width);
    signed[i] = (signed[i]! + (value & mask)) | 0;
    const used = bits - width;
    held = used === 32 ? 0 : next >>> used;
    width = 32 - used;
  }
}

/** @returns the ring elements as integers in [−2^(bits−1), 2^(bits−1)) */
export function centred(sum: Uint32Array, bits: number): Int32Array {
  const shift = 32 - bits;
  const values = new Int32Array(sum.length);
  for (let i = 0; i < values.length; i++) values[i] = (sum[i]! << shift) >> shift;
  return values;
}
