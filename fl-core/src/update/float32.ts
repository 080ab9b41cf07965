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

/** Little-endian bytes that lie where values should be become those values, in place. */
export function fromLittleEndian(values: Float32Array): void {
  if (hostIsLittleEndian) return;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  bytes.set(swapped(bytes));
}

function swapped(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i ^ 3] ?? 0;
  return out;
}
