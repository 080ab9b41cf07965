import { createHmac, hkdfSync, createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { Mask, Plan, RowFilter } from '@foedus/usage-policies';
import { tableFromIPC, type Table } from 'apache-arrow';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startScan } from './arrow-stream.ts';
import { readArrowStream } from './consume.ts';
import { maskingKeyFor } from './masking-key.ts';
import { describeParquet, openEngine, parquetColumns } from './parquet.ts';
import { scanQuery } from './scan-query.ts';

const SECRET = Buffer.alloc(32, 7);
const key = maskingKeyFor(SECRET, 'urn:agreement:1');

let folder: string;
let writer: DuckDBConnection;
let engine: DuckDBInstance;
let reader: DuckDBConnection;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-data-plane-'));
  writer = await (await DuckDBInstance.create(':memory:')).connect();
  engine = await openEngine();
  reader = await engine.connect();
});
afterAll(() => {
  writer.closeSync();
  engine.closeSync();
  rmSync(folder, { recursive: true });
});

let files = 0;
/** Writes what `select` gives to a Parquet file of its own. */
async function parquet(select: string, options = ''): Promise<string> {
  const path = join(folder, `${files++}.parquet`);
  await writer.run(`COPY (${select}) TO '${path}' (FORMAT parquet${options})`);
  return path;
}

const plan = (part: Partial<Plan> = {}): Plan => ({ columns: 'all', masks: {}, rowFilter: null, ...part });

async function bytesOf(path: string, part: Partial<Plan> = {}, signal = new AbortController().signal): Promise<Buffer> {
  const scan = scanQuery(path, await parquetColumns(reader, path), plan(part), key);
  const running = await startScan(engine, scan, { signal });
  return Buffer.from(await new Response(running.body).arrayBuffer());
}

const tableOf = async (path: string, part: Partial<Plan> = {}): Promise<Table> =>
  tableFromIPC(await bytesOf(path, part));
const columnOf = async (path: string, name: string, part: Partial<Plan> = {}): Promise<unknown[]> => [
  ...(await tableOf(path, part)).getChild(name)!,
];

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'permitted',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

describe('rows as an Arrow stream', () => {
  test('carries every common type with its values and its NULLs', async () => {
    const path = await parquet(`
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
    const table = await tableOf(path);
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
        'Timestamp<MICROSECOND, UTC> Binary Timestamp<NANOSECOND> Uint64 Decimal[38e+2] Utf8 Time64<MICROSECOND>',
    );
  });

  test('agrees with DuckDB on a table of many batches with NULLs in every column', async () => {
    const path = await parquet(`
      SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE i / 2 END AS half,
        CASE WHEN i % 5 = 0 THEN NULL ELSE repeat('é', (i % 30)::INT) || i END AS text,
        CASE WHEN i % 7 = 0 THEN NULL ELSE i % 2 = 0 END AS flag
      FROM range(50000) t(i)`);
    const rowFilter: RowFilter = { column: 'i', operator: 'neq', value: 77 };
    const table = await tableOf(path, { rowFilter });
    const expected = await writer.runAndReadAll(`SELECT * FROM '${path}' WHERE i <> 77`);
    const columns = expected.getColumns();
    expect(table.numRows).toBe(49_999);
    expect(table.batches.length).toBeGreaterThan(2);
    for (const [i, name] of ['i', 'half', 'text', 'flag'].entries()) {
      expect([...table.getChild(name)!]).toEqual(columns[i]);
    }
  });

  test('sends the schema alone when no row is granted', async () => {
    const path = await parquet('SELECT 1 AS a, 2 AS b');
    const table = await tableOf(path, { rowFilter: { column: 'a', operator: 'eq', value: 5 } });
    expect([table.numRows, table.schema.names]).toEqual([0, ['a', 'b']]);
  });

  test('keeps the order of the columns that were asked for', async () => {
    const path = await parquet('SELECT 1 AS a, 2 AS b, 3 AS c');
    expect((await tableOf(path, { columns: ['c', 'a'] })).schema.names).toEqual(['c', 'a']);
  });

  test('names the column whose type it does not carry, and sends it masked', async () => {
    const path = await parquet('SELECT 1 AS a, [1, 2] AS list');
    await expect(tableOf(path)).rejects.toThrow(/"list" has the type INTEGER\[\]/);
    expect(await columnOf(path, 'a', { columns: ['a'] })).toEqual([1]);
    expect(await columnOf(path, 'list', { masks: { list: { method: 'null' } } })).toEqual([null]);
    expect((await describeParquet(path)).columns.map(({ carried }) => carried)).toEqual([true, false]);
  });
});

describe('masks', () => {
  const names = "SELECT * FROM (VALUES ('BDL'), (NULL), ('PVD'), ('BDL')) AS t(airport)";

  test('hash is HMAC-SHA-256 under a key derived from the agreement, and leaves NULL alone', async () => {
    const path = await parquet(names);
    const info = `foedus masking ${createHash('sha256').update('urn:agreement:1').digest('hex')}`;
    const derived = Buffer.from(hkdfSync('sha256', SECRET, '', info, 32));
    const hmac = (text: string) => createHmac('sha256', derived).update(text).digest('hex').slice(0, 24);
    const masked = await columnOf(path, 'airport', { masks: { airport: { method: 'hash' } } });
    expect(masked).toEqual([hmac('BDL'), null, hmac('PVD'), hmac('BDL')]);
  });

  test('hash cannot be linked between two agreements', async () => {
    const path = await parquet(names);
    const columns = await parquetColumns(reader, path);
    const other = scanQuery(
      path,
      columns,
      plan({ masks: { airport: { method: 'hash' } } }),
      maskingKeyFor(SECRET, 'urn:agreement:2'),
    );
    const running = await startScan(engine, other, { signal: new AbortController().signal });
    const there = new Set<unknown>(tableFromIPC(await new Response(running.body).bytes()).getChild('airport'));
    const here = await columnOf(path, 'airport', { masks: { airport: { method: 'hash' } } });
    expect(here.filter((value) => value !== null && there.has(value))).toEqual([]);
  });

  test('constant and null replace every value, also where there was none', async () => {
    const path = await parquet(names);
    const constant: Mask = { method: 'constant', value: "any'where" };
    expect(await columnOf(path, 'airport', { masks: { airport: constant } })).toEqual(Array(4).fill("any'where"));
    expect(await columnOf(path, 'airport', { masks: { airport: { method: 'null' } } })).toEqual(Array(4).fill(null));
  });

  test('a filter sees the value behind the mask', async () => {
    const path = await parquet(names);
    const rowFilter: RowFilter = { column: 'airport', operator: 'eq', value: 'PVD' };
    const constant: Mask = { method: 'constant', value: 'BDL' };
    expect(await columnOf(path, 'airport', { masks: { airport: constant }, rowFilter })).toEqual(['BDL']);
  });
});

describe('row filters', () => {
  const at = (
    column: string,
    operator: 'eq' | 'lt' | 'lteq' | 'gt' | 'gteq' | 'neq',
    value: string | number | boolean,
  ) => ({ column, operator, value }) as const;

  test('compare values of every type and drop rows where the column is NULL', async () => {
    const path = await parquet(`
      SELECT i, i / 2 AS half, TIMESTAMP '2001-01-01' + INTERVAL (i) DAY AS ts,
        DATE '2001-01-01' + i::INT AS day, 'n' || i AS name, i % 2 = 0 AS even, (i / 10)::DECIMAL(9, 2) AS dec,
        CASE WHEN i > 5 THEN i END AS gap
      FROM range(10) t(i)`);
    const rows = async (rowFilter: RowFilter) => (await columnOf(path, 'i', { rowFilter })).map(Number);
    expect(await rows(at('i', 'lteq', 1.5))).toEqual([0, 1]);
    expect(await rows(at('i', 'gteq', '8'))).toEqual([8, 9]);
    expect(await rows(at('half', 'lt', 1))).toEqual([0, 1]);
    expect(await rows(at('dec', 'gt', 0.75))).toEqual([8, 9]);
    expect(await rows(at('ts', 'lt', '2001-01-03'))).toEqual([0, 1]);
    expect(await rows(at('ts', 'lt', '2001-01-03T00:00:00+02:00'))).toEqual([0, 1]);
    expect(await rows(at('day', 'gteq', '2001-01-09'))).toEqual([8, 9]);
    expect(await rows(at('day', 'gteq', '2001-01-08T12:00:00Z'))).toEqual([8, 9]);
    expect(await rows(at('name', 'eq', 'n3'))).toEqual([3]);
    expect(await rows(at('even', 'eq', true))).toEqual([0, 2, 4, 6, 8]);
    expect(await rows(at('gap', 'neq', 7))).toEqual([6, 8, 9]);
    expect(await rows({ column: 'i', operator: 'isAnyOf', value: [1, 2.5, 3] })).toEqual([1, 3]);
    expect(await rows({ and: [at('i', 'gt', 2), { or: [at('i', 'lt', 4), at('i', 'eq', 9)] }] })).toEqual([3, 9]);
  });

  test('deny where the comparison does not fit the column', async () => {
    const path = await parquet("SELECT 1 AS n, 'x' AS text, TIMESTAMP '2001-01-01' AS ts, [1] AS list");
    const misfits: RowFilter[] = [
      at('n', 'eq', 'one'),
      at('n', 'eq', true),
      at('text', 'lt', 5),
      at('ts', 'lt', 'yesterday'),
      at('ts', 'lt', '2001-02-30'),
      at('list', 'eq', 1),
      { and: [] },
      { or: [] },
    ];
    for (const rowFilter of misfits) {
      expect(await codeOf(bytesOf(path, { columns: ['n'], rowFilter }))).toBe('not-permitted');
    }
    const none: RowFilter = { column: 'n', operator: 'isAnyOf', value: [] };
    expect(await columnOf(path, 'n', { columns: ['n'], rowFilter: none })).toEqual([]);
  });
});

describe('the file behind a plan', () => {
  test('denies when a column that the plan names anywhere is gone', async () => {
    const path = await parquet('SELECT 1 AS a');
    for (const part of [
      { columns: ['b'] },
      { columns: ['A'] },
      { columns: ['a'], masks: { b: { method: 'hash' as const } } },
      { columns: ['a'], rowFilter: { column: 'b', operator: 'eq' as const, value: 1 } },
    ]) {
      await expect(bytesOf(path, part)).rejects.toThrow(/no column "[bA]" any more/);
    }
  });

  test('is read alone, whatever its path looks like', async () => {
    const secret = await parquet("SELECT 'elsewhere' AS a");
    const odd = join(folder, 'year=2001');
    mkdirSync(odd);
    copyFileSync(secret, join(odd, '1.parquet'));
    const path = join(odd, '[0-9]*.parquet');
    await writer.run(`COPY (SELECT 'here' AS a) TO '${join(folder, 'plain.parquet')}' (FORMAT parquet)`);
    copyFileSync(join(folder, 'plain.parquet'), path);
    const table = await tableOf(path);
    expect([table.schema.names, [...table.getChild('a')!]]).toEqual([['a'], ['here']]);
    await expect(describeParquet('relative.parquet')).rejects.toMatchObject({ code: 'bad-request' });
    await expect(describeParquet(join(folder, 'none.parquet'))).rejects.toMatchObject({ code: 'bad-request' });
    await expect(describeParquet('https://localhost/a.parquet')).rejects.toMatchObject({ code: 'bad-request' });
  });

  test('is described by its columns and its number of rows', async () => {
    const path = await parquet("SELECT i, 'x' AS text FROM range(1234) t(i)");
    expect(await describeParquet(path)).toEqual({
      rows: 1234,
      columns: [
        { name: 'i', type: 'BIGINT', carried: true },
        { name: 'text', type: 'VARCHAR', carried: true },
      ],
    });
    const text = join(folder, 'text.parquet');
    writeFileSync(text, 'not Parquet at all');
    await expect(describeParquet(text)).rejects.toMatchObject({ code: 'bad-request' });
  });

  test('never ends in a whole stream when a part of it is damaged', async () => {
    const path = await parquet(
      'SELECT i, sha256(i::VARCHAR) AS text FROM range(400000) t(i)',
      ', ROW_GROUP_SIZE 40000',
    );
    const damaged = readFileSync(path);
    damaged.fill(0x5a, Math.floor(damaged.length * 0.7), Math.floor(damaged.length * 0.8));
    const bad = join(folder, 'damaged.parquet');
    writeFileSync(bad, damaged);
    const scan = scanQuery(bad, await parquetColumns(reader, bad), plan(), key);
    const running = await startScan(engine, scan, { signal: new AbortController().signal });
    const answer = await readArrowStream(new Response(running.body));
    const read = async () => {
      for await (const batch of answer) expect(batch.numRows).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toMatchObject({ code: 'cut-stream' });
    expect(answer.count.rows).toBeGreaterThan(0);
  });
});

describe('nothing from a policy or a request becomes part of a query', () => {
  const attacks = [
    `" FROM read_text('/etc/passwd') --`,
    `a" UNION SELECT secret FROM t; --`,
    `'; DROP TABLE t; --`,
    '$1',
    'a, secret',
    '*',
    'COLUMNS(*)',
    `a\0b`,
    'rowid',
    'file_row_number',
    'filename',
  ];

  test('column names from outside are compared with the file, never interpreted', async () => {
    const path = await parquet("SELECT 1 AS a, 'hidden' AS secret");
    for (const attack of attacks) {
      expect(await codeOf(bytesOf(path, { columns: [attack] }))).toBe('not-permitted');
      expect(await codeOf(bytesOf(path, { columns: ['a'], masks: { [attack]: { method: 'null' } } }))).toBe(
        'not-permitted',
      );
      const rowFilter: RowFilter = { column: attack, operator: 'eq', value: 1 };
      expect(await codeOf(bytesOf(path, { columns: ['a'], rowFilter }))).toBe('not-permitted');
    }
  });

  test('columns of the file may be called like attacks', async () => {
    const named = attacks.filter((name) => !name.includes('\0'));
    const select = named.map((name, i) => `${i} AS "${name.replaceAll('"', '""')}"`).join(', ');
    const path = await parquet(`SELECT ${select}`);
    const last = named[1] as string;
    const rowFilter: RowFilter = { column: last, operator: 'eq', value: 1 };
    const table = await tableOf(path, { columns: [named[0] as string, last], rowFilter });
    expect(table.toArray().map((row) => Object.values(row as object))).toEqual([[0, 1]]);
  });

  test('values are compared as they are written', async () => {
    const path = await parquet("SELECT 1 AS a, 'x' AS text");
    for (const value of [...attacks, `x' OR '1'='1`]) {
      const constant: Mask = { method: 'constant', value };
      expect(await columnOf(path, 'a', { rowFilter: { column: 'text', operator: 'eq', value } })).toEqual([]);
      expect(await columnOf(path, 'text', { masks: { text: constant } })).toEqual([value]);
    }
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
          const path = await parquet(`SELECT * FROM (VALUES ${rows.join(', ')}) AS t(i, text, number, kept)`);
          const masks: Record<string, Mask> = {};
          if (textRule !== 'drop') masks['text'] = textRule;
          if (numberRule !== 'open') masks['number'] = numberRule;
          const columns = textRule === 'drop' ? ['i', 'number'] : ['i', 'text', 'number'];
          const bytes = await bytesOf(path, {
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
    const path = await parquet(`
      SELECT CASE WHEN other THEN ${SECRET_NUMBER} + i END AS number,
        CASE WHEN other THEN 'secret-in-a-long-text-' || i END AS text, CASE WHEN other THEN 'secr' || i END AS short,
        NOT other AS kept
      FROM (SELECT i, (i // 2048) % 2 = 0 OR hash(i) % 3 = 0 AS other FROM range(30000) t(i))`);
    const trace = Buffer.alloc(8);
    trace.writeBigInt64LE(SECRET_NUMBER);
    const rowFilter: RowFilter = { column: 'kept', operator: 'eq', value: true };
    for (const masks of [{}, { number: { method: 'null' as const }, text: { method: 'hash' as const } }]) {
      const bytes = await bytesOf(path, { columns: ['number', 'text', 'short'], masks, rowFilter });
      expect(tableFromIPC(bytes).numRows).toBeGreaterThan(5_000);
      expect(bytes.includes(trace.subarray(2))).toBe(false);
      expect(bytes.includes('secr')).toBe(false);
    }
  });
});

describe('a long scan', () => {
  const million = (): Promise<string> =>
    parquet("SELECT i, i / 2 AS half, 'row number ' || i AS text FROM range(1000000) t(i)");

  test('reads only as fast as its reader', async () => {
    const path = await million();
    const scan = scanQuery(path, await parquetColumns(reader, path), plan(), key);
    let rows = 0;
    const running = await startScan(engine, scan, {
      signal: new AbortController().signal,
      beforeBatch: (more) => (rows += more),
    });
    const body = running.body.getReader();
    for (let pieces = 0; pieces < 3; pieces++) {
      expect((await body.read()).value?.byteLength).toBe(256 * 1024);
    }
    expect(rows).toBeLessThan(100_000);
    await body.cancel();
  });

  test('needs the same memory however much flows', async () => {
    const path = await parquet('SELECT i, repeat(md5(i::VARCHAR), 8) AS text FROM range(1000000) t(i)');
    const scan = scanQuery(path, await parquetColumns(reader, path), plan(), key);
    const running = await startScan(engine, scan, { signal: new AbortController().signal });
    const before = process.memoryUsage.rss();
    let bytes = 0;
    let highest = 0;
    for await (const piece of running.body) {
      bytes += piece.byteLength;
      highest = Math.max(highest, process.memoryUsage.rss());
    }
    expect(bytes).toBeGreaterThan(260_000_000);
    expect(highest - before).toBeLessThan(200_000_000);
  });

  test('stops with the reason when it is aborted, also while nobody reads', async () => {
    const path = await million();
    const scan = scanQuery(path, await parquetColumns(reader, path), plan(), key);
    const controller = new AbortController();
    const running = await startScan(engine, scan, { signal: controller.signal });
    const body = running.body.getReader();
    await body.read();
    controller.abort(new Error('suspended'));
    await running.ended;
    await expect(body.read()).rejects.toThrow('suspended');
  });

  test('ends when a check before a batch fails', async () => {
    const path = await million();
    const scan = scanQuery(path, await parquetColumns(reader, path), plan(), key);
    let batches = 0;
    const running = await startScan(engine, scan, {
      signal: new AbortController().signal,
      beforeBatch: () => {
        if (++batches === 3) throw new Error('no longer started');
      },
    });
    await expect(new Response(running.body).bytes()).rejects.toThrow();
    await running.ended;
    expect(batches).toBe(3);
  });

  test('is released when its reader goes away', async () => {
    const path = await million();
    const scan = scanQuery(path, await parquetColumns(reader, path), plan(), key);
    const running = await startScan(engine, scan, { signal: new AbortController().signal });
    const body = running.body.getReader();
    await body.read();
    await body.cancel();
    await running.ended;
  });
});

describe('the consumer', () => {
  test('tells a whole stream from one that was cut anywhere', async () => {
    const path = await parquet('SELECT i, i::VARCHAR AS text FROM range(40000) t(i)');
    const whole = await bytesOf(path);
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
