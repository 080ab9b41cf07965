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
import { fromLittleEndianBytes, littleEndianBytes } from './float32.ts';

const MAGIC = 'FDUP';

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

export interface DecodedUpdate {
  readonly header: UpdateHeader;
  /**
   * The parameters in order, as float32 chunks of the sizes in which they arrive. Can be read once. Only when it ends
   * without an error are length and payload hash right: keep apart what was read until then.
   */
  readonly chunks: AsyncIterable<Float32Array>;
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
 * Reads and checks the header, then hands out the parameters as they arrive.
 *
 * @param source the encoded bytes in chunks of any size; closed when decoding fails or ends
 * @throws InvalidUpdateError from the call itself (header) or from the iteration (values, length, hash)
 */
export async function decodeUpdate(source: AsyncIterable<Uint8Array>, options: DecodeOptions): Promise<DecodedUpdate> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const { header, rest } = await readHeader(iterator, options);
    return { header, chunks: readPayload(iterator, header, rest) };
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

/**
 * The whole of an update at once, for whoever needs it in one piece (a client that downloads the model).
 *
 * @returns the header and float32 [count], complete and checked
 * @throws InvalidUpdateError as decodeUpdate
 */
export async function readUpdate(
  source: AsyncIterable<Uint8Array>,
  options: DecodeOptions,
): Promise<{ readonly header: UpdateHeader; readonly parameters: Float32Array }> {
  const { header, chunks } = await decodeUpdate(source, options);
  const parameters = new Float32Array(header.count);
  let offset = 0;
  for await (const chunk of chunks) {
    parameters.set(chunk, offset);
    offset += chunk.length;
  }
  return { header, parameters };
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

async function* readPayload(
  iterator: AsyncIterator<Uint8Array>,
  header: UpdateHeader,
  rest: Uint8Array,
): AsyncGenerator<Float32Array, void, undefined> {
  const digest = createHash('sha256');
  const expectedBytes = header.count * 4;
  let received = 0;
  /** Bytes of a value that the end of a chunk has cut: 0 to 3. */
  let cut: Uint8Array = new Uint8Array(0);
  try {
    for (let chunk: Uint8Array | undefined = rest; chunk !== undefined; chunk = await nextChunk(iterator)) {
      if (chunk.length === 0) continue;
      if (chunk.length > expectedBytes - received) {
        throw new InvalidUpdateError(
          'bad-request',
          `More than the ${expectedBytes} bytes of parameters that the update's header announces were sent.`,
        );
      }
      digest.update(chunk);
      const firstValue = (received - cut.length) / 4;
      received += chunk.length;
      const bytes: Uint8Array = cut.length === 0 ? chunk : Buffer.concat([cut, chunk]);
      const whole = bytes.length - (bytes.length % 4);
      const values = fromLittleEndianBytes(bytes.subarray(0, whole));
      cut = new Uint8Array(bytes.subarray(whole));
      requireFinite(values, firstValue);
      if (values.length > 0) yield values;
    }
    if (received < expectedBytes) {
      throw new InvalidUpdateError(
        'bad-request',
        `The update ends after ${received} of the ${expectedBytes} bytes of parameters that its header announces.`,
      );
    }
    if (digest.digest('hex') !== header.payloadHash) {
      throw new InvalidUpdateError('bad-request', "The parameters' SHA-256 is not the payloadHash of the header.");
    }
  } finally {
    await iterator.return?.();
  }
}

function requireFinite(values: Float32Array, firstIndex: number): void {
  // NaN and ±∞ are the values whose difference with themselves is not 0.
  const at = values.findIndex((value) => value - value !== 0);
  if (at < 0) return;
  throw new InvalidUpdateError('bad-request', `Parameter ${firstIndex + at} is ${values[at]}, not a finite number.`);
}
