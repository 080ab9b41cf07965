/** Float32 values and their little-endian bytes, on hosts of either byte order. */

const hostIsLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/**
 * @returns the values' little-endian bytes. A view of the same memory where the host is little-endian, so it must not
 *   outlive a change of the values.
 */
export function littleEndianBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return hostIsLittleEndian ? bytes : swapped(bytes);
}

/**
 * @param bytes length a multiple of 4, aligned or not
 * @returns a copy as float32 values
 */
export function fromLittleEndianBytes(bytes: Uint8Array): Float32Array {
  // Not slice(): that of a Buffer is a view of the same memory, aligned to nothing.
  const copy = hostIsLittleEndian ? new Uint8Array(bytes) : swapped(bytes);
  return new Float32Array(copy.buffer, copy.byteOffset, copy.byteLength / 4);
}

function swapped(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i ^ 3] ?? 0;
  return out;
}
