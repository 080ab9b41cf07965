/**
 * The frame that everything large travels in:
 *
 *     magic, 4 bytes | version u16 | header length u32 | header, JSON in UTF-8 | payload
 *
 * All integers are little-endian. Reading never holds more than one incoming chunk and the header.
 */

const VERSION = 1;
const PREFIX_BYTES = 10;

/** A longer header is refused before it is read. */
export const MAX_UPDATE_HEADER_BYTES = 8_192;

/**
 * Bytes that are not what was expected. `code` is one of those that the HTTP edges know: `bad-request`, `too-large`.
 */
export class InvalidUpdateError extends Error {
  override readonly name = 'InvalidUpdateError';
  readonly code: 'bad-request' | 'too-large';

  constructor(code: 'bad-request' | 'too-large', message: string) {
    super(message);
    this.code = code;
  }
}

/** @param magic four ASCII characters */
export function encodeFrame(magic: string, header: object, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(PREFIX_BYTES + json.length + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  view.setUint16(4, VERSION, true);
  view.setUint32(6, json.length, true);
  bytes.set(json, PREFIX_BYTES);
  bytes.set(payload, PREFIX_BYTES + json.length);
  return bytes;
}

/**
 * Reads up to the end of the header.
 *
 * @returns the header as JSON, unchecked, and what has been read of the payload
 * @throws InvalidUpdateError when there is no such frame, or its header is too long or not JSON
 */
export async function readFrameHeader(
  iterator: AsyncIterator<Uint8Array>,
  magic: string,
): Promise<{ readonly header: unknown; readonly rest: Uint8Array }> {
  const take = takeFrom(iterator);
  const prefix = await take(PREFIX_BYTES);
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  if (Buffer.compare(prefix.subarray(0, 4), Buffer.from(magic, 'latin1')) !== 0) {
    throw new InvalidUpdateError('bad-request', `This is not an update: it does not begin with "${magic}".`);
  }
  const version = view.getUint16(4, true);
  if (version !== VERSION) {
    throw new InvalidUpdateError('bad-request', `Version ${version} of the update format is not known here, only 1.`);
  }
  const headerLength = view.getUint32(6, true);
  if (headerLength > MAX_UPDATE_HEADER_BYTES) {
    throw new InvalidUpdateError(
      'too-large',
      `The update's header says it has ${headerLength} bytes; at most ${MAX_UPDATE_HEADER_BYTES} are accepted.`,
    );
  }
  const bytes = await take(headerLength);
  try {
    return { header: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), rest: take.rest() };
  } catch {
    throw new InvalidUpdateError('bad-request', "The update's header is not JSON in UTF-8.");
  }
}

/** @returns the next chunk, or undefined at the end */
export async function nextChunk(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  const next = await iterator.next();
  return next.done === true ? undefined : next.value;
}

/** Reads exact numbers of bytes across chunk boundaries; only used with lengths that are bounded beforehand. */
function takeFrom(iterator: AsyncIterator<Uint8Array>): {
  (length: number): Promise<Uint8Array>;
  rest(): Uint8Array;
} {
  let buffered: Uint8Array = new Uint8Array(0);
  const take = async (length: number): Promise<Uint8Array> => {
    const out = new Uint8Array(length);
    for (let filled = 0; ;) {
      const part = buffered.subarray(0, length - filled);
      out.set(part, filled);
      filled += part.length;
      buffered = buffered.subarray(part.length);
      if (filled === length) return out;
      const next = await iterator.next();
      if (next.done === true) throw new InvalidUpdateError('bad-request', 'The update ends within its header.');
      buffered = next.value;
    }
  };
  return Object.assign(take, { rest: () => buffered });
}
