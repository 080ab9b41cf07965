import { expect, test } from 'vitest';
import { createStaging } from './staging.ts';

const never = new AbortController().signal;

test('no more uploads than buffers are read at the same time, and all get their turn', async () => {
  const staging = createStaging(2);
  let inside = 0;
  let most = 0;
  const buffers = new Set<Float32Array>();
  const done = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      staging.use(8, never, async (buffer) => {
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
});

test('a buffer is given back when its upload fails', async () => {
  const staging = createStaging(1);
  await expect(staging.use(1, never, () => Promise.reject(new Error('cut off')))).rejects.toThrow('cut off');
  await expect(staging.use(1, never, async () => 'next')).resolves.toBe('next');
});

test('who gives up while waiting takes nobody’s place', async () => {
  const staging = createStaging(1);
  const { promise: hold, resolve: release } = Promise.withResolvers<void>();
  const first = staging.use(1, never, () => hold);
  const giveUp = new AbortController();
  const second = staging.use(1, giveUp.signal, async () => 'second');
  const third = staging.use(1, never, async () => 'third');
  giveUp.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  release();
  await first;
  await expect(third).resolves.toBe('third');
});

test('a session with a larger model gets a larger buffer', async () => {
  const staging = createStaging(1);
  await staging.use(2, never, async (buffer) => expect(buffer.length).toBe(2));
  await staging.use(5, never, async (buffer) => expect(buffer.length).toBe(5));
});
