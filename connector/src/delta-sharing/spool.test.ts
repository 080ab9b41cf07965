import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSpool, type Spool } from './spool.ts';

let folder: string;
let now: Date;
let spool: Spool;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-spool-'));
  now = new Date();
  spool = createSpool({ folder: join(folder, 'files'), lifetimeMs: 60_000, mostBytes: 1_000, clock: () => now });
});
afterEach(async () => {
  await spool[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const streamOf = (...pieces: string[]): ReadableStream<Uint8Array> =>
  ReadableStream.from(pieces.map((piece) => Buffer.from(piece)));
const files = () => readdir(join(folder, 'files'));

describe('a kept answer', () => {
  test('is found under its id, by its owner only, with its exact size', async () => {
    const { id, size } = await spool.keep(streamOf('PAR1', 'data', 'PA', 'R1'));
    const path = await spool.find(id);
    expect([size, await readFile(path, 'utf8')]).toEqual([12, 'PAR1dataPAR1']);
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('600');
  });

  test('is gone after its time, from the disk too', async () => {
    const { id } = await spool.keep(streamOf('PAR1'));
    now = new Date(now.getTime() + 60_001);
    await expect(spool.find(id)).rejects.toMatchObject({ code: 'gone' });
    const other = await spool.keep(streamOf('PAR1'));
    expect(await files()).toEqual([`${other.id}.parquet`]);
  });

  test('is refused where it broke off, and leaves nothing', async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(Buffer.from('PAR1'));
        controller.error(new Error('cut'));
      },
    });
    for (const body of [broken, streamOf('PAR1', 'no end'), streamOf()]) {
      await expect(spool.keep(body)).rejects.toMatchObject({ code: 'conflict' });
    }
    expect(await files()).toEqual([]);
  });

  test('is refused where all of them together would take more than there is room for', async () => {
    await spool.keep(streamOf('x'.repeat(600), 'PAR1'));
    await expect(spool.keep(streamOf('x'.repeat(600), 'PAR1'))).rejects.toMatchObject({ code: 'too-large' });
    expect(await files()).toHaveLength(1);
  });

  test('is refused where several at once would take more', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, () => spool.keep(streamOf(...Array<string>(6).fill('x'.repeat(100)), 'PAR1'))),
    );
    const sizes = await Promise.all(
      (await files()).map(async (name) => (await stat(join(folder, 'files', name))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1_000);
    const refused = all.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'too-large' } });
  });

  test('is found by nothing that is no id', async () => {
    await spool.keep(streamOf('PAR1'));
    for (const id of ['', '..', '../files.secret', '*', 'a'.repeat(36), '\0']) {
      await expect(spool.find(id)).rejects.toMatchObject({ code: 'gone' });
    }
  });
});
