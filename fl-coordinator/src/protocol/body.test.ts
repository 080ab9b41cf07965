import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { chunksOf, discard, SLOWEST } from './body.ts';

const never = new AbortController().signal;
const streamOf = (...chunks: Uint8Array[]) => ReadableStream.from(chunks);
const read = async (source: AsyncIterable<Uint8Array>): Promise<number[]> => {
  const all: number[] = [];
  for await (const chunk of source) all.push(...chunk);
  return all;
};

test('hands out the chunks in order', async () => {
  const body = streamOf(Uint8Array.of(1, 2), Uint8Array.of(3));
  expect(await read(chunksOf(body, 1_000, never))).toEqual([1, 2, 3]);
});

test('gives up a sender that is silent for too long', async () => {
  const body = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
  await expect(read(chunksOf(body, 5, never))).rejects.toMatchObject({ code: 'bad-request' });
});

test('ends at once when it is aborted, although the sender is stuck', async () => {
  const body = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
  const stop = new AbortController();
  const reading = read(chunksOf(body, 60_000, stop.signal));
  stop.abort(new Error('a newer upload'));
  await expect(reading).rejects.toThrow('a newer upload');
});

describe('a sender that is never silent for long', () => {
  afterEach(() => void vi.useRealTimers());
  /** So many bytes every 0.9 seconds. */
  async function* dripping(bytes: number, chunks: number): AsyncGenerator<Uint8Array> {
    for (let given = 0; given < chunks; given++) {
      await new Promise((resolve) => setTimeout(resolve, 900));
      yield new Uint8Array(bytes);
    }
  }
  const reading = (bytes: number, chunks: number): Promise<number | string> => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    return read(chunksOf(ReadableStream.from(dripping(bytes, chunks)), 1_000, never)).then(
      (all) => all.length,
      (error: unknown) => (error as { code: string }).code,
    );
  };

  test('cannot hold a place by a byte now and then', async () => {
    const outcome = reading(1, 1_000);
    await vi.advanceTimersByTimeAsync(2_000);
    // Not after a quarter of an hour, when the last byte has come.
    expect(await Promise.race([outcome, Promise.resolve('still read')])).toBe('bad-request');
  });

  test('may take as long as it needs at the slowest pace that is waited for', async () => {
    const outcome = reading(SLOWEST, 50);
    await vi.advanceTimersByTimeAsync(50_000);
    expect(await outcome).toBe(50 * SLOWEST);
  });
});

test('stops discarding where nothing acceptable can follow', async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new Uint8Array(10));
    },
  });
  await discard(body, 100, 1_000, never);
  expect(pulled).toBeLessThan(20);
});

test('keeps nothing of what has been read, however long the upload is', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const [chunks, bytes] = [512, 131_072];
  let given = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      // As from a network: not in the turn in which it is asked for.
      await new Promise(setImmediate);
      if (given === chunks) return controller.close();
      given += 1;
      controller.enqueue(new Uint8Array(bytes));
    },
  });
  collect();
  const before = process.memoryUsage().arrayBuffers;
  let kept = 0;
  let total = 0;
  for await (const chunk of chunksOf(body, 60_000, never)) {
    total += chunk.length;
    if (total !== (chunks - 1) * bytes) continue;
    // Buffers are freed beside the program: the second collection waits for what the first has left.
    for (const _ of [1, 2]) {
      collect();
      await new Promise(setImmediate);
    }
    kept = process.memoryUsage().arrayBuffers - before;
  }
  expect(total).toBe(chunks * bytes);
  expect(kept).toBeLessThan((chunks * bytes) / 4);
});
