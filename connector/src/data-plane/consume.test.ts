import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readArrowStream } from './consume.ts';
import { codeOf, openScans } from './scan-fixture.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

describe('the consumer', () => {
  test('tells a whole stream from one that was cut anywhere', async () => {
    const path = await scans.parquet('SELECT i, i::VARCHAR AS text FROM range(40000) t(i)');
    const whole = await scans.bytesOf(path);
    const read = async (bytes: Uint8Array<ArrayBuffer>): Promise<number> => {
      const answer = await readArrowStream(new Response(bytes));
      for await (const batch of answer) expect(batch.numRows).toBeGreaterThan(0);
      return answer.count.rows;
    };
    expect(await read(new Uint8Array(whole))).toBe(40_000);
    const cuts = [0, 1, 8, 100, 1000, 70_000, whole.length - 9, whole.length - 8, whole.length - 4, whole.length - 1];
    for (const cut of cuts) {
      expect(await codeOf(read(new Uint8Array(whole.subarray(0, cut)))), `cut at ${cut}`).toBe('cut-stream');
    }
  });

  test('throws what the provider says when it refuses', async () => {
    const refused = Response.json({ code: 'not-permitted', message: 'Column x is not granted.' }, { status: 403 });
    await expect(readArrowStream(refused)).rejects.toMatchObject({ code: 'not-permitted', message: /Column x/ });
    const odd = new Response('<html>', { status: 502 });
    await expect(readArrowStream(odd)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
