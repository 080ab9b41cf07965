import { beforeEach, describe, expect, test } from 'vitest';
import { readArrowStream } from '../consume.ts';
import { AGREEMENT, usePullTransfer } from './pull-fixture.ts';

const world = usePullTransfer();

describe('a running stream', () => {
  beforeEach(() => {
    world.asset = { ...world.asset, source: { type: 'parquet', path: world.large } };
    world.permit();
  });

  /** Reads until the stream ends or fails, calling `after` when the first batch has come. */
  async function readAll(response: Response, after: () => unknown): Promise<number> {
    const batches = await readArrowStream(response);
    let first = true;
    for await (const batch of batches) {
      expect(batch.numRows).toBeGreaterThan(0);
      if (first) await after();
      first = false;
    }
    return batches.count.rows;
  }

  test('comes whole when nothing interferes', async () => {
    expect(await readAll(await world.ask({ query: '' }), () => undefined)).toBe(400_000);
  });

  test('is cut when the transfer is stopped', async () => {
    const reading = readAll(await world.ask({ query: '' }), () => {
      world.transfer = { ...world.transfer, state: 'SUSPENDED' };
      world.plane.flows[0]!.stop(world.transfer);
    });
    await expect(reading).rejects.toMatchObject({ code: 'cut-stream' });
    world.transfer = { ...world.transfer, state: 'STARTED' };
    expect(await readAll(await world.ask({ query: '' }), () => undefined)).toBe(400_000);
  });

  test('is cut when the transfer is found not to be started any more', async () => {
    const reading = readAll(await world.ask({ query: '' }), () => {
      world.transfer = { ...world.transfer, state: 'TERMINATED' };
    });
    await expect(reading).rejects.toMatchObject({ code: 'cut-stream' });
  });

  test('breaks the HTTP answer itself, so that nobody takes the part for the whole', async () => {
    const response = await world.ask({ query: '' });
    const reader = response.body!.getReader();
    await reader.read();
    world.plane.flows[0]!.stop(world.transfer);
    const rest = async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        expect(Buffer.from(next.value).includes('stopped')).toBe(false);
      }
    };
    await expect(rest()).rejects.toThrow();
  });

  test('is cut when the data plane closes', async () => {
    const reading = readAll(await world.ask({ query: '' }), () => world.plane[Symbol.asyncDispose]());
    await expect(reading).rejects.toMatchObject({ code: 'cut-stream' });
  });

  test('is one of eight at the most, and makes room when its reader goes away', async () => {
    const responses = await Promise.all(Array.from({ length: 8 }, () => world.ask({ query: '' })));
    expect(responses.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect((await world.refusal({ query: '' })).slice(0, 2)).toEqual([503, 'unavailable']);
    expect(world.usageControl.account(AGREEMENT).spent.uses).toBe(8);
    await Promise.all(responses.map(async (response) => response.body?.cancel()));
    await expect
      .poll(async () => {
        const response = await world.ask({ query: '' });
        await response.body?.cancel();
        return response.status;
      })
      .toBe(200);
  });
});
