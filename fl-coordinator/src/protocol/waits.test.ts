import { expect, test } from 'vitest';
import { createWaits } from './waits.ts';

test('one participant cannot hold more requests open than its share, and others are not concerned', async () => {
  const waits = createWaits(2);
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<string>();
  const held = [waits.hold('a', () => first.promise), waits.hold('a', () => second.promise)];
  expect([waits.isFree('a'), waits.isFree('b')]).toEqual([false, true]);
  await expect(waits.hold('a', async () => 'never')).rejects.toMatchObject({ code: 'unavailable' });
  await expect(waits.hold('b', async () => 'b')).resolves.toBe('b');
  first.resolve('one');
  await expect(held[0]).resolves.toBe('one');
  await expect(waits.hold('a', async () => 'again')).resolves.toBe('again');
  // One that ends with an error gives its place back, too.
  second.reject(new Error('cut off'));
  await expect(held[1]).rejects.toThrow('cut off');
  const both = [waits.hold('a', async () => 1), waits.hold('a', async () => 2)];
  await expect(Promise.all(both)).resolves.toEqual([1, 2]);
});
