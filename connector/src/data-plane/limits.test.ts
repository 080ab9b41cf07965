import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BATCH_ROWS } from './column/batch-builder.ts';
import { limited } from './format/body.ts';
import { FORMATS, type Encoder } from './format/formats.ts';
import { openScans } from './scan-fixture.ts';

const ROWS = BATCH_ROWS * 2;

let scans: Awaited<ReturnType<typeof openScans>>;
let path: string;
beforeAll(async () => {
  scans = await openScans();
  path = await scans.parquet(`SELECT i, 'row ' || i AS text FROM range(${ROWS}) t(i)`);
});
afterAll(() => scans.close());

/** The numbers of the rows that a body has. */
async function rowsOf(mediaType: string, body: Buffer): Promise<number[]> {
  if (mediaType.includes('arrow')) return [...(tableFromIPC(body).getChild('i') ?? [])].map(Number);
  if (mediaType.includes('parquet')) {
    const wasm = await import('parquet-wasm/node');
    return [...(tableFromIPC(wasm.readParquet(body).intoIPCStream()).getChild('i') ?? [])].map(Number);
  }
  const lines = body.toString().trimEnd().split(/\r?\n/).filter(Boolean);
  return mediaType.includes('csv')
    ? lines.slice(1).map((text) => Number(text.split(',')[0]))
    : lines.map((text) => (JSON.parse(text) as { i: number }).i);
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe.each(FORMATS)('$mediaType', ({ mediaType, encode }) => {
  test.each([0, 1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, ROWS, ROWS + 1])(
    'has the first %i rows where so many are granted',
    async (limit) => {
      expect(await rowsOf(mediaType, await scans.bytesOf(path, { limit, encode }))).toEqual(
        numbers(Math.min(limit, ROWS)),
      );
    },
  );

  test('comes whole where exactly its bytes are granted, and is cut before the last one where it is one less', async () => {
    const whole = await scans.bytesOf(path, { encode });
    const within =
      (limit: number): Encoder =>
      (schema, batches) =>
        limited(encode(schema, batches), limit);
    expect((await scans.bytesOf(path, { encode: within(whole.length) })).equals(whole)).toBe(true);

    const { body } = await scans.start(path, { encode: within(whole.length - 1) });
    let sent = 0;
    const read = async (): Promise<void> => {
      for await (const piece of body) sent += piece.byteLength;
    };
    await expect(read()).rejects.toMatchObject({ code: 'too-large' });
    expect(sent).toBeLessThan(whole.length);
    await expect(scans.bytesOf(path, { encode: within(0) })).rejects.toMatchObject({ code: 'too-large' });
  });
});
