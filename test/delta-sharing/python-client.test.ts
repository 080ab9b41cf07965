import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FOEDUS } from '@foedus/usage-policies';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';
import { constraint } from '../src/agreements.ts';
import { agree, writeParquet } from '../src/contract.ts';

const root = join(import.meta.dirname, '..', '..');
const python = join(root, '.cache', 'delta-sharing', 'bin', 'python');
const script = join(import.meta.dirname, 'read.py');

if (!existsSync(python)) {
  if (process.env['CI']) throw new Error('The delta-sharing client is not there. Run npm run setup:delta-sharing.');
  console.log('Skipped: the delta-sharing client is not there. npm run test:delta-sharing installs it.');
}

interface Frame {
  readonly version: number;
  readonly schema: { readonly fields: readonly { readonly name: string; readonly type: unknown }[] };
  readonly types: Readonly<Record<string, string>>;
  readonly rows: readonly (readonly (string | null)[])[];
}

describe.skipIf(!existsSync(python))('the delta-sharing client for Python, unmodified', () => {
  let space: DataSpace;
  let provider: Participant;
  let consumer: Participant;
  let path: string;
  let data = 0;

  beforeAll(async () => {
    space = await createDataSpace();
    [provider, consumer] = await Promise.all([space.join('bdl'), space.join('pvd')]);
    path = join(space.folder, 'flights.parquet');
    await writeParquet(
      path,
      `SELECT i AS flight, (i % 60)::SMALLINT AS delay, 'tail-' || i AS tail, 'secret-' || i AS pilot,
         (i / 4)::DECIMAL(12, 2) AS fare, DATE '2026-01-01' + i::INTEGER AS day,
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (i) HOUR AS seen, [i, i + 1] AS gates,
         CASE WHEN i % 2 = 0 THEN NULL ELSE i / 2 END AS load, i % 3 = 0 AS late
       FROM range(120) t(i)`,
    );
  }, 120_000);
  afterAll(() => space[Symbol.asyncDispose]());

  const shared = async (...more: object[]): Promise<{ agreementId: string; id: string; profile: string }> => {
    const assetId = `flights-${(data += 1)}`;
    const constraints = [
      constraint(`${FOEDUS}masks`, 'eq', { tail: { method: 'hash' }, day: { method: 'truncate', unit: 'month' } }),
      constraint(`${FOEDUS}rowFilter`, 'eq', { column: 'delay', operator: 'lt', value: 10 }),
      ...more,
    ];
    const agreementId = await agree(provider, consumer, { assetId, source: { type: 'parquet', path }, constraints });
    const { id, profile } = await consumer.operator.createShareProfile({ agreements: [agreementId] });
    const file = join(space.folder, `${assetId}.share`);
    await writeFile(file, JSON.stringify(profile), { mode: 0o600 });
    return { agreementId, id, profile: file };
  };
  const names = ['flight', 'delay', 'tail', 'fare', 'day', 'seen', 'gates', 'load', 'late'];
  const columns = constraint(`${FOEDUS}columns`, 'isPartOf', names);
  const read = async <T>(profile: string, ...args: string[]): Promise<T> => {
    const { stdout } = await promisify(execFile)(python, [script, profile, ...args]);
    return JSON.parse(stdout) as T;
  };
  const uses = async (id: string): Promise<number> => (await provider.operator.account(id)).spent.uses;

  test('lists the tables of a profile, and is charged for nothing', async () => {
    const { agreementId, profile } = await shared(columns);
    expect(await read(profile, 'tables')).toEqual([['bdl_example', 'default', `flights_${data}`]]);
    expect(await uses(agreementId)).toBe(0);
  }, 120_000);

  test('loads the granted rows and columns into pandas, masked, with their types, for one use', async () => {
    const { agreementId, profile } = await shared(columns);
    const { version, schema, types, rows } = await read<Frame>(profile, 'rows');
    expect(version).toBe(0);
    expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
      ['flight', 'long'],
      ['delay', 'short'],
      ['tail', 'string'],
      ['fare', 'decimal(12,2)'],
      ['day', 'date'],
      ['seen', 'timestamp'],
      ['gates', { type: 'array', elementType: 'long', containsNull: true }],
      ['load', 'double'],
      ['late', 'boolean'],
    ]);
    const pandas = 'int64 int16 object object object datetime64[us,UTC] object float64 bool'.replace(',', ', ');
    expect(names.map((name) => types[name]).join(' ')).toBe(pandas);
    expect(rows.map(([flight]) => Number(flight))).toEqual([
      ...Array.from({ length: 10 }, (_, i) => i),
      ...Array.from({ length: 10 }, (_, i) => 60 + i),
    ]);
    expect(rows[18]!.join(' ')).toMatch(
      /^68 8 [0-9a-f]{24} 17\.00 2026-03-01 2026-01-03 20:00:00\+00:00 \[68 69\] nan False$/,
    );
    expect(rows[19]!.join(' ')).toMatch(
      /^69 9 [0-9a-f]{24} 17\.25 2026-03-01 2026-01-03 21:00:00\+00:00 \[69 70\] 34\.5 True$/,
    );
    expect(JSON.stringify(rows)).not.toMatch(/tail-|secret-/);
    expect(await uses(agreementId)).toBe(1);
  }, 120_000);

  test('loads no more rows than it asks for', async () => {
    const { profile } = await shared(columns);
    expect((await read<Frame>(profile, 'rows', '3')).rows).toHaveLength(3);
    expect((await read<Frame>(profile, 'rows', '0')).rows).toHaveLength(0);
  }, 120_000);

  test('tells its user in words that the budget is used up, and that the profile is revoked', async () => {
    const { id, profile } = await shared(columns, constraint('count', 'lteq', '1'));
    await read<Frame>(profile, 'rows');
    const [type, message] = await read<[string, string]>(profile, 'error');
    expect(type).toBe('HTTPError');
    expect(message).toContain('403');
    expect(message).toContain('BUDGET_EXHAUSTED');
    expect(message).toContain('The provider refuses:');
    await consumer.operator.revokeShareProfile(id);
    expect(await read<[string, string]>(profile, 'error')).toEqual(['HTTPError', expect.stringContaining('revoked')]);
  }, 120_000);
});
