/**
 * A member's input to a round under secure aggregation, as it travels and lies on the member's disk: a frame ('FDMI')
 * whose payload are ring elements packed to the ring's bits, under the member's masks.
 */
import { createHash, hash } from 'node:crypto';
import { z } from 'zod';
import { privacyStatementSchema } from '../session/messages.ts';
import { encodeFrame, InvalidUpdateError, nextChunk, readFrameHeader } from './frame.ts';

const MAGIC = 'FDMI';
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

/** Media type of a masked input in HTTP. */
export const MASKED_INPUT_MEDIA_TYPE = 'application/vnd.foedus.masked-input';

export const maskedInputHeaderSchema = z.strictObject({
  sessionId: z.uuid(),
  round: z.int().min(1),
  /** Names the round's terms: cohort, model, policies and all. */
  termsHash: hex32,
  /** Of the payload. */
  bytes: z.int().min(1).max(2_000_000_000),
  /** SHA-256 of the payload, hex. */
  payloadHash: hex32,
  privacy: privacyStatementSchema.nullable(),
});
export type MaskedInputHeader = z.infer<typeof maskedInputHeaderSchema>;

/** @param packed what maskInput gave */
export function encodeMaskedInput(
  header: Omit<MaskedInputHeader, 'bytes' | 'payloadHash'>,
  packed: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const complete = { ...header, bytes: packed.length, payloadHash: hash('sha256', packed, 'hex') };
  return encodeFrame(MAGIC, maskedInputHeaderSchema.parse(complete), packed);
}

/**
 * Reads a masked input into `into`, whole and checked.
 *
 * @param into as many bytes as the round's inputs have; its content is only right when this returns
 * @param source closed at the end, and when something is wrong
 * @throws InvalidUpdateError for another round or other terms, another length, or a payload that its hash does not fit
 */
export async function readMaskedInput(
  source: AsyncIterable<Uint8Array>,
  expected: Pick<MaskedInputHeader, 'sessionId' | 'round' | 'termsHash'>,
  into: Uint8Array,
): Promise<MaskedInputHeader> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const { header: json, rest } = await readFrameHeader(iterator, MAGIC);
    const header = checkedHeader(json, expected, into.length);
    const digest = createHash('sha256');
    let received = 0;
    for (let chunk: Uint8Array | undefined = rest; chunk !== undefined; chunk = await nextChunk(iterator)) {
      if (received + chunk.length > into.length) {
        throw new InvalidUpdateError('bad-request', `More than the ${into.length} bytes of a masked input were sent.`);
      }
      digest.update(chunk);
      into.set(chunk, received);
      received += chunk.length;
    }
    if (received < into.length) {
      throw new InvalidUpdateError('bad-request', `The masked input ends after ${received} of ${into.length} bytes.`);
    }
    if (digest.digest('hex') !== header.payloadHash) {
      throw new InvalidUpdateError('bad-request', "The payload's SHA-256 is not the payloadHash of the header.");
    }
    return header;
  } finally {
    await iterator.return?.();
  }
}

function checkedHeader(
  json: unknown,
  expected: Pick<MaskedInputHeader, 'sessionId' | 'round' | 'termsHash'>,
  bytes: number,
): MaskedInputHeader {
  const parsed = maskedInputHeaderSchema.safeParse(json);
  if (!parsed.success) {
    throw new InvalidUpdateError(
      'bad-request',
      `The masked input's header is not valid. ${z.prettifyError(parsed.error)}`,
    );
  }
  for (const [field, value] of Object.entries({ ...expected, bytes })) {
    const stated = parsed.data[field as keyof typeof expected | 'bytes'];
    if (stated === value) continue;
    throw new InvalidUpdateError('bad-request', `The masked input's ${field} is ${stated}, not ${value}.`);
  }
  return parsed.data;
}
