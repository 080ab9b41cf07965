import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDataSpace, policyTemplate, type DataSpace, type Participant } from '../../../test/src/connectors.ts';
import { openDatabase, type Database } from '../store/index.ts';
import { contains, createListing, field, is, oneOf, type ListQuery } from './listing.ts';

interface Record_ {
  readonly id: string;
  readonly size: number;
  readonly colour: string;
  readonly note?: string;
}

let database: Database;
beforeEach(() => {
  database = openDatabase(':memory:', [
    { version: 1, name: 't', sql: 'CREATE TABLE thing (id TEXT PRIMARY KEY, body TEXT NOT NULL)' },
  ]);
  return () => database.close();
});
const things = () =>
  createListing<Record_, 'id' | 'size'>(database, {
    table: 'thing',
    sorts: { id: 'id', size: field('size') },
    filters: { colour: oneOf(field('colour')), exactly: is(field('size')), search: contains(field('note')) },
  });
const put = (record: Record_): void => {
  database.sql.prepare('INSERT OR REPLACE INTO thing VALUES (?, ?)').run(record.id, JSON.stringify(record));
};
type Query = Omit<ListQuery<'id' | 'size'>, 'after'> & Record<string, unknown>;
const pages = (list: ReturnType<typeof things>, query: Query, between: () => void = () => undefined): string[] => {
  const ids: string[] = [];
  for (let after: string | undefined; ;) {
    const { items, next } = list({ ...query, after });
    expect(items.length).toBeLessThanOrEqual(query.limit);
    ids.push(...items.map(({ id }) => id));
    if (next === undefined) return ids;
    after = next;
    between();
  }
};

describe('a list', () => {
  it('is the same in pages of any size: filtered, in order, each record once', () => {
    const record = fc.record({
      id: fc.string({ minLength: 1, maxLength: 4 }),
      size: fc.integer({ min: 0, max: 3 }),
      colour: fc.constantFrom('red', 'green', 'blue'),
    });
    const records = fc.uniqueArray(record, { selector: ({ id }) => id, maxLength: 20 });
    const query = fc.record({
      sort: fc.constantFrom('id', '-id', 'size', '-size'),
      limit: fc.integer({ min: 1, max: 7 }),
      colour: fc.option(fc.uniqueArray(fc.constantFrom('red', 'green'), { minLength: 1 }), { nil: undefined }),
    });
    const list = things();
    // SQLite compares text byte by byte in UTF-8.
    const compare = (a: string | number, b: string | number): number =>
      typeof a === 'number' ? a - (b as number) : Buffer.compare(Buffer.from(a), Buffer.from(String(b)));
    fc.assert(
      fc.property(records, query, (all, asked) => {
        database.sql.exec('DELETE FROM thing');
        for (const one of all) put(one);
        const key = asked.sort.replace('-', '') as 'id' | 'size';
        const sign = asked.sort.startsWith('-') ? -1 : 1;
        const expected = all
          .filter(({ colour }) => asked.colour === undefined || (asked.colour as string[]).includes(colour))
          .sort((a, b) => sign * (compare(a[key], b[key]) || compare(a.id, b.id)))
          .map(({ id }) => id);
        expect(pages(list, asked)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  it('neither repeats nor misses a record because others come and go between its pages', () => {
    for (let index = 0; index < 30; index += 1) put({ id: `k${index}`.padEnd(4, 'x'), size: index % 5, colour: 'red' });
    const before = pages(things(), { sort: 'size', limit: 100 });
    let written = 0;
    const seen = pages(things(), { sort: 'size', limit: 3 }, () => {
      put({ id: `a-new-${(written += 1)}`, size: 0, colour: 'red' });
      database.sql.prepare('DELETE FROM thing WHERE id = ?').run(`a-new-${written - 1}`);
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => !id.startsWith('a-new'))).toEqual(before);
  });

  it('takes values as values', () => {
    put({ id: 'a', size: 1, colour: 'red', note: `100% "it's" _` });
    put({ id: 'b', size: 2, colour: 'red', note: 'other' });
    const list = things();
    const find = (search: string) =>
      list({ sort: 'id', limit: 10, search } as ListQuery<'id'>).items.map(({ id }) => id);
    expect(find(`IT'S`)).toEqual(['a']);
    expect(find('%')).toEqual(['a']);
    expect(find(`' OR 1=1 --`)).toEqual([]);
    expect(list({ sort: 'id', limit: 10, exactly: 2 } as ListQuery<'id'>).items).toMatchObject([{ id: 'b' }]);
  });

  it('refuses a place that is not one of its own', () => {
    const list = things();
    for (let index = 0; index < 3; index += 1) put({ id: String(index), size: index, colour: 'red' });
    const { next } = list({ sort: 'id', limit: 1 });
    for (const after of [
      'x',
      '',
      Buffer.from('["id"]').toString('base64url'),
      Buffer.from('[]').toString('base64url'),
    ]) {
      expect(() => list({ sort: 'id', limit: 1, after })).toThrow(/after: is not from this list/);
    }
    expect(() => list({ sort: '-id', limit: 1, after: next })).toThrow(/after: is not from this list in this order/);
  });
});

describe('over HTTP', () => {
  let space: DataSpace;
  let node: Participant;
  beforeAll(async () => {
    space = await createDataSpace();
    node = await space.join('node');
    for (const id of ['c', 'a', 'b', 'd/?&']) {
      await node.operator.putAsset({
        id,
        title: `Title ${id}`,
        source: { type: 'parquet', path: space.file },
        formats: id === 'b' ? ['x', 'HttpData-PULL'] : ['x'],
      });
    }
    await node.operator.putPolicy({ id: 'p', policy: policyTemplate });
    await node.operator.putContractDefinition({ id: 'offer', assets: ['a', 'b'], policy: 'p' });
  });
  afterAll(async () => {
    await space[Symbol.asyncDispose]();
  });
  const get = async (path: string) => {
    const response = await fetch(new URL(path, node.connector.managementUrl), {
      headers: { authorization: `Bearer ${node.token}` },
    });
    return {
      status: response.status,
      link: response.headers.get('link'),
      body: (await response.json()) as { id: string }[],
    };
  };

  it('the header Link leads through all pages, and the operator client follows it', async () => {
    const ids: string[] = [];
    let path: string | undefined = '/assets?limit=1&sort=-title&format=x';
    while (path !== undefined) {
      const { body, link } = await get(path);
      ids.push(...body.map(({ id }) => id));
      path = /^<([^>]+)>; rel="next"$/.exec(link ?? '')?.[1];
    }
    expect(ids).toEqual(['d/?&', 'c', 'b', 'a']);
    const all = await node.operator.assets({ sort: 'title' });
    expect(all.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd/?&']);
    expect(await node.operator.assets({ limit: 2 })).toHaveLength(2);
  });

  it.each([
    ['/assets?format=HttpData-PULL', ['b']],
    ['/assets?search=TITLE%20D', ['d/?&']],
    ['/contract-definitions?asset=a', ['offer']],
    ['/contract-definitions?asset=c', []],
    ['/contract-definitions?policy=p', ['offer']],
    ['/policies?search=dateTime', ['p']],
    ['/negotiations?state=FINALIZED,TERMINATED&role=provider&pendingDecision=false', []],
  ])('%s finds %j', async (path, ids) => {
    expect((await get(path)).body.map(({ id }) => id)).toEqual(ids);
  });

  it.each(['/assets?limit=0', '/assets?limit=1001', '/assets?sort=size', '/assets?after=x', '/transfers?state=LATE'])(
    '%s is refused',
    async (path) => {
      expect((await get(path)).status).toBe(400);
    },
  );
});
