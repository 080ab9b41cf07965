import { expect, test } from 'vitest';
import { createStaging } from './staging.ts';

const never = new AbortController().signal;

test('no more uploads of a session than buffers are read at the same time, and all get their turn', async () => {
  const staging = createStaging(2);
  let inside = 0;
  let most = 0;
  const buffers = new Set<Uint8Array>();
  const done = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      staging.use('a', 8, never, async (buffer) => {
        expect(buffer.length).toBe(8);
        buffers.add(buffer);
        most = Math.max(most, ++inside);
        await new Promise<void>((resolve) => setImmediate(resolve));
        inside -= 1;
        return i;
      }),
    ),
  );
  expect(done).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(most).toBe(2);
  expect(buffers.size).toBe(2);
  // Given back, whoever still has them.
  for (const buffer of buffers) expect(buffer.length).toBe(0);
});

test('a session whose uploads take long keeps no other one waiting', async () => {
  const staging = createStaging(1);
  const { promise: hold, resolve: release } = Promise.withResolvers<void>();
  const slow = staging.use('a', 1, never, () => hold);
  const behind = staging.use('a', 1, never, async () => 'behind');
  await expect(staging.use('b', 1, never, async () => 'other')).resolves.toBe('other');
  release();
  await slow;
  await expect(behind).resolves.toBe('behind');
});

test('a buffer is given back when its upload fails', async () => {
  const staging = createStaging(1);
  await expect(staging.use('a', 1, never, () => Promise.reject(new Error('cut off')))).rejects.toThrow('cut off');
  await expect(staging.use('a', 1, never, async () => 'next')).resolves.toBe('next');
});

test('who gives up while waiting takes nobody’s place', async () => {
  const staging = createStaging(1);
  const { promise: hold, resolve: release } = Promise.withResolvers<void>();
  const first = staging.use('a', 1, never, () => hold);
  const giveUp = new AbortController();
  const second = staging.use('a', 1, giveUp.signal, async () => 'second');
  const third = staging.use('a', 1, never, async () => 'third');
  giveUp.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  release();
  await first;
  await expect(third).resolves.toBe('third');
});

test('an upload of another length than the one before it gets a buffer of its own length', async () => {
  const staging = createStaging(1);
  const lengths = [2, 5, 5].map((bytes) => staging.use('a', bytes, never, async ({ length }) => length));
  expect(await Promise.all(lengths)).toEqual([2, 5, 5]);
});

test('a large buffer is as long as was asked for, and comes back whole', async () => {
  const staging = createStaging(1);
  let seen: Uint8Array | undefined;
  const bytes = 5_000_001;
  await staging.use('a', bytes, never, async (buffer) => {
    expect(buffer.length).toBe(bytes);
    buffer[bytes - 1] = 7;
    seen = buffer;
  });
  expect(seen?.buffer.byteLength).toBe(0);
});
