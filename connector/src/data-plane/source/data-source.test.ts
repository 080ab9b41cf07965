import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Table,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampNanosecond,
  tableFromArrays,
  tableToIPC,
  Vector,
  makeData,
} from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMATS, chooseEncoding, chooseFormat } from '../format/formats.ts';
import { codeOf, openScans } from '../scan-fixture.ts';

type Properties = Parameters<typeof makeData>[0];

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

describe('files', () => {
  test('are read alone, whatever their path looks like', async () => {
    const secret = await scans.parquet("SELECT 'elsewhere' AS a");
    const here = await scans.parquet("SELECT 'here' AS a");
    const odd = join(scans.folder, 'year=2001');
    mkdirSync(odd);
    copyFileSync(secret, join(odd, '1.parquet'));
    const path = join(odd, '[0-9]*.parquet');
    copyFileSync(here, path);
    const table = await scans.tableOf(path);
    expect([table.schema.names, [...table.getChild('a')!]]).toEqual([['a'], ['here']]);
    for (const wrong of ['relative.parquet', join(scans.folder, 'none.parquet'), 'https://localhost/a.parquet']) {
      expect(await codeOf(scans.tableOf(wrong))).toBe('bad-request');
    }
  });

  test('of a folder are one table, and folders named column=value a column where the asset says so', async () => {
    const folder = join(scans.folder, 'flights');
    for (const year of [2001, 2002]) {
      mkdirSync(join(folder, `year=${year}`), { recursive: true });
      copyFileSync(await scans.parquet(`SELECT ${year} * 10 AS a`), join(folder, `year=${year}`, 'x.parquet'));
    }
    writeFileSync(join(folder, 'README.txt'), 'no data');
    const plain = await scans.tableOf({ type: 'parquet', path: folder });
    expect([plain.schema.names, [...plain.getChild('a')!]]).toEqual([['a'], [20_010, 20_020]]);
    const pattern = await scans.columnOf({ type: 'parquet', path: folder, pattern: 'year=2002/*' }, 'a');
    expect(pattern).toEqual([20_020]);
    const rowFilter = { column: 'year', operator: 'eq', value: 2001 } as const;
    const cut = await scans.tableOf({ type: 'parquet', path: folder, partitioned: true }, { rowFilter });
    expect([...cut.getChild('a')!]).toEqual([20_010]);
    expect([...cut.getChild('year')!]).toEqual([2001n]);
  });

  test('whose columns differ are not mixed', async () => {
    const folder = join(scans.folder, 'changed');
    mkdirSync(folder);
    copyFileSync(await scans.parquet('SELECT 1 AS a'), join(folder, '1.parquet'));
    copyFileSync(await scans.parquet("SELECT 'secret' AS b"), join(folder, '2.parquet'));
    await expect(scans.bytesOf({ type: 'parquet', path: folder })).rejects.toThrow();
  });

  test('with nanoseconds that the engine would cut off deny those columns, and no others', async () => {
    const fields = {
      wall: new TimestampNanosecond(),
      zoned: new TimestampNanosecond('Europe/Berlin'),
      day: new TimeNanosecond(),
      zoned_us: new TimestampMicrosecond('UTC'),
    };
    const values = [981_173_106_789_012_345n, 981_173_106_789_012_345n, 14_706_000_000_007n, 981_173_106_789_012n];
    const columns = Object.entries(fields).map(([name, type], i) => [
      name,
      new Vector([makeData({ type, length: 1, data: BigInt64Array.of(values[i] as bigint) } as Properties)]),
    ]);
    const path = join(scans.folder, 'nanoseconds.arrow');
    writeFileSync(path, tableToIPC(new Table(Object.fromEntries(columns) as Record<string, Vector>), 'file'));
    const source = { type: 'arrow', path } as const;
    const carried = (await scans.open(source)).columns.map(({ name, carried: sent }) => [name, sent]);
    expect(carried).toEqual([
      ['wall', true],
      ['zoned', false],
      ['day', false],
      ['zoned_us', true],
    ]);
    for (const name of ['zoned', 'day']) {
      await expect(scans.bytesOf(source, { columns: [name] })).rejects.toThrow(/of nanoseconds, which cannot be sent/);
    }
    const sent = await scans.tableOf(source, { columns: ['wall', 'zoned_us'] });
    expect(sent.getChild('wall')?.data[0]?.values[0]).toBe(values[0]);
    expect(sent.getChild('zoned_us')?.data[0]?.values[0]).toBe(values[3]);
    const masks = { zoned: { method: 'truncate', unit: 'hour' } } as const;
    const cut = await scans.tableOf(source, { columns: ['zoned'], masks });
    expect(cut.getChild('zoned')?.data[0]?.values[0]).toBe(981_172_800_000_000n);
    const aggregate = { groupBy: [], measures: [{ function: 'max', column: 'zoned' }] } as const;
    expect(await codeOf(scans.bytesOf(source, { asked: { aggregate } }))).toBe('not-permitted');
  });

  test('of CSV and Arrow carry their types', async () => {
    const csv = join(scans.folder, 'a.csv');
    writeFileSync(csv, 'id;day;text\n1;2001-02-03;"x;y"\n2;;\n');
    const table = await scans.tableOf({ type: 'csv', path: csv, delimiter: ';' });
    expect(table.schema.fields.map(({ type }) => String(type))).toEqual(['Int64', 'Date32<DAY>', 'Utf8']);
    expect([...table.getChild('text')!]).toEqual(['x;y', null]);
    const arrow = join(scans.folder, 'a.arrow');
    const ids = Int32Array.from({ length: 40_000 }, (_, i) => i);
    for (const kind of ['file', 'stream'] as const) {
      writeFileSync(arrow, tableToIPC(tableFromArrays({ id: ids, text: [...ids].map(String) }), kind));
      const rowFilter = { column: 'id', operator: 'gteq', value: 39_998 } as const;
      expect([...(await scans.tableOf({ type: 'arrow', path: arrow }, { rowFilter })).getChild('text')!]).toEqual([
        '39998',
        '39999',
      ]);
    }
    writeFileSync(arrow, 'no Arrow at all');
    await expect(scans.bytesOf({ type: 'arrow', path: arrow })).rejects.toThrow();
  });
});

describe('formats', () => {
  const encoder = (mediaType: string) => FORMATS.find((format) => format.mediaType === mediaType)!.encode;

  test('write text so that it reads back', async () => {
    const path = await scans.parquet(`SELECT * FROM (VALUES
      (9007199254740993, 1.5::DOUBLE, -12.30::DECIMAL(9, 2), TIMESTAMP '1969-12-31 23:59:59.999999', TIMESTAMPTZ '2001-02-03 04:05:06+00',
       DATE '2001-02-03', true, 'a "quoted", text', '\\x01\\xFF'::BLOB, [1, NULL], {'x': 'é'}, MAP {'k': 1}),
      (NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL))
      AS t(big, double, price, moment, zoned, day, flag, text, blob, list, struct, map)`);
    const csv = await scans.bytesOf(path, { encode: encoder('text/csv') });
    expect(csv.toString()).toBe(
      '"big","double","price","moment","zoned","day","flag","text","blob","list","struct","map"\r\n' +
        '9007199254740993,1.5,-12.30,1969-12-31T23:59:59.999999,2001-02-03T04:05:06.000000Z,2001-02-03,true,' +
        '"a ""quoted"", text",Af8=,"[1,null]","{""x"":""é""}","[{""key"":""k"",""value"":1}]"\r\n' +
        ',NaN,,,,,,"",,,,\r\n',
    );
    const lines = (await scans.bytesOf(path, { encode: encoder('application/x-ndjson') })).toString().split('\n');
    expect(lines[0]).toContain('"big":9007199254740993,');
    expect(JSON.parse(lines[0]!)).toMatchObject({ price: '-12.30', list: [1, null], struct: { x: 'é' }, flag: true });
    expect(JSON.parse(lines[1]!)).toMatchObject({ big: null, double: 'NaN', text: '', map: null });
  });

  test('write Parquet that never looks whole when the scan fails', async () => {
    const path = await scans.parquet('SELECT i, md5(i::VARCHAR) AS text FROM range(300000) t(i)');
    let batches = 0;
    const failing = {
      beforeBatch: () => {
        if (++batches === 8) throw new Error('no longer started');
      },
    };
    const running = await scans.start(path, { encode: encoder('application/vnd.apache.parquet') }, failing);
    await expect(new Response(running.body).bytes()).rejects.toThrow('no longer started');
    await running.ended;
    const cancelled = await scans.start(path, { encode: encoder('application/vnd.apache.parquet') });
    const reader = cancelled.body.getReader();
    await reader.read();
    await reader.cancel();
    await cancelled.ended;
  });

  test('are chosen by what the consumer accepts', () => {
    const chosen = (accept?: string) => chooseFormat(accept).mediaType;
    const arrow = 'application/vnd.apache.arrow.stream';
    expect([chosen(), chosen('*/*'), chosen('application/*'), chosen('text/html, */*;q=0.1')]).toEqual(
      Array(4).fill(arrow),
    );
    expect(chosen('text/csv')).toBe('text/csv');
    expect(chosen('text/csv;q=0.5, application/x-ndjson')).toBe('application/x-ndjson');
    expect(chosen(`${arrow};q=0, */*`)).toBe('application/vnd.apache.parquet');
    expect(chosen(`${arrow};codecs=zstd`)).toBe(`${arrow};codecs=zstd`);
    expect(chosen(`text/csv;q=0.5, ${arrow}; codecs="lz4, ZSTD"`)).toBe(`${arrow};codecs=zstd`);
    expect(chosen(`${arrow};codecs=lz4, */*;codecs=zstd`)).toBe(arrow);
    expect(chosen(`${arrow};codecs=zstd;q=0.1, text/csv`)).toBe('text/csv');
    expect(() => chosen('image/png')).toThrow(expect.objectContaining({ code: 'bad-request' }));
    const encoding = (accept: string | undefined, format: string) => chooseEncoding(accept, chooseFormat(format));
    expect(encoding(undefined, 'text/csv')).toBe('identity');
    expect(encoding('gzip, deflate, br', 'text/csv')).toBe('gzip');
    expect(encoding('gzip, deflate, br', arrow)).toBe('identity');
    expect(encoding('zstd', arrow)).toBe('zstd');
    expect(encoding('zstd', `${arrow};codecs=zstd`)).toBe('identity');
    expect(encoding('gzip;q=0, *;q=0.5', 'text/csv')).toBe('zstd');
  });
});
