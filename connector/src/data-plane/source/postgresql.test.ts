import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Asset } from '../../management/model.ts';
import { openTable } from './postgresql-source.ts';
import { codeOf, openScans } from '../scan-fixture.ts';
import type { Mask } from '../scan/scan-plan.ts';

/** Folder of a PostgreSQL server's programs on this machine. */
const programs = [
  ...(existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
    : []),
  '/usr/local/bin',
  '/usr/bin',
].find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'pg_ctl')));

if (programs === undefined) {
  if (process.env['CI']) throw new Error('There is no PostgreSQL server. Install the package postgresql.');
  console.log('Skipped: there is no PostgreSQL server on this machine.');
}

let scans: Awaited<ReturnType<typeof openScans>>;
let folder: string;
let uri: string;
let source: Asset['source'];

/** The server refuses to run as root. */
const asRoot = process.getuid?.() === 0;
const run = (program: string, ...parameters: string[]): void => {
  const command = [join(programs ?? '', program), ...parameters];
  // initdb and pg_ctl leave a server behind that would hold their output open.
  if (asRoot)
    execFileSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', ...command], { stdio: 'ignore' });
  else execFileSync(command[0] as string, command.slice(1), { stdio: 'ignore' });
};

describe.skipIf(programs === undefined)('a PostgreSQL table', () => {
  beforeAll(async () => {
    scans = await openScans();
    folder = mkdtempSync(join(tmpdir(), 'foedus-postgresql-'));
    if (asRoot) spawnSync('chown', ['65534:65534', folder]);
    chmodSync(folder, 0o700);
    const data = join(folder, 'data');
    run('initdb', '-D', data, '-U', 'owner', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N');
    run('pg_ctl', '-D', data, '-w', '-o', `-c listen_addresses= -c fsync=off -k ${folder}`, 'start');
    uri = `postgresql://owner@localhost/postgres?host=${encodeURIComponent(folder)}`;
    const connectionFile = join(scans.folder, 'connection');
    writeFileSync(connectionFile, `${uri}\n`);
    source = { type: 'postgresql', connectionFile, schema: 'air', table: 'Flights "2001"' };
    const client = new Client({ connectionString: uri });
    await client.connect();
    await client.query(`
      CREATE SCHEMA air;
      CREATE TABLE air."Flights ""2001""" (id bigint, origin text, price numeric(9, 2), delay float8, day date,
        at timestamptz, "local" timestamp, ok boolean, raw bytea, "o'wner""" text, tags text[], n int, clock time);
      INSERT INTO air."Flights ""2001""" SELECT i, CASE i % 3 WHEN 0 THEN 'BDL' WHEN 1 THEN 'PVD' END, i / 100.0,
        i / 2.0, date '2001-01-01' + i, timestamptz '2001-01-01 00:00:00.000001+00' + i * interval '1 hour',
        timestamp '1969-12-31 23:59:59.999999' + i * interval '1 day', i % 2 = 0, '\\x0102'::bytea, 'did:web:p' || i % 2,
        '{a}', -i, time '01:02:03.000004' FROM generate_series(0, 19999) AS t(i);
      INSERT INTO air."Flights ""2001""" (id) VALUES (20000);`);
    await client.end();
  });
  afterAll(async () => {
    try {
      run('pg_ctl', '-D', join(folder, 'data'), '-m', 'immediate', '-w', 'stop');
    } finally {
      rmSync(folder, { recursive: true, force: true });
      scans.close();
    }
  });

  test('is measured for its operator', async () => {
    const opened = await openTable(source as Extract<Asset['source'], { type: 'postgresql' }>);
    const { rows, sample, columns } = await opened.measure(new AbortController().signal);
    expect([rows, sample]).toEqual([20_001, { rows: 20_001, method: 'all' }]);
    const found = new Map(columns.map((column) => [column.name, column]));
    expect(found.get('id')).toMatchObject({ type: 'bigint', arrow: 'Int64', nulls: 0, distinct: 20_001, max: '20000' });
    expect(found.get('origin')).toMatchObject({ kind: 'text', nulls: 6_667, distinct: 2 });
    expect(found.get('origin')).not.toHaveProperty('min');
    expect(found.get('price')).toMatchObject({ arrow: 'Decimal<9, 2>', min: '0.00', max: '199.99' });
    expect(found.get('day')).toMatchObject({ kind: 'time', min: '2001-01-01' });
    expect(found.get('tags')).toMatchObject({ kind: 'other', arrow: null, distinct: null, values: [] });
    expect(found.get('o\'wner"')?.values).toContain('did:web:p1');
  });

  test('carries its types, values and NULLs', async () => {
    const columns = ['id', 'origin', 'price', 'delay', 'day', 'at', 'local', 'ok', 'raw', 'n', 'clock'];
    const table = await scans.tableOf(source, { columns });
    expect(table.numRows).toBe(20_001);
    expect(table.batches.length).toBeGreaterThan(1);
    expect(table.schema.fields.map(({ type }) => String(type)).join(' ')).toBe(
      'Int64 Utf8 Decimal[9e+2] Float64 Date32<DAY> Timestamp<MICROSECOND, UTC> Timestamp<MICROSECOND> Bool Binary Int32 Time64<MICROSECOND>',
    );
    const row = (index: number) =>
      columns.map((name) => {
        const data = table.getChild(name)!;
        const value: unknown = data.get(index);
        if (value === null || typeof value !== 'object') return value;
        return name === 'price' ? BigInt((value as { toString(): string }).toString()) : [...(value as Uint8Array)];
      });
    const raw = (name: string) => (table.getChild(name)!.data[0]!.values as ArrayLike<bigint | number>)[1];
    expect(row(1).slice(0, 4)).toEqual([1n, 'PVD', 1n, 0.5]);
    expect(row(20_000)).toEqual([20_000n, ...Array<null>(10).fill(null)]);
    expect([raw('day'), raw('at'), raw('local'), raw('clock')]).toEqual([
      11_324,
      978_310_800_000_001n,
      86_399_999_999n,
      3_723_000_004n,
    ]);
    expect(row(2).slice(7)).toEqual([true, [1, 2], -2, 3_723_000_004n]);
    await expect(scans.tableOf(source)).rejects.toThrow(/"tags" has the type text\[\]/);
  });

  test('is cut by its server: filters, masks, claims and aggregates', async () => {
    const masks: Record<string, Mask> = {
      origin: { method: 'generalise', parents: { BDL: 'New England', PVD: 'New England' } },
      at: { method: 'truncate', unit: 'month' },
      n: { method: 'truncate', step: 10 },
      raw: { method: 'hash' },
      delay: { method: 'null' },
    };
    const table = await scans.tableOf(source, {
      columns: ['id', 'origin', 'at', 'n', 'raw', 'delay'],
      masks,
      rowFilter: {
        and: [
          { column: `o'wner"`, operator: 'eq', value: { claim: 'participantId' } },
          { column: 'id', operator: 'lt', value: 10 },
        ],
      },
      claims: { participantId: 'did:web:p1' },
    });
    expect([...table.getChild('id')!]).toEqual([1n, 3n, 5n, 7n, 9n]);
    expect([...table.getChild('origin')!]).toEqual(['New England', 'New England', null, 'New England', 'New England']);
    expect([...table.getChild('n')!]).toEqual(Array(5).fill(-10));
    expect(new Set(table.getChild('at')!.data[0]!.values.slice(0, 5))).toEqual(new Set([978_307_200_000_000n]));
    expect(new Set(table.getChild('raw')).size).toBe(1);
    const counted = await scans.tableOf(source, {
      minimumGroupSize: 100,
      asked: {
        aggregate: { groupBy: ['origin'], measures: [{ function: 'count' }, { function: 'max', column: 'id' }] },
      },
    });
    expect([...counted.getChild('count')!].reduce((sum: number, n: bigint) => sum + Number(n), 0)).toBe(20_001);
    expect(counted.schema.names).toEqual(['origin', 'count', 'max_id']);
  });

  test('denies what does not fit, and takes nothing for SQL', async () => {
    for (const attack of [`'; DROP TABLE t; --`, '$1', '*', `id" FROM pg_authid --`, `a\0b`]) {
      expect(await codeOf(scans.bytesOf(source, { columns: [attack] }))).toBe('not-permitted');
      const asked = { columns: ['id'], filter: { column: 'origin', operator: 'eq', value: attack } as const };
      expect(await codeOf(scans.bytesOf(source, { columns: ['id', 'origin'], asked }))).toBe(
        attack.includes('\0') ? 'not-permitted' : 'permitted',
      );
    }
    const rowFilter = { column: 'id', operator: 'eq', value: 'one' } as const;
    expect(await codeOf(scans.bytesOf(source, { columns: ['id'], rowFilter }))).toBe('not-permitted');
  });

  test('stops reading when it is aborted', async () => {
    const controller = new AbortController();
    const running = await scans.start(source, { columns: ['id'] }, { signal: controller.signal });
    controller.abort(new Error('suspended'));
    await running.ended;
    await expect(new Response(running.body).bytes()).rejects.toThrow();
  });
});
