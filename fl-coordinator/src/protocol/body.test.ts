import { Readable } from 'node:stream';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { chunksOf, discard, passingChunksOf, SLOWEST } from './body.ts';

const never = new AbortController().signal;
const streamOf = (...chunks: Uint8Array[]) => Readable.from(chunks);
/** A sender that is connected and sends nothing. */
const silent = () => new Readable({ read: () => undefined });
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
  await expect(read(chunksOf(silent(), 5, never))).rejects.toMatchObject({ code: 'bad-request' });
});

test('ends at once when it is aborted, although the sender is stuck', async () => {
  const stop = new AbortController();
  const reading = read(chunksOf(silent(), 60_000, stop.signal));
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
    return read(chunksOf(Readable.from(dripping(bytes, chunks)), 1_000, never)).then(
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
  const body = new Readable({
    highWaterMark: 1,
    read() {
      pulled += 1;
      // As from a network: not in the turn in which it is asked for.
      setImmediate(() => this.push(new Uint8Array(10)));
    },
  });
  await discard(body, 100, 1_000, never);
  expect(pulled).toBeLessThan(20);
});

test('keeps no more than one batch of what has been read, however long the upload is', async () => {
  const chunks = Array.from({ length: 50 }, () => new Uint8Array(16_384).fill(1));
  const held = (): number => chunks.reduce((bytes, { length }) => bytes + length, 0);
  const all = held();
  let total = 0;
  for await (const chunk of passingChunksOf(streamOf(...chunks), 60_000, never)) {
    // Those before it are gone, and it is whole.
    expect(held()).toBe(all - total);
    expect(chunk.every((byte) => byte === 1)).toBe(true);
    total += chunk.length;
  }
  expect(total).toBe(all);
  expect(held()).toBe(0);
});

test('does not take memory away that a chunk shares with others', async () => {
  const shared = new Uint8Array(8).fill(7);
  const source = passingChunksOf(streamOf(shared.subarray(0, 4), shared.subarray(4)), 1_000, never);
  for await (const chunk of source) expect([...chunk]).toEqual([7, 7, 7, 7]);
  expect(shared.length).toBe(8);
});

test('holds a sender back that is faster than what is done with its chunks', async () => {
  let sent = 0;
  const body = new Readable({
    highWaterMark: 1,
    read() {
      sent += 65_536;
      setImmediate(() => this.push(new Uint8Array(65_536)));
    },
  });
  const source = chunksOf(body, 60_000, never);
  await source.next();
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  expect(sent).toBeLessThan(8 * 65_536);
  await source.return();
  expect(body.destroyed).toBe(false);
});

test('a body that was cut off is told from one that has ended', async () => {
  const body = silent();
  const reading = read(chunksOf(body, 60_000, never));
  body.push(Uint8Array.of(1, 2, 3));
  body.destroy();
  await expect(reading).rejects.toMatchObject({ code: 'bad-request' });
  await expect(read(chunksOf(body, 60_000, never))).rejects.toMatchObject({ code: 'bad-request' });
});

test('what comes after a body was left can be read by somebody else', async () => {
  const body = silent();
  body.push(Uint8Array.of(1));
  for await (const chunk of chunksOf(body, 1_000, never)) {
    expect([...chunk]).toEqual([1]);
    break;
  }
  body.push(Uint8Array.of(2));
  body.push(null);
  expect(await read(chunksOf(body, 1_000, never))).toEqual([2]);
  expect(await read(chunksOf(body, 1_000, never))).toEqual([]);
});
