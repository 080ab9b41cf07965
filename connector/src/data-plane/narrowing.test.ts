import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsePullQuery } from './pull-request.ts';
import { codeOf, openScans } from './scan-fixture.ts';
import type { Mask } from './scan/scan-plan.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

const flights = (): Promise<string> =>
  scans.parquet(`SELECT i AS id, CASE i % 3 WHEN 0 THEN 'BDL' WHEN 1 THEN 'PVD' END AS origin, i - 50 AS delay,
    TIMESTAMP '2001-01-31 23:59:59' + INTERVAL (i) DAY AS at, TIMESTAMPTZ '2001-01-31 23:30:00+00' AS zoned,
    DATE '2001-02-15' AS day, (i / 8)::DOUBLE AS ratio, 'did:web:p' || (i % 2) AS owner FROM range(100) t(i)`);

describe('coarser masks', () => {
  test('cut dates, times and numbers down to their unit or step, in UTC', async () => {
    const path = await flights();
    const cut = async (column: string, mask: Mask) =>
      (await scans.tableOf(path, { columns: [column], masks: { [column]: mask } })).getChild(column)!.data[0]!.values;
    const micros = (text: string): bigint => BigInt(Date.parse(text)) * 1000n;
    const unit = (of: 'hour' | 'week' | 'month' | 'quarter' | 'year'): Mask => ({ method: 'truncate', unit: of });
    expect((await cut('at', unit('month')))[0]).toBe(micros('2001-01-01T00:00:00Z'));
    expect((await cut('at', unit('week')))[0]).toBe(micros('2001-01-29T00:00:00Z'));
    expect((await cut('zoned', unit('hour')))[0]).toBe(micros('2001-01-31T23:00:00Z'));
    expect((await cut('zoned', unit('year')))[0]).toBe(micros('2001-01-01T00:00:00Z'));
    expect((await cut('day', unit('quarter')))[0]).toBe(11_323);
    expect(Array.from((await cut('delay', { method: 'truncate', step: 20 })).slice(0, 31), Number)).toEqual([
      ...Array(10).fill(-60),
      ...Array(20).fill(-40),
      -20,
    ]);
    expect((await cut('ratio', { method: 'truncate', step: 0.5 })).slice(3, 6)).toEqual(
      new Float64Array([0, 0.5, 0.5]),
    );
  });

  test('climb a hierarchy, and empty what is not in it', async () => {
    const path = await flights();
    const parents = { BDL: 'New England', 'New England': 'USA' };
    const rowFilter = { column: 'id', operator: 'lt', value: 3 } as const;
    const climb = async (levels?: number) => {
      const masks = { origin: { method: 'generalise', parents, ...(levels !== undefined && { levels }) } } as const;
      const table = await scans.tableOf(path, { columns: ['id', 'origin'], masks, rowFilter });
      const origins = [...table.getChild('origin')!];
      return [...table.getChild('id')!].map((id, i) => [Number(id), origins[i]]).toSorted(([a], [b]) => a - b);
    };
    expect(await climb()).toEqual([
      [0, 'New England'],
      [1, null],
      [2, null],
    ]);
    expect((await climb(2))[0]).toEqual([0, 'USA']);
  });

  test('deny where they do not fit the type', async () => {
    const path = await flights();
    for (const [column, mask] of [
      ['origin', { method: 'truncate', unit: 'day' }],
      ['origin', { method: 'truncate', step: 1 }],
      ['delay', { method: 'truncate', unit: 'day' }],
      ['delay', { method: 'truncate', step: 0 }],
      ['at', { method: 'truncate', unit: "day', x) --" as 'day' }],
    ] as const) {
      expect(await codeOf(scans.bytesOf(path, { masks: { [column]: mask } }))).toBe('not-permitted');
    }
  });
});

describe('what a consumer asks for', () => {
  const filter = (column: string, value: string | number) => ({ column, operator: 'eq', value }) as const;

  test('narrows columns, rows and their number, and never widens', async () => {
    const path = await flights();
    const rowFilter = { column: 'id', operator: 'lt', value: 10 } as const;
    const grant = { columns: ['id', 'origin'], rowFilter };
    const ids = async (asked: object) => (await scans.columnOf(path, 'id', { ...grant, asked })).map(Number);
    expect(await ids({ filter: filter('origin', 'BDL') })).toEqual([0, 3, 6, 9]);
    expect(await ids({ filter: { or: [filter('id', 3), filter('id', 50)] } })).toEqual([3]);
    expect(await ids({ limit: 2 })).toEqual([0, 1]);
    expect((await scans.tableOf(path, { ...grant, limit: 5, asked: { limit: 8 } })).numRows).toBe(5);
    expect((await scans.tableOf(path, { ...grant, asked: { columns: ['origin'] } })).schema.names).toEqual(['origin']);
    expect(await codeOf(scans.bytesOf(path, { ...grant, asked: { columns: ['at'] } }))).toBe('not-permitted');
  });

  test('may not filter by what it does not get, or gets masked', async () => {
    const path = await flights();
    const masks = { origin: { method: 'hash' } } as const;
    for (const column of ['origin', 'at', 'nothing']) {
      const asked = { filter: { and: [filter('id', 1), { or: [filter(column, 'BDL')] }] } };
      expect(await codeOf(scans.bytesOf(path, { columns: ['id', 'origin'], masks, asked }))).toBe('not-permitted');
    }
  });

  test('cannot step around a column of the contract that is gone', async () => {
    const path = await flights();
    const gone = { masks: { vanished: { method: 'hash' } } } as const;
    expect(await codeOf(scans.bytesOf(path, { ...gone, asked: { columns: ['id'] } }))).toBe('not-permitted');
    expect(await codeOf(scans.bytesOf(path, { columns: ['id'], named: ['vanished'] }))).toBe('not-permitted');
  });

  test('is compared with claims of the caller where the agreement says so', async () => {
    const path = await flights();
    const rowFilter = { column: 'owner', operator: 'eq', value: { claim: 'participantId' } } as const;
    const claims = { participantId: 'did:web:p1' };
    expect((await scans.tableOf(path, { rowFilter, claims })).numRows).toBe(50);
    expect(await codeOf(scans.bytesOf(path, { rowFilter }))).toBe('not-permitted');
    const inherited = { ...rowFilter, value: { claim: 'constructor' } };
    expect(await codeOf(scans.bytesOf(path, { rowFilter: inherited, claims }))).toBe('not-permitted');
    const attack = { participantId: "x' OR '1'='1" };
    expect((await scans.tableOf(path, { rowFilter, claims: attack })).numRows).toBe(0);
  });

  test('gets the same sample at every use', async () => {
    const path = await scans.parquet('SELECT i AS id FROM range(20000) t(i)');
    const sample = async () =>
      (await scans.columnOf(path, 'id', { sampling: 0.25 })).map(Number).toSorted((a, b) => a - b);
    const [first, second] = [await sample(), await sample()];
    expect(first).toEqual(second);
    expect(first.length / 20_000).toBeCloseTo(0.25, 1);
  });
});

describe('aggregates', () => {
  const aggregate = {
    groupBy: ['origin'],
    measures: [{ function: 'count' }, { function: 'sum', column: 'delay' }, { function: 'avg', column: 'ratio' }],
  } as const;

  test('are computed of the granted rows, small groups left out', async () => {
    const path = await flights();
    const rowFilter = { column: 'id', operator: 'lt', value: 32 } as const;
    const table = await scans.tableOf(path, { minimumGroupSize: 11, rowFilter, asked: { aggregate } });
    expect(table.schema.names).toEqual(['origin', 'count', 'sum_delay', 'avg_ratio']);
    expect(new Set(table.getChild('origin'))).toEqual(new Set(['BDL', 'PVD']));
    expect(new Set(table.getChild('count'))).toEqual(new Set([11n]));
    const all = { groupBy: [], measures: [{ function: 'count' }] } as const;
    expect((await scans.tableOf(path, { minimumGroupSize: 101, asked: { aggregate: all } })).numRows).toBe(0);
    expect(await scans.columnOf(path, 'count', { asked: { aggregate: all } })).toEqual([100n]);
  });

  test('group masked columns by their masks, and compute nothing from them', async () => {
    const path = await flights();
    const masks = { at: { method: 'truncate', unit: 'year' }, delay: { method: 'null' } } as const;
    const byYear = { groupBy: ['at'], measures: [{ function: 'count' }] } as const;
    expect((await scans.tableOf(path, { masks, asked: { aggregate: byYear } })).numRows).toBe(1);
    expect(await codeOf(scans.bytesOf(path, { masks, asked: { aggregate } }))).toBe('not-permitted');
  });

  test('are the only thing that leaves where the agreement asks for groups, and only those it allows', async () => {
    const path = await flights();
    expect(await codeOf(scans.bytesOf(path, { minimumGroupSize: 2 }))).toBe('not-permitted');
    expect(await codeOf(scans.bytesOf(path, { aggregates: ['count'] }))).toBe('not-permitted');
    expect(await codeOf(scans.bytesOf(path, { aggregates: ['count'], asked: { aggregate } }))).toBe('not-permitted');
    for (const measure of [
      { function: 'sum' as const },
      { function: 'sum' as const, column: 'origin' },
      { function: 'max' as const, column: 'origin' },
      { function: 'sum' as const, column: 'id' },
    ]) {
      const asked = { aggregate: { groupBy: [], measures: [measure] } };
      expect(await codeOf(scans.bytesOf(path, { columns: ['origin', 'delay'], asked }))).toBe('not-permitted');
    }
  });
});

describe('the query of a GET', () => {
  test('is read as typed documents', () => {
    expect(
      parsePullQuery({
        filter: [
          '{"and":[{"column":"a","operator":"lt","value":5},{"column":"b","operator":"isAnyOf","value":["x"]}]}',
        ],
        aggregate: ['{"measures":[{"function":"count"}]}'],
        limit: ['10'],
      }),
    ).toEqual({
      filter: {
        and: [
          { column: 'a', operator: 'lt', value: 5 },
          { column: 'b', operator: 'isAnyOf', value: ['x'] },
        ],
      },
      aggregate: { groupBy: [], measures: [{ function: 'count' }] },
      limit: 10,
    });
  });

  test('is refused where it does not fit, however deep or long it is', () => {
    const deep = (levels: number): string => '{"and":['.repeat(levels) + '1' + ']}'.repeat(levels);
    for (const query of [
      { filter: 'id = 1' },
      { filter: '[]' },
      { filter: '{}' },
      { filter: '{"column":"a","operator":"like","value":"x"}' },
      { filter: '{"column":"a","operator":"eq","value":9007199254740993}' },
      { filter: '{"column":"a","operator":"eq","value":{"claim":"participantId"}}' },
      { filter: '{"and":[]}' },
      { filter: deep(2_000) },
      { filter: deep(9) },
      { filter: `{"or":[${Array(101).fill('{"column":"a","operator":"eq","value":1}').join(',')}]}` },
      { filter: 'x'.repeat(20_000) },
      { aggregate: '{"measures":[]}' },
      { aggregate: '{"measures":[{"function":"sum"}]}' },
      { aggregate: '{"measures":[{"function":"system","column":"a"}]}' },
      { aggregate: '{"measures":[{"function":"count"}],"having":"1"}' },
      { limit: '0' },
      { limit: '1; DROP' },
      { limit: '-1' },
    ]) {
      const asked = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, [value]]));
      expect(() => parsePullQuery(asked), JSON.stringify(query).slice(0, 100)).toThrow(
        expect.objectContaining({ code: 'bad-request' }),
      );
    }
  });
});
