import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createOutbound } from './outbound.ts';
import { inParts } from './parts.ts';
import type { Part } from './receiver.ts';

async function* pieces(lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  let next = 0;
  for (const length of lengths) yield Uint8Array.from({ length }, () => next++ % 251);
}

test('parts are the stream, all of one size but the last, and do not depend on how the stream came', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(40), { maxLength: 12 }),
      fc.integer({ min: 1, max: 32 }),
      async (lengths, size) => {
        const parts: Part[] = [];
        for await (const part of inParts(pieces(lengths), size)) parts.push({ ...part, bytes: part.bytes.slice() });
        const total = lengths.reduce((sum, length) => sum + length, 0);
        expect(Buffer.concat(parts.map(({ bytes }) => bytes))).toEqual(
          Buffer.from(Uint8Array.from({ length: total }, (_, i) => i % 251)),
        );
        expect(parts.map(({ number }) => number)).toEqual(parts.map((_, i) => i + 1));
        expect(parts.map(({ offset }) => offset)).toEqual(parts.map((_, i) => i * size));
        expect(parts.map(({ last }) => last)).toEqual(parts.map((_, i) => i === parts.length - 1));
        expect(parts.slice(0, -1).every(({ bytes }) => bytes.length === size)).toBe(true);
        expect(parts).toHaveLength(Math.max(1, Math.ceil(total / size)));
      },
    ),
  );
});

const resolved = (allowed: readonly string[], name: string): Promise<unknown> =>
  new Promise((resolve) => {
    createOutbound(allowed).lookup(name, {}, (error, address) => resolve(error ?? address));
  });

test('a name that resolves to this machine or its network is not called, whatever the address said', async () => {
  expect(await resolved([], 'localhost')).toMatchObject({ code: 'not-permitted' });
  expect(['127.0.0.1', '::1']).toContain(await resolved(['127.0.0.0/8', '::1/128'], 'localhost'));
  expect(() => createOutbound(['127.0.0.1'])).toThrow(/10\.0\.0\.0\/8/);
});
