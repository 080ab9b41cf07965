import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UpdateHeader } from '../session/messages.ts';
import {
  type DecodeOptions,
  encodeUpdate,
  InvalidUpdateError,
  MAX_UPDATE_HEADER_BYTES,
  readUpdate,
  readUpdateInto,
} from './codec.ts';
import { littleEndianBytes } from './float32.ts';

const header: Omit<UpdateHeader, 'count' | 'payloadHash'> = {
  sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90',
  planHash: 'ab'.repeat(32),
  round: 3,
  kind: 'update',
  privacy: { epsilonSpent: 0.5, epsilonLimit: null, delta: 1e-5 },
  trainingSeconds: 1.5,
};

const parameters = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, noDefaultInfinity: true });
const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 });

/** The bytes in pieces of the given lengths, over and over: by turns arrays of their own and parts of a larger Buffer. */
async function* inPieces(bytes: Uint8Array, lengths: readonly number[] = [7]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    const piece = bytes.subarray(at, at + length);
    yield i % 2 === 0 ? Uint8Array.from(piece) : Buffer.concat([Buffer.alloc(1), piece]).subarray(1);
    at += length;
  }
}

const read = (bytes: Uint8Array, lengths?: readonly number[], options: Partial<DecodeOptions> = {}) =>
  readUpdate(inPieces(bytes, lengths), { maxCount: 1_000, ...options });

describe('an update', () => {
  test('comes out as it went in, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, cuts, async (values, lengths) => {
        const decoded = await read(encodeUpdate(header, values), lengths);
        expect(littleEndianBytes(decoded.parameters)).toEqual(littleEndianBytes(values));
        expect(decoded.header).toMatchObject({ ...header, count: values.length });
      }),
    );
  });

  test('lies on the wire as the format says', () => {
    const bytes = encodeUpdate(header, Float32Array.of(1, -2));
    const length = new DataView(bytes.buffer).getUint32(6, true);
    expect(Buffer.from(bytes.subarray(0, 6)).toString('latin1')).toBe('FDUP\x01\x00');
    expect(JSON.parse(Buffer.from(bytes.subarray(10, 10 + length)).toString())).toMatchObject({ count: 2 });
    expect(Buffer.from(bytes.subarray(10 + length)).toString('hex')).toBe('0000803f000000c0');
  });

  test('goes into a buffer of its very length, and nowhere else in the memory around it', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, cuts, async (values, lengths) => {
        const bytes = encodeUpdate(header, values);
        const around = new Float32Array(values.length + 2).fill(7);
        const into = around.subarray(1, values.length + 1);
        const stated = await readUpdateInto(inPieces(bytes, lengths), { maxCount: 1_000 }, into);
        expect(stated).toMatchObject({ ...header, count: values.length });
        expect(littleEndianBytes(around)).toEqual(littleEndianBytes(Float32Array.of(7, ...values, 7)));
        const longer = readUpdateInto(inPieces(bytes, lengths), { maxCount: 1_000 }, around);
        await expect(longer).rejects.toThrow(/were expected/);
      }),
    );
  });

  test('that ends early anywhere is refused', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, fc.nat(), cuts, async (values, at, lengths) => {
        const bytes = encodeUpdate(header, values);
        const truncated = bytes.subarray(0, at % bytes.length);
        await expect(read(truncated, lengths)).rejects.toBeInstanceOf(InvalidUpdateError);
      }),
    );
  });

  test('that goes on after its end is refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        parameters,
        fc.uint8Array({ minLength: 1, maxLength: 9 }),
        cuts,
        async (values, more, lengths) => {
          const bytes = Buffer.concat([encodeUpdate(header, values), more]);
          await expect(read(bytes, lengths)).rejects.toThrow(/More than/);
        },
      ),
    );
  });

  test('with any bit turned is refused, or says in its header what the turned bit says', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, fc.nat(), fc.nat(7), async (values, at, bit) => {
        const bytes = encodeUpdate(header, values);
        const original = await read(bytes);
        const position = at % bytes.length;
        bytes[position] = (bytes[position] ?? 0) ^ (1 << bit);
        const outcome = await read(bytes).catch((error: unknown) => error);
        if (outcome instanceof InvalidUpdateError) return;
        // Only a number or name of the header can change without breaking it: the payload is covered by its hash.
        const { header: stated, parameters: decoded } = outcome as typeof original;
        expect(stated).not.toEqual(original.header);
        expect(decoded).toEqual(original.parameters);
      }),
      { numRuns: 500 },
    );
  });

  test('of random bytes is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (noise, withMagic) => {
        const bytes = withMagic ? Buffer.concat([Buffer.from('FDUP\x01\x00', 'latin1'), noise]) : noise;
        await expect(read(bytes)).rejects.toBeInstanceOf(InvalidUpdateError);
      }),
    );
  });

  test('with NaN or ∞ among its values is refused and the place named', async () => {
    const place = fc.record({ values: parameters, at: fc.nat(), bad: fc.constantFrom(NaN, Infinity, -Infinity) });
    await fc.assert(
      fc.asyncProperty(place, cuts, async ({ values, at, bad }, lengths) => {
        const index = at % values.length;
        expect(() => encodeUpdate(header, values.with(index, bad))).toThrow(`Parameter ${index} is ${bad}`);
        const bytes = encodeUpdate(header, values);
        const payload = bytes.length - values.length * 4;
        new DataView(bytes.buffer).setFloat32(payload + index * 4, bad, true);
        await expect(read(bytes, lengths)).rejects.toThrow(`Parameter ${index} is ${bad}`);
      }),
    );
  });
});

describe('a header', () => {
  test('that announces more values than the model has is refused before a value is read', async () => {
    const bytes = encodeUpdate(header, new Float32Array(10));
    await expect(read(bytes, [7], { maxCount: 9 })).rejects.toMatchObject({ code: 'too-large' });
  });

  test('of a length beyond the limit is refused without waiting for it', async () => {
    const bytes = new Uint8Array(10);
    bytes.set(Buffer.from('FDUP\x01\x00', 'latin1'));
    new DataView(bytes.buffer).setUint32(6, 0xffff_ffff, true);
    await expect(read(bytes)).rejects.toMatchObject({ code: 'too-large' });
    new DataView(bytes.buffer).setUint32(6, MAX_UPDATE_HEADER_BYTES, true);
    await expect(read(bytes)).rejects.toThrow(/ends within its header/);
  });

  test('of another session, round or kind than expected is refused', async () => {
    const bytes = encodeUpdate(header, new Float32Array(2));
    await expect(read(bytes, [7], { expected: { round: 4 } })).rejects.toThrow('round is 3, but 4 was expected');
    await expect(read(bytes, [7], { expected: { kind: 'model' } })).rejects.toThrow(/kind/);
    const asExpected = await read(bytes, [7], { expected: { kind: 'update', round: 3, count: 2 } });
    expect(asExpected.header).toMatchObject({ ...header, count: 2 });
    expect(asExpected.parameters).toEqual(new Float32Array(2));
  });

  test('that is refused closes its source', async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield new Uint8Array(100);
        yield new Uint8Array(100);
      } finally {
        closed = true;
      }
    }
    await expect(readUpdate(source(), { maxCount: 1 })).rejects.toThrow(/FDUP/);
    expect(closed).toBe(true);
  });
});
