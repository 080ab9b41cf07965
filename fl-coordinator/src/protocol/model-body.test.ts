import { parametersHash, readUpdate } from '@foedus/fl-core';
import { expect, test } from 'vitest';
import { modelBody, streamOf, wholeOf } from './model-body.ts';

const id = '4f0a2a2e-7c1b-4d8e-9a52-0b8f6f1d2c3e';
const planHash = 'ab'.repeat(32);
const count = 20;
const values = Float32Array.from({ length: count }, (_, i) => i / 3);
const entry = { round: 4, hash: parametersHash(values) };
/** Parts of three parameters; `known` of them. */
const modelsOf = (known: number) => ({
  parameters: (_session: string, _round: number, part: number) =>
    part < known ? values.slice(3 * part, 3 * part + 3) : undefined,
});
const body = (known = 7) => modelBody(modelsOf(known), { id, planHash, parameters: count }, entry);

test('a model in pieces is the same update, byte by byte, as in one', async () => {
  const whole = wholeOf(body());
  expect(whole.length).toBe(body().length);
  const chunks: Uint8Array[] = [];
  for await (const piece of streamOf(body())) chunks.push(piece.slice());
  expect(Buffer.concat(chunks).equals(whole)).toBe(true);
  const expected = { sessionId: id, planHash, round: 4, kind: 'model', payloadHash: entry.hash } as const;
  const { parameters } = await readUpdate(streamOf(body()), { maxCount: count, expected });
  expect(parameters).toEqual(values);
});

test('pieces that a server has read ahead are whole; those before them are gone', async () => {
  const pieces: Uint8Array[] = [];
  const lengths: number[] = [];
  for await (const piece of streamOf(body())) {
    pieces.push(piece);
    lengths.push(piece.length);
    const ahead = Math.max(0, pieces.length - 4);
    expect(pieces.map(({ length }) => length)).toEqual(lengths.map((length, i) => (i < ahead ? 0 : length)));
  }
  expect(pieces.length).toBe(8);
});

test('a model that is forgotten while it is sent ends with an error, and not as a shorter one', async () => {
  await expect(readUpdate(streamOf(body(3)), { maxCount: count })).rejects.toThrow('not kept any more');
});
