/**
 * How parameters and updates travel and lie on disk:
 *
 *     'FDUP' | version u16 | header length u32 | header, JSON in UTF-8 | float32 × count
 *
 * All integers and floats are little-endian. The header is `updateHeaderSchema`; its `payloadHash` covers the floats.
 * The decoder streams: it never holds more than one incoming chunk, and nothing is allocated by a number that the
 * sender chose.
 */
import { createHash, hash } from 'node:crypto';
import { type UpdateHeader, updateHeaderSchema } from '../session/messages.ts';
import { encodeFrame, InvalidUpdateError, nextChunk, readFrameHeader } from './frame.ts';
import { fromLittleEndian, littleEndianBytes } from './float32.ts';

const MAGIC = 'FDUP';

export { littleEndianBytes } from './float32.ts';
export { InvalidUpdateError, MAX_UPDATE_HEADER_BYTES } from './frame.ts';

/** Media type of an encoded update in HTTP. */
export const UPDATE_MEDIA_TYPE = 'application/vnd.foedus.update';

/** What a receiver knows beforehand; a header that says otherwise is refused. */
export type ExpectedHeader = Partial<
  Pick<UpdateHeader, 'sessionId' | 'planHash' | 'round' | 'kind' | 'count' | 'payloadHash'>
>;

export interface DecodeOptions {
  /** The most float32 values that are accepted: the plan's parameterCount. */
  readonly maxCount: number;
  readonly expected?: ExpectedHeader;
}

/**
 * @param header everything but `count` and `payloadHash`, which are taken from the parameters
 * @param parameters float32 [P], finite
 * @throws InvalidUpdateError when a value is not finite; ZodError when the header is not valid
 */
export function encodeUpdate(
  header: Omit<UpdateHeader, 'count' | 'payloadHash'>,
  parameters: Float32Array,
): Uint8Array<ArrayBuffer> {
  requireFinite(parameters, 0);
  const payload = littleEndianBytes(parameters);
  const complete = updateHeaderSchema.parse({
    ...header,
    count: parameters.length,
    payloadHash: hash('sha256', payload, 'hex'),
  });
  return encodeFrame(MAGIC, complete, payload);
}

/**
 * The beginning of an update whose parameters follow in pieces, as littleEndianBytes gives them.
 *
 * @param header its hash and count are of all pieces together
 */
export function encodeUpdateHeader(header: UpdateHeader): Uint8Array<ArrayBuffer> {
  return encodeFrame(MAGIC, updateHeaderSchema.parse(header), new Uint8Array(0));
}

/**
 * Reads parameters into a buffer as they arrive: each byte is copied once.
 *
 * @param source the encoded bytes in chunks of any size; closed when reading fails or ends
 * @param into float32 [count]; only when this returns is its content complete, checked and of its hash
 * @returns the header
 * @throws InvalidUpdateError for a header, values, length or hash that are not right
 */
export async function readUpdateInto(
  source: AsyncIterable<Uint8Array>,
  options: DecodeOptions,
  into: Float32Array,
): Promise<UpdateHeader> {
  const { header } = await readWith(source, options, ({ count }) => {
    if (count === into.length) return into;
    throw new InvalidUpdateError('bad-request', `The update has ${count} parameters; ${into.length} were expected.`);
  });
  return header;
}

/**
 * Reads parameters into new memory.
 *
 * @returns the header and float32 [count], complete and checked
 * @throws InvalidUpdateError as readUpdateInto
 */
export async function readUpdate(
  source: AsyncIterable<Uint8Array>,
  options: DecodeOptions,
): Promise<{ readonly header: UpdateHeader; readonly parameters: Float32Array }> {
  return await readWith(source, options, ({ count }) => new Float32Array(count));
}

async function readWith(
  source: AsyncIterable<Uint8Array>,
  options: DecodeOptions,
  place: (header: UpdateHeader) => Float32Array,
): Promise<{ readonly header: UpdateHeader; readonly parameters: Float32Array }> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const { header, rest } = await readHeader(iterator, options);
    const parameters = place(header);
    await readPayload(iterator, header, rest, parameters);
    return { header, parameters };
  } finally {
    await iterator.return?.();
  }
}

async function readHeader(
  iterator: AsyncIterator<Uint8Array>,
  options: DecodeOptions,
): Promise<{ header: UpdateHeader; rest: Uint8Array }> {
  const { header: json, rest } = await readFrameHeader(iterator, MAGIC);
  const header = parseHeader(json);
  if (header.count > options.maxCount) {
    throw new InvalidUpdateError(
      'too-large',
      `The update has ${header.count} parameters; the model of this session has at most ${options.maxCount}.`,
    );
  }
  for (const [field, value] of Object.entries(options.expected ?? {})) {
    const stated = header[field as keyof ExpectedHeader];
    if (value !== undefined && stated !== value) {
      throw new InvalidUpdateError('bad-request', `The update's ${field} is ${stated}, but ${value} was expected.`);
    }
  }
  return { header, rest };
}

function parseHeader(json: unknown): UpdateHeader {
  const parsed = updateHeaderSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') || 'header';
    throw new InvalidUpdateError('bad-request', `The update's header is not valid: ${where}: ${issue?.message}.`);
  }
  return parsed.data;
}

async function readPayload(
  iterator: AsyncIterator<Uint8Array>,
  header: UpdateHeader,
  rest: Uint8Array,
  into: Float32Array,
): Promise<void> {
  const digest = createHash('sha256');
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  let received = 0;
  /** Values that are complete and have been looked at. */
  let checked = 0;
  for (let chunk: Uint8Array | undefined = rest; chunk !== undefined; chunk = await nextChunk(iterator)) {
    if (chunk.length > bytes.length - received) {
      throw new InvalidUpdateError(
        'bad-request',
        `More than the ${bytes.length} bytes of parameters that the update's header announces were sent.`,
      );
    }
    digest.update(chunk);
    bytes.set(chunk, received);
    received += chunk.length;
    // While they are in the processor's cache.
    const whole = into.subarray(checked, Math.floor(received / 4));
    fromLittleEndian(whole);
    requireFinite(whole, checked);
    checked += whole.length;
  }
  if (received < bytes.length) {
    throw new InvalidUpdateError(
      'bad-request',
      `The update ends after ${received} of the ${bytes.length} bytes of parameters that its header announces.`,
    );
  }
  if (digest.digest('hex') !== header.payloadHash) {
    throw new InvalidUpdateError('bad-request', "The parameters' SHA-256 is not the payloadHash of the header.");
  }
}

function requireFinite(values: Float32Array, firstIndex: number): void {
  // A number times 0 is 0, NaN and ±∞ times 0 are NaN; and NaN plus anything is NaN. Four sums do not wait for each other.
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < values.length; i += 4) {
    a += values[i]! * 0;
    b += values[i + 1]! * 0;
    c += values[i + 2]! * 0;
    d += values[i + 3]! * 0;
  }
  for (; i < values.length; i++) a += values[i]! * 0;
  if (a + b + c + d === 0) return;
  const at = values.findIndex((value) => !Number.isFinite(value));
  throw new InvalidUpdateError('bad-request', `Parameter ${firstIndex + at} is ${values[at]}, not a finite number.`);
}
