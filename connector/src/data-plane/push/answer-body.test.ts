import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { boundedBody } from './answer-body.ts';

const limits = { bytes: 10, ms: 60_000 };

it('gives an answer as it is where it is short enough', async () => {
  const read = await buffer(boundedBody(Readable.from([Buffer.from('01234'), Buffer.from('56789')]), limits));
  expect(read.toString()).toBe('0123456789');
});

it('ends in an error where an answer is longer, and reads no further', async () => {
  const source = Readable.from([Buffer.from('01234'), Buffer.from('567890')]);
  await expect(buffer(boundedBody(source, limits))).rejects.toMatchObject({ code: 'unavailable' });
  expect(source.destroyed).toBe(true);
});

it('ends in an error where an answer does not end', async () => {
  const source = new Readable({ read: () => undefined });
  source.push('01');
  await expect(buffer(boundedBody(source, { bytes: 10, ms: 20 }))).rejects.toMatchObject({ code: 'unavailable' });
  expect(source.destroyed).toBe(true);
});
