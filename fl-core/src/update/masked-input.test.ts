import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeMaskedInput, readMaskedInput } from './masked-input.ts';

const about = { sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90', round: 3, termsHash: 'ab'.repeat(32) };
const privacy = { epsilonSpent: 1.5, epsilonLimit: 4, delta: 1e-5 };

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('a masked input', () => {
  test('is read as it was written, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 400 }),
        async (packed, size) => {
          const bytes = encodeMaskedInput({ ...about, privacy }, packed);
          const into = new Uint8Array(packed.length);
          const header = await readMaskedInput(inChunks(bytes, size), about, into);
          expect(into).toEqual(packed);
          expect(header).toMatchObject({ ...about, privacy, bytes: packed.length });
        },
      ),
    );
  });

  test('with any byte changed, cut or added is refused', async () => {
    const packed = new Uint8Array(randomBytes(64));
    const bytes = encodeMaskedInput({ ...about, privacy: null }, packed);
    const refused = (changed: Uint8Array) =>
      expect(readMaskedInput(inChunks(changed, 50), about, new Uint8Array(64))).rejects.toMatchObject({
        name: 'InvalidUpdateError',
      });
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const changed = bytes.slice();
        changed[at] = changed[at]! ^ by;
        await refused(changed);
      }),
    );
    await refused(bytes.subarray(0, -1));
    await refused(Buffer.concat([bytes, Buffer.of(0)]));
  });

  test('of another session, round, length or other terms is refused', async () => {
    const bytes = encodeMaskedInput({ ...about, privacy: null }, new Uint8Array(8));
    for (const change of [
      { sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e91' },
      { round: 4 },
      { termsHash: 'cd'.repeat(32) },
    ]) {
      await expect(
        readMaskedInput(inChunks(bytes, 99), { ...about, ...change }, new Uint8Array(8)),
      ).rejects.toMatchObject({ code: 'bad-request' });
    }
    await expect(readMaskedInput(inChunks(bytes, 99), about, new Uint8Array(9))).rejects.toMatchObject({
      code: 'bad-request',
    });
  });
});
