import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { DuckDBInstance } from '@duckdb/node-api';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Feature, inputWidth } from '@foedus/fl-core';
import { readColumns } from './columns.ts';
import { type Dataset, emptyBatch, encodeRows, fillBatch, hashedBucket, splitRows } from './dataset.ts';
import { loadTrainingData } from './load.ts';

let folder: string;
let path: string;

async function write(name: string, select: string): Promise<string> {
  const target = join(folder, name);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${target}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return target;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-data-'));
  path = await write(
    'flights.parquet',
    `SELECT * FROM (VALUES
       (TIMESTAMP '2001-01-01 05:30:00', DATE '2001-01-07', 1200::SMALLINT, 'LAX', 20.5::DOUBLE, 1),
       (TIMESTAMP '2001-12-31 23:59:59', DATE '2001-01-01', 700::SMALLINT, 'SFO', 15.0::DOUBLE, 2),
       (NULL, NULL, NULL, NULL, 14.9::DOUBLE, 3),
       (TIMESTAMP '2001-06-15 00:00:00', DATE '2001-01-02', 300::SMALLINT, 'LAX', NULL, 4)
     ) t(date, day, distance, destination, delay, "odd ""name""")`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const features: Feature[] = [
  { kind: 'time-part', column: 'date', part: 'hour' },
  { kind: 'time-part', column: 'day', part: 'weekday' },
  { kind: 'time-part', column: 'date', part: 'month' },
  { kind: 'number', column: 'distance', center: 700, scale: 500 },
  { kind: 'hashed-category', column: 'destination', buckets: 8 },
];
const label = { column: 'delay', atLeast: 15 };
const plan = { label, features };

/** The inputs of one row as the model gets them. */
function dense(dataset: Dataset, row: number): number[] {
  const batch = emptyBatch(1, dataset.width);
  fillBatch(batch, dataset, Uint32Array.of(row));
  return [...batch.inputs];
}
const oneHot = (width: number, at: number): number[] => Array.from({ length: width }, (_, i) => (i === at ? 1 : 0));
const bucket = (value: string, buckets: number): number =>
  Number(BigInt(`0x${createHash('sha256').update(value).digest('hex')}`) % BigInt(buckets));

describe('a Parquet file', () => {
  test('becomes the inputs that the plan describes', async () => {
    const dataset = encodeRows(plan, await readColumns(path, plan));
    expect(dataset.width).toBe(inputWidth(features));
    expect(dense(dataset, 0)).toEqual([
      ...oneHot(24, 5),
      ...oneHot(7, 6),
      ...oneHot(12, 0),
      1,
      ...oneHot(8, bucket('LAX', 8)),
    ]);
    expect(dense(dataset, 1)).toEqual([
      ...oneHot(24, 23),
      ...oneHot(7, 0),
      ...oneHot(12, 11),
      0,
      ...oneHot(8, bucket('SFO', 8)),
    ]);
  });

  test('gives rows with a label only, and zeros for what is null', async () => {
    const dataset = encodeRows(plan, await readColumns(path, plan));
    expect(dataset.rows).toBe(3);
    expect([...dataset.rowNumbers]).toEqual([0, 1, 2]);
    expect([...dataset.labels]).toEqual([1, 1, 0]);
    expect(dense(dataset, 2).every((value) => value === 0)).toBe(true);
  });

  test('is read where a date, a whole number or a name with quotes is what the plan needs', async () => {
    const odd: Feature[] = [
      { kind: 'hashed-category', column: 'distance', buckets: 5 },
      { kind: 'number', column: 'odd "name"', center: 0, scale: 2 },
      { kind: 'time-part', column: 'day', part: 'hour' },
    ];
    const dataset = encodeRows({ label, features: odd }, await readColumns(path, { label, features: odd }));
    expect(dense(dataset, 0)).toEqual([...oneHot(5, bucket('1200', 5)), 0.5, ...oneHot(24, 0)]);
  });

  test('with a time zone is taken in UTC', async () => {
    const zoned = await write('zoned.parquet', `SELECT TIMESTAMPTZ '2001-01-01 01:00:00+02' AS t, 1 AS y`);
    const utc = { label: { column: 'y', atLeast: 1 }, features: [{ kind: 'time-part', column: 't', part: 'hour' }] };
    const table = await readColumns(zoned, utc as typeof plan);
    expect(table.features[0]).toMatchObject({ values: Int32Array.of(23) });
  });

  test('of many row groups keeps its order', async () => {
    const long = await write('long.parquet', 'SELECT i::DOUBLE AS v, i % 2 AS y FROM range(300000) t(i)');
    const table = await readColumns(long, {
      label: { column: 'y', atLeast: 1 },
      features: [{ kind: 'number', column: 'v', center: 0, scale: 1 }],
    });
    expect(table.rows).toBe(300_000);
    const [column] = table.features;
    expect(column?.kind === 'number' && column.values.every((value, i) => value === i)).toBe(true);
  });

  test('without a column of the plan, or with another type, is refused in words', async () => {
    const need = (feature: Feature) => readColumns(path, { label, features: [feature] });
    await expect(need({ kind: 'number', column: 'Distance', center: 0, scale: 1 })).rejects.toMatchObject({
      code: 'missing-column',
      message: expect.stringContaining('date, day, distance'),
    });
    await expect(need({ kind: 'number', column: 'destination', center: 0, scale: 1 })).rejects.toMatchObject({
      code: 'wrong-column-type',
      message: expect.stringMatching(/"destination" as a number.*VARCHAR/),
    });
    await expect(need({ kind: 'time-part', column: 'distance', part: 'hour' })).rejects.toMatchObject({
      code: 'wrong-column-type',
    });
  });

  test('that is none is refused in words', async () => {
    const text = join(folder, 'text.parquet');
    await writeFile(text, 'not a parquet file');
    await expect(readColumns(text, plan)).rejects.toMatchObject({ code: 'unreadable-data' });
    await expect(readColumns(join(folder, 'absent.parquet'), plan)).rejects.toMatchObject({ code: 'unreadable-data' });
  });
});

test('a number that is not finite or absurdly large cannot make an input infinite', () => {
  const column = { kind: 'number' as const, values: Float64Array.of(Infinity, Number.NaN, 1e300, -1e300) };
  const wide = { label, features: features.slice(3, 4) };
  const dataset = encodeRows(wide, { rows: 4, label: new Float64Array(4), features: [column] });
  expect([0, 1, 2, 3].map((row) => dense(dataset, row))).toEqual([[0], [0], [1e6], [-1e6]]);
});

test('a category falls into the bucket that its SHA-256 says', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 2, max: 4096 }), (value, buckets) => {
      expect(hashedBucket(value, buckets)).toBe(bucket(value, buckets));
    }),
  );
});

describe('the split', () => {
  const of = (holdOut: number, salt = 's') => ({ evaluation: { holdOut, salt, metrics: [] } });
  const rows = Uint32Array.from({ length: 2_000 }, (_, i) => i);

  test('holds out the rows that the hash says, always the same', () => {
    const held = splitRows(of(0.3), rows);
    const digest = createHash('sha256').update('s:17').digest();
    expect(held[17]).toBe(digest.readUInt32BE(0) / 2 ** 32 < 0.3 ? 1 : 0);
    expect(splitRows(of(0.3), rows)).toEqual(held);
    expect(splitRows(of(0.3, 'other'), rows)).not.toEqual(held);
    // A fixed outcome: 600 expected, 590 to 610 would be luck.
    expect(Math.abs(held.reduce((a, b) => a + b, 0) - 600)).toBeLessThan(100);
  });

  test('of 0 holds out nothing, and a larger one all that a smaller one does', () => {
    expect(splitRows(of(0), rows).includes(1)).toBe(false);
    const small = splitRows(of(0.1), rows);
    const large = splitRows(of(0.5), rows);
    expect(small.every((held, i) => held === 0 || large[i] === 1)).toBe(true);
  });

  test('that leaves nothing to train on is refused', async () => {
    const nulls = await write('nulls.parquet', 'SELECT NULL::DOUBLE AS delay, 1.0 AS x FROM range(5)');
    const only = { label, features: [{ kind: 'number' as const, column: 'x', center: 0, scale: 1 }], ...of(0.2) };
    await expect(loadTrainingData([nulls], only)).rejects.toMatchObject({ code: 'no-rows' });
  });
});
