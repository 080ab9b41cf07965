import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openScans } from '../scan-fixture.ts';
import type { TimeUnit } from '../scan/scan-plan.ts';
import { copyCut, EVEN_UNITS } from './time-cut.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
  await scans.writer.run("SET TimeZone = 'UTC'");
});
afterAll(() => scans.close());

const EARLIEST = -9_223_372_022_400_000_000n;
const LATEST = 2n ** 63n - 2n;
const UNITS: readonly TimeUnit[] = ['hour', 'day', 'week', 'month', 'quarter', 'year'];

async function rawOf(path: string, unit?: TimeUnit): Promise<(bigint | number | null)[][]> {
  const table = await scans.tableOf(path, unit && { masks: { at: { method: 'truncate', unit } } });
  return table.batches.map((batch) => {
    const { values, nullBitmap, length } = batch.getChild('at')!.data[0]!;
    const there = (row: number): boolean => !nullBitmap?.length || ((nullBitmap[row >> 3]! >> (row & 7)) & 1) === 1;
    return Array.from({ length }, (_, row) => (there(row) ? (values[row] as bigint | number) : null));
  });
}

describe('a time that is cut to a unit', () => {
  test.each([
    ['TIMESTAMP', EARLIEST + 400n * 86_400_000_000n],
    ['TIMESTAMPTZ', -(2n ** 60n)],
    ['TIMESTAMP_MS', -(2n ** 60n)],
    ['TIMESTAMP_NS', -(2n ** 52n)],
    ['DATE', -(2n ** 58n)],
  ] as const)('is what the engine makes of a %s', async (type, lowest) => {
    const latest = type === 'TIMESTAMP' ? LATEST : type === 'TIMESTAMP_NS' ? 2n ** 52n : 2n ** 60n;
    const beginnings = [0n, 1n, -1n, 2n ** 52n, 2n ** 53n, 2n ** 32n].flatMap((near) =>
      Object.values(EVEN_UNITS).flatMap(({ length, offset }) => {
        const beginning = (near / BigInt(length)) * BigInt(length) - BigInt(offset);
        return [near, -near, beginning - 1n, beginning, beginning + 1n, -beginning - 1n, -beginning, -beginning + 1n];
      }),
    );
    const inRange = (value: bigint): boolean => value >= lowest && value <= latest;
    const any = fc.sample(fc.oneof(fc.bigInt(lowest, latest), fc.bigInt(-(2n ** 51n), 2n ** 51n)), 400);
    const values = [...beginnings, lowest, latest, ...any].filter(inRange);
    const times = values.map((value) => `make_timestamp(${value}::BIGINT)`);
    // Infinity in nanoseconds overflows in the engine's own cast.
    if (type !== 'TIMESTAMP_NS') times.push("'infinity'::TIMESTAMP", "'-infinity'::TIMESTAMP");
    const rows = `SELECT unnest([${[...times, 'NULL'].join(', ')}])`;
    const cast = type === 'TIMESTAMPTZ' ? `timezone('UTC', t)` : `t::${type}`;
    const path = await scans.parquet(`SELECT ${cast} AS at FROM (${rows}) AS s(t)`);
    for (const unit of UNITS) {
      const expected = await scans.parquet(`SELECT CAST(date_trunc('${unit}', "at") AS ${type}) AS at FROM '${path}'`);
      expect(await rawOf(path, unit)).toEqual(await rawOf(expected));
    }
  });

  test('makes groups of what is left of it, not of itself', async () => {
    const path = await scans.parquet("SELECT TIMESTAMP '2001-01-01' + INTERVAL (i) MINUTE AS at FROM range(150) t(i)");
    const asked = { aggregate: { groupBy: ['at'], measures: [{ function: 'count' }] } } as const;
    const masks = { at: { method: 'truncate', unit: 'hour' } } as const;
    const table = await scans.tableOf(path, { masks, asked, minimumGroupSize: 31 });
    expect([...table.getChild('count')!]).toEqual([60n, 60n]);
  });
});

describe('times of a vector', () => {
  const cutOf = (values: readonly bigint[], unit: TimeUnit, divisor: number, mask: Uint8Array | null = null) => {
    const source = new Uint8Array(BigInt64Array.from([77n, ...values]).buffer);
    const target = new BigInt64Array(values.length + 1);
    copyCut({ ...EVEN_UNITS[unit]!, divisor }, source, 1, values.length, new Uint8Array(target.buffer), 8, mask);
    return [...target.subarray(1)];
  };

  test('are cut before they are divided into a coarser unit', () => {
    const time = fc.bigInt(EARLIEST + 604_800_000_000n, LATEST);
    const unit = fc.constantFrom<TimeUnit>('hour', 'day', 'week');
    fc.assert(
      fc.property(fc.array(fc.oneof(time, fc.bigInt(-(2n ** 53n), 2n ** 53n))), unit, (times, cut) => {
        const whole = cutOf(times, cut, 1);
        expect(cutOf(times, cut, 1000)).toEqual(whole.map((each) => each / 1000n));
        expect(cutOf(times, cut, 1_000_000)).toEqual(whole.map((each) => each / 1_000_000n));
      }),
      { numRuns: 100 },
    );
  });

  test('are refused where the calendar does not reach them, unless they are NULL', () => {
    for (const value of [EARLIEST - 1n, -(2n ** 63n)]) {
      expect(() => cutOf([0n, value], 'hour', 1)).toThrow(/before 290309-12-22 BC/);
      expect(cutOf([0n, value], 'hour', 1, Uint8Array.of(0b011))).toEqual([0n, 0n]);
    }
  });
});
