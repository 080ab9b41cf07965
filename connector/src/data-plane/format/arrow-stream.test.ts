import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mask, RowFilter } from '@foedus/usage-policies';
import { tableFromIPC } from 'apache-arrow';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readArrowStream } from '../consume.ts';
import { ARROW_ZSTD } from './formats.ts';
import { openScans } from '../scan-fixture.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

describe('rows as an Arrow stream', () => {
  test('carries every common type with its values and its NULLs', async () => {
    const path = await scans.parquet(`
      SELECT * FROM (VALUES
        (1::BIGINT, -2::INTEGER, 3::SMALLINT, 4::TINYINT, 200::UTINYINT, 1.5::DOUBLE, 0.25::FLOAT, 'short', 'x', true,
         TIMESTAMP '2001-02-03 04:05:06.789012', DATE '2001-02-03', TIMESTAMPTZ '2001-02-03 04:05:06+00', '\\x01\\xFF'::BLOB,
         TIMESTAMP_NS '2001-02-03 04:05:06.789012345', 18446744073709551615::UBIGINT, -12345.67::DECIMAL(9, 2),
         '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID, TIME '04:05:06.000007'),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (-9223372036854775808, 7, 8, 9, 0, 'NaN', '-Infinity', 'a text that is longer than twelve bytes: é', '', false,
         TIMESTAMP '1969-12-31 23:59:59.999999', DATE '1969-12-31', TIMESTAMPTZ '1970-01-01 00:00:00+00', '',
         TIMESTAMP_NS '1970-01-01 00:00:00.000000001', 0, 0.01, NULL, TIME '00:00:00')
      ) AS t(big, int, small, tiny, byte, double, float, text, empty, flag, ts, day, tz, blob, ns, ubig, dec, uuid, time)`);
    const table = await scans.tableOf(path);
    const column = (name: string) => [...table.getChild(name)!];
    expect(column('big')).toEqual([1n, null, -9223372036854775808n]);
    expect(column('int')).toEqual([-2, null, 7]);
    expect(column('small')).toEqual([3, null, 8]);
    expect(column('tiny')).toEqual([4, null, 9]);
    expect(column('byte')).toEqual([200, null, 0]);
    expect(column('double')).toEqual([1.5, null, NaN]);
    expect(column('float')).toEqual([0.25, null, -Infinity]);
    expect(column('text')).toEqual(['short', null, 'a text that is longer than twelve bytes: é']);
    expect(column('empty')).toEqual(['x', null, '']);
    expect(column('flag')).toEqual([true, null, false]);
    expect(column('blob').map((value) => value && [...(value as Uint8Array)])).toEqual([[1, 255], null, []]);
    expect(column('ubig')).toEqual([18446744073709551615n, null, 0n]);
    expect(column('uuid')).toEqual(['6ba7b810-9dad-11d1-80b4-00c04fd430c8', null, null]);
    const decimals = column('dec').map((value) => value && BigInt.asIntN(128, BigInt(String(value))));
    expect(decimals).toEqual([-1234567n, null, 1n]);
    const raw = (name: string) => [...(table.getChild(name)!.data[0]!.values as Iterable<bigint | number>)].slice(0, 3);
    expect(raw('ts')).toEqual([981173106789012n, 0n, -1n]);
    expect(raw('day')).toEqual([11356, 0, -1]);
    expect(raw('tz')).toEqual([981173106000000n, 0n, 0n]);
    expect(raw('time')).toEqual([14706000007n, 0n, 0n]);
    expect(raw('ns')).toEqual([981173106789012345n, 0n, 1n]);
    expect(table.schema.fields.map(({ type }) => String(type)).join(' ')).toBe(
      'Int64 Int32 Int16 Int8 Uint8 Float64 Float32 Utf8 Utf8 Bool Timestamp<MICROSECOND> Date32<DAY> ' +
        'Timestamp<MICROSECOND, UTC> Binary Timestamp<NANOSECOND> Uint64 Decimal[9e+2] Utf8 Time64<MICROSECOND>',
    );
  });

  test('agrees with DuckDB on a table of many batches with NULLs in every column', async () => {
    const path = await scans.parquet(`
      SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE i / 2 END AS half,
        CASE WHEN i % 5 = 0 THEN NULL ELSE repeat('é', (i % 30)::INT) || i END AS text,
        CASE WHEN i % 7 = 0 THEN NULL ELSE i % 2 = 0 END AS flag
      FROM range(50000) t(i)`);
    const rowFilter: RowFilter = { column: 'i', operator: 'neq', value: 77 };
    const table = await scans.tableOf(path, { rowFilter });
    const expected = await scans.writer.runAndReadAll(`SELECT * FROM '${path}' WHERE i <> 77`);
    const columns = expected.getColumns();
    expect(table.numRows).toBe(49_999);
    expect(table.batches.length).toBeGreaterThan(2);
    for (const [i, name] of ['i', 'half', 'text', 'flag'].entries()) {
      expect([...table.getChild(name)!]).toEqual(columns[i]);
    }
  });

  test('compresses the buffers of its batches where that was asked for', async () => {
    const path = await scans.parquet(`
      SELECT i % 7 AS few, CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('é', (i % 30)::INT) END AS text, NULL::INT AS none,
        md5(i::VARCHAR) AS incompressible
      FROM range(40000) t(i)`);
    const plain = await scans.bytesOf(path);
    const compressed = await scans.bytesOf(path, { encode: ARROW_ZSTD.encode });
    expect(compressed.length).toBeLessThan(plain.length / 2);
    const [table, same] = [tableFromIPC(plain), tableFromIPC(compressed)];
    expect(same.numRows).toBe(40_000);
    for (const name of table.schema.names) {
      expect([...same.getChild(name)!]).toEqual([...table.getChild(name)!]);
    }
    const cut = await readArrowStream(new Response(compressed.subarray(0, -100)));
    const read = async () => {
      for await (const batch of cut) expect(batch.numRows).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toMatchObject({ code: 'cut-stream' });
  });

  test('sends the schema alone when no row is granted', async () => {
    const path = await scans.parquet('SELECT 1 AS a, 2 AS b');
    const table = await scans.tableOf(path, { rowFilter: { column: 'a', operator: 'eq', value: 5 } });
    expect([table.numRows, table.schema.names]).toEqual([0, ['a', 'b']]);
  });

  test('keeps the order of the columns that were asked for', async () => {
    const path = await scans.parquet('SELECT 1 AS a, 2 AS b, 3 AS c');
    expect((await scans.tableOf(path, { columns: ['c', 'a'] })).schema.names).toEqual(['c', 'a']);
  });

  test('names the column whose type it does not carry, and sends it masked', async () => {
    const path = await scans.parquet('SELECT 1 AS a, INTERVAL 1 DAY AS span');
    await expect(scans.tableOf(path)).rejects.toThrow(/"span" has the type INTERVAL/);
    expect(await scans.columnOf(path, 'a', { columns: ['a'] })).toEqual([1]);
    expect(await scans.columnOf(path, 'span', { masks: { span: { method: 'null' } } })).toEqual([null]);
  });
});

describe('what was not granted', () => {
  // Values that occur nowhere by chance: as text, as 8 bytes, as the digits of those.
  const word = fc.stringMatching(/^[a-z]{4,24}$/).map((text) => `secret-${text}`);
  const number = fc.nat().map((seed) => {
    const bytes = createHash('sha256').update(String(seed)).digest().subarray(0, 8);
    return Buffer.from(bytes.map((byte) => (byte & 0x7f) | 1)).readBigInt64LE();
  });
  const cell = fc.record({
    text: fc.option(word, { freq: 3 }),
    number: fc.option(number, { freq: 3 }),
    kept: fc.boolean(),
  });

  const traces = (value: string | bigint | null): Buffer[] => {
    if (value === null) return [];
    if (typeof value === 'string') return [Buffer.from(value)];
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return [bytes, Buffer.from(String(value))];
  };

  test('never occurs in the bytes of the answer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(cell, { minLength: 1, maxLength: 200 }),
        fc.constantFrom<'drop' | Mask>(
          'drop',
          { method: 'null' },
          { method: 'constant', value: '*' },
          { method: 'hash' },
        ),
        fc.constantFrom<'open' | Mask>('open', { method: 'hash' }),
        async (cells, textRule, numberRule) => {
          const literal = (value: string | bigint | null, type: string) =>
            value === null ? `NULL::${type}` : typeof value === 'string' ? `'${value}'` : `${value}::${type}`;
          const rows = cells.map(
            (row, i) => `(${i}, ${literal(row.text, 'VARCHAR')}, ${literal(row.number, 'BIGINT')}, ${row.kept})`,
          );
          const path = await scans.parquet(`SELECT * FROM (VALUES ${rows.join(', ')}) AS t(i, text, number, kept)`);
          const masks: Record<string, Mask> = {};
          if (textRule !== 'drop') masks['text'] = textRule;
          if (numberRule !== 'open') masks['number'] = numberRule;
          const columns = textRule === 'drop' ? ['i', 'number'] : ['i', 'text', 'number'];
          const bytes = await scans.bytesOf(path, {
            columns,
            masks,
            rowFilter: { column: 'kept', operator: 'eq', value: true },
          });
          const granted = new Set(
            cells.filter(({ kept }) => kept && numberRule === 'open').map((row) => String(row.number)),
          );
          for (const row of cells) {
            for (const trace of traces(row.text)) expect(bytes.includes(trace)).toBe(false);
            if (granted.has(String(row.number))) continue;
            for (const trace of traces(row.number)) expect(bytes.includes(trace)).toBe(false);
          }
          expect(tableFromIPC(bytes).numRows).toBe(cells.filter(({ kept }) => kept).length);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('does not linger in the slots of NULLs after other rows were filtered out', async () => {
    // DuckDB reads 2,048 rows at a time into the same buffers. The kept rows are NULL; before them, in the same slots,
    // were values of rows that nobody was granted.
    const SECRET_NUMBER = 0x65_73_6b_74_6c_71_00_00n;
    const path = await scans.parquet(`
      SELECT CASE WHEN other THEN ${SECRET_NUMBER} + i END AS number,
        CASE WHEN other THEN 'secret-in-a-long-text-' || i END AS text, CASE WHEN other THEN 'secr' || i END AS short,
        NOT other AS kept
      FROM (SELECT i, (i // 2048) % 2 = 0 OR hash(i) % 3 = 0 AS other FROM range(30000) t(i))`);
    const trace = Buffer.alloc(8);
    trace.writeBigInt64LE(SECRET_NUMBER);
    const rowFilter: RowFilter = { column: 'kept', operator: 'eq', value: true };
    for (const masks of [{}, { number: { method: 'null' as const }, text: { method: 'hash' as const } }]) {
      const bytes = await scans.bytesOf(path, { columns: ['number', 'text', 'short'], masks, rowFilter });
      expect(tableFromIPC(bytes).numRows).toBeGreaterThan(5_000);
      expect(bytes.includes(trace.subarray(2))).toBe(false);
      expect(bytes.includes('secr')).toBe(false);
    }
  });
});

describe('a long scan', () => {
  const million = (): Promise<string> =>
    scans.parquet("SELECT i, i / 2 AS half, 'row number ' || i AS text FROM range(1000000) t(i)");

  test('reads only as fast as its reader', async () => {
    const path = await million();
    let rows = 0;
    const running = await scans.start(
      path,
      {},
      {
        beforeBatch: (more) => (rows += more),
      },
    );
    const body = running.body.getReader();
    for (let pieces = 0; pieces < 3; pieces++) {
      expect((await body.read()).value?.byteLength).toBe(256 * 1024);
    }
    expect(rows).toBeLessThan(100_000);
    await body.cancel();
  });

  test('needs the same memory however much flows', async () => {
    const path = await scans.parquet('SELECT i, repeat(md5(i::VARCHAR), 8) AS text FROM range(500000) t(i)');
    const running = await scans.start(path);
    const before = process.memoryUsage.rss();
    let bytes = 0;
    let highest = 0;
    for await (const piece of running.body) {
      bytes += piece.byteLength;
      highest = Math.max(highest, process.memoryUsage.rss());
    }
    expect(bytes).toBeGreaterThan(130_000_000);
    expect(highest - before).toBeLessThan(80_000_000);
  });

  test('stops with the reason when it is aborted, also while nobody reads', async () => {
    const path = await million();
    const controller = new AbortController();
    const running = await scans.start(path, {}, { signal: controller.signal });
    const body = running.body.getReader();
    await body.read();
    controller.abort(new Error('suspended'));
    await running.ended;
    await expect(body.read()).rejects.toThrow('suspended');
  });

  test('ends when a check before a batch fails', async () => {
    const path = await million();
    let batches = 0;
    const running = await scans.start(
      path,
      {},
      {
        beforeBatch: () => {
          if (++batches === 3) throw new Error('no longer started');
        },
      },
    );
    await expect(new Response(running.body).bytes()).rejects.toThrow();
    await running.ended;
    expect(batches).toBe(3);
  });

  test('is released when its reader goes away', async () => {
    const path = await million();
    const running = await scans.start(path);
    const body = running.body.getReader();
    await body.read();
    await body.cancel();
    await running.ended;
  });

  test('never ends in a whole stream when a part of it is damaged', async () => {
    const path = await scans.parquet(
      'SELECT i, sha256(i::VARCHAR) AS text FROM range(400000) t(i)',
      ', ROW_GROUP_SIZE 40000',
    );
    const damaged = readFileSync(path);
    damaged.fill(0x5a, Math.floor(damaged.length * 0.7), Math.floor(damaged.length * 0.8));
    const bad = join(scans.folder, 'damaged.parquet');
    writeFileSync(bad, damaged);
    const running = await scans.start(bad);
    const answer = await readArrowStream(new Response(running.body));
    const read = async () => {
      for await (const batch of answer) expect(batch.numRows).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toMatchObject({ code: 'cut-stream' });
    expect(answer.count.rows).toBeGreaterThan(0);
  });
});
