import { createHash, hkdfSync } from 'node:crypto';
import type { Mask, Plan, RowFilter } from '@foedus/usage-policies';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maskingKeyFor } from '../column/masking-key.ts';
import { createPseudonyms, pseudonymsOfText } from '../column/pseudonyms.ts';
import { AGREEMENT, codeOf, openScans, SECRET } from '../scan-fixture.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

describe('masks', () => {
  const names = "SELECT * FROM (VALUES ('BDL'), (NULL), ('PVD'), ('BDL')) AS t(airport)";

  test('hash is a pseudonym under a key derived from the agreement, and leaves NULL alone', async () => {
    const path = await scans.parquet(names);
    const agreement = createHash('sha256').update(AGREEMENT).digest('hex');
    const pseudonyms = createPseudonyms(
      new Uint8Array(hkdfSync('sha256', SECRET, '', `foedus masking pseudonyms ${agreement}`, 32)),
    );
    const of = (text: string) =>
      Buffer.from(
        pseudonymsOfText(pseudonyms, 1, Int32Array.of(0, text.length), Buffer.from(text), () => false).data,
      ).toString();
    const masked = await scans.columnOf(path, 'airport', { masks: { airport: { method: 'hash' } } });
    expect(masked).toEqual([of('BDL'), null, of('PVD'), of('BDL')]);
  });

  test('hash gives a value the same pseudonym wherever it stands, however long its neighbours are', async () => {
    // Groups of rows whose values lie in the vector, and groups that it points to, each with NULLs between them.
    const path = await scans.parquet(
      `SELECT i, CASE WHEN i % 7 > 0 THEN repeat(chr(97 + (i % 5)::INTEGER), CASE WHEN i // 3000 % 2 = 0 THEN i % 13 ELSE i % 300 END::INTEGER) END AS name
       FROM range(20000) t(i)`,
    );
    const key = maskingKeyFor(SECRET, AGREEMENT).pseudonyms;
    const masked = await scans.columnOf(path, 'name', { masks: { name: { method: 'hash' } } });
    const plain = await scans.columnOf(path, 'name');
    const seen = new Map<unknown, string>([[null, 'null']]);
    const values = [...new Set(plain)].filter((value) => typeof value === 'string');
    for (const value of values) {
      const data = Buffer.from(value);
      const made = pseudonymsOfText(createPseudonyms(key), 1, Int32Array.of(0, data.length), data, () => false);
      seen.set(value, Buffer.from(made.data).toString());
    }
    expect(values.length).toBeGreaterThan(300);
    expect(masked.map(String)).toEqual(plain.map((value) => seen.get(value)));
  });

  test('hash gives a number the pseudonym of its text, whatever type of integers it has', async () => {
    const types = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'].flatMap((type) => [type, `U${type}`]);
    for (const type of types) {
      const bits = BigInt({ T: 8, S: 16, I: 32, B: 64 }[type.replace('U', '')[0] as 'T' | 'S' | 'I' | 'B']);
      const [least, most] = type.startsWith('U')
        ? [0n, (1n << bits) - 1n]
        : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];
      const values = [least, least + 1n, most - 1n, most, 0n, 1n, 9n, 10n, 99n, 100n, (least + most) / 3n];
      const path = await scans.parquet(
        `SELECT number, number::VARCHAR AS text FROM (SELECT unnest([${values.join(', ')}, NULL])::${type} AS number)`,
      );
      const hash = { method: 'hash' as const };
      const table = await scans.tableOf(path, { masks: { number: hash, text: hash } });
      const [numbers, texts] = ['number', 'text'].map((name) => [...table.getChild(name)!]);
      expect(numbers).toEqual(texts);
      expect(new Set(numbers).size).toBe(new Set(values).size + 1);
    }
  });

  test('hash gives a time with zone the pseudonym of its microseconds', async () => {
    const path = await scans.parquet(
      'SELECT zoned, epoch_us(zoned)::VARCHAR AS text FROM (SELECT make_timestamptz(i * 1234567890123) AS zoned FROM range(-50, 50) t(i))',
    );
    const hash = { method: 'hash' as const };
    const table = await scans.tableOf(path, { masks: { zoned: hash, text: hash } });
    expect([...table.getChild('zoned')!]).toEqual([...table.getChild('text')!]);
  });

  test('hash cannot be linked between two agreements', async () => {
    const path = await scans.parquet(names);
    const masks = { airport: { method: 'hash' as const } };
    const running = await scans.start(path, { masks }, {}, maskingKeyFor(SECRET, 'urn:agreement:2'));
    const there = new Set<unknown>(tableFromIPC(await new Response(running.body).bytes()).getChild('airport'));
    const here = await scans.columnOf(path, 'airport', { masks: { airport: { method: 'hash' } } });
    expect(here.filter((value) => value !== null && there.has(value))).toEqual([]);
  });

  test('constant and null replace every value, also where there was none', async () => {
    const path = await scans.parquet(names);
    const constant: Mask = { method: 'constant', value: "any'where" };
    expect(await scans.columnOf(path, 'airport', { masks: { airport: constant } })).toEqual(Array(4).fill("any'where"));
    expect(await scans.columnOf(path, 'airport', { masks: { airport: { method: 'null' } } })).toEqual(
      Array(4).fill(null),
    );
  });

  test('a filter sees the value behind the mask', async () => {
    const path = await scans.parquet(names);
    const rowFilter: RowFilter = { column: 'airport', operator: 'eq', value: 'PVD' };
    const constant: Mask = { method: 'constant', value: 'BDL' };
    expect(await scans.columnOf(path, 'airport', { masks: { airport: constant }, rowFilter })).toEqual(['BDL']);
  });
});

describe('row filters', () => {
  const at = (
    column: string,
    operator: 'eq' | 'lt' | 'lteq' | 'gt' | 'gteq' | 'neq',
    value: string | number | boolean,
  ) => ({ column, operator, value }) as const;

  test('compare values of every type and drop rows where the column is NULL', async () => {
    const path = await scans.parquet(`
      SELECT i, i / 2 AS half, TIMESTAMP '2001-01-01' + INTERVAL (i) DAY AS ts,
        DATE '2001-01-01' + i::INT AS day, 'n' || i AS name, i % 2 = 0 AS even, (i / 10)::DECIMAL(9, 2) AS dec,
        CASE WHEN i > 5 THEN i END AS gap
      FROM range(10) t(i)`);
    const rows = async (rowFilter: RowFilter) => (await scans.columnOf(path, 'i', { rowFilter })).map(Number);
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
    const path = await scans.parquet("SELECT 1 AS n, 'x' AS text, TIMESTAMP '2001-01-01' AS ts, [1] AS list");
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
      expect(await codeOf(scans.bytesOf(path, { columns: ['n'], rowFilter }))).toBe('not-permitted');
    }
    const none: RowFilter = { column: 'n', operator: 'isAnyOf', value: [] };
    expect(await scans.columnOf(path, 'n', { columns: ['n'], rowFilter: none })).toEqual([]);
  });
});

describe('a plan for another file', () => {
  test('denies when a column that the plan names anywhere is gone', async () => {
    const path = await scans.parquet('SELECT 1 AS a');
    for (const part of [
      { columns: ['b'] },
      { columns: ['A'] },
      { columns: ['a'], masks: { b: { method: 'hash' as const } } },
      { columns: ['a'], rowFilter: { column: 'b', operator: 'eq' as const, value: 1 } },
    ]) {
      await expect(scans.bytesOf(path, part)).rejects.toThrow(/no column "[bA]" any more/);
    }
  });
});

describe('a plan that asks for more than this scan does', () => {
  test('denies, and names what it cannot carry out', async () => {
    const path = await scans.parquet('SELECT 1 AS a');
    await expect(scans.bytesOf(path, { smallestGroup: 5 } as Partial<Plan>)).rejects.toThrow(/asks for smallestGroup/);
    const mask = { method: 'blur' } as unknown as Mask;
    await expect(scans.bytesOf(path, { masks: { a: mask } })).rejects.toThrow(/mask of the column "a" is not known/);
  });

  test('carries out one whose further parts say nothing', async () => {
    const path = await scans.parquet('SELECT 1 AS a');
    await expect(scans.columnOf(path, 'a', { smallestGroup: null } as Partial<Plan>)).resolves.toEqual([1]);
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
    const path = await scans.parquet("SELECT 1 AS a, 'hidden' AS secret");
    for (const attack of attacks) {
      expect(await codeOf(scans.bytesOf(path, { columns: [attack] }))).toBe('not-permitted');
      expect(await codeOf(scans.bytesOf(path, { columns: ['a'], masks: { [attack]: { method: 'null' } } }))).toBe(
        'not-permitted',
      );
      const rowFilter: RowFilter = { column: attack, operator: 'eq', value: 1 };
      expect(await codeOf(scans.bytesOf(path, { columns: ['a'], rowFilter }))).toBe('not-permitted');
    }
  });

  test('columns of the file may be called like attacks', async () => {
    const named = attacks.filter((name) => !name.includes('\0'));
    const select = named.map((name, i) => `${i} AS "${name.replaceAll('"', '""')}"`).join(', ');
    const path = await scans.parquet(`SELECT ${select}`);
    const last = named[1] as string;
    const rowFilter: RowFilter = { column: last, operator: 'eq', value: 1 };
    const table = await scans.tableOf(path, { columns: [named[0] as string, last], rowFilter });
    expect(table.toArray().map((row) => Object.values(row as object))).toEqual([[0, 1]]);
  });

  test('values are compared as they are written', async () => {
    const path = await scans.parquet("SELECT 1 AS a, 'x' AS text");
    for (const value of [...attacks, `x' OR '1'='1`]) {
      const constant: Mask = { method: 'constant', value };
      expect(await scans.columnOf(path, 'a', { rowFilter: { column: 'text', operator: 'eq', value } })).toEqual([]);
      expect(await scans.columnOf(path, 'text', { masks: { text: constant } })).toEqual([value]);
    }
  });
});
