import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FoedusError } from '../errors.ts';
import { migrations } from '../store/migrations/index.ts';
import { openDatabase, type Database } from '../store/index.ts';
import { conditionOf } from './filter-sql.ts';
import { fields, operators, readFilter, type Criterion } from './filter.ts';

const reasonsOf = (filter: unknown): unknown => {
  try {
    readFilter(filter);
  } catch (error) {
    if (error instanceof FoedusError && error.code === 'bad-request') return error.details['reasons'];
    throw error;
  }
  return [];
};
const criterion = { operandLeft: 'id', operator: '=', operandRight: 'x' };
const EDC = 'https://w3id.org/edc/v0.0.1/ns/';

describe('a filter', () => {
  it('is nothing, a criterion, or a list of them', () => {
    for (const filter of [undefined, null, [], {}, [{}]]) expect(readFilter(filter).criteria).toEqual([]);
    const one = { field: 'id', operator: '=', value: 'x' };
    expect(readFilter(criterion).criteria).toEqual([one]);
    expect(readFilter([criterion, criterion]).criteria).toEqual([one, one]);
  });

  it('may be written as EDC writes it, compact or expanded', () => {
    const expanded = {
      '@type': [`${EDC}QuerySpec`],
      [`${EDC}offset`]: [{ '@value': 5 }],
      [`${EDC}limit`]: 50,
      [`${EDC}sortOrder`]: 'ASC',
      [`${EDC}filterExpression`]: [
        {
          '@type': `${EDC}Criterion`,
          [`${EDC}operandLeft`]: { '@value': `${EDC}id` },
          [`${EDC}operator`]: { '@value': 'IN' },
          [`${EDC}operandRight`]: [{ '@list': [{ '@value': 'a' }, 'b'] }],
        },
        { operandLeft: 'title', operator: 'in', operandRight: [{ '@value': 'c' }] },
      ],
    };
    expect(readFilter([expanded])).toEqual({
      criteria: [
        { field: 'id', operator: 'in', value: ['a', 'b'] },
        { field: 'title', operator: 'in', value: ['c'] },
      ],
      offset: 5,
      limit: 50,
    });
    const compact = { offset: 0, limit: 10, filterExpression: criterion };
    expect(readFilter(compact)).toEqual({ criteria: readFilter(criterion).criteria, offset: 0, limit: 10 });
  });

  it.each([
    ['text', 'x', ['$.filter: must be an object with operandLeft, operator and operandRight']],
    ['a field that is not shown', [{ ...criterion, operandLeft: 'source' }], [/^\$\.filter\[0\]\.operandLeft: /]],
    ['an unknown operator', { ...criterion, operator: 'regex' }, [/^\$\.filter\.operator: .*ilike/]],
    ['a number to compare with', [criterion, { ...criterion, operandRight: 5 }], [/^\$\.filter\[1\]\.operandRight: /]],
    ['a list where none is', { ...criterion, operandRight: ['x'] }, [/^\$\.filter\.operandRight: must be a text/]],
    ['a text where a list is', { ...criterion, operator: 'in' }, [/^\$\.filter\.operandRight: must be a list/]],
    [
      'a number in a list',
      { ...criterion, operator: 'in', operandRight: ['a', 1] },
      [/^\$\.filter\.operandRight\[1\]: /],
    ],
    ['a member that is nowhere described', { ...criterion, or: [] }, ['$.filter.or: is not understood']],
    ['a strange name', { 'a b': 1 }, ["$.filter['a b']: is not understood"]],
    ['another order', { sortField: 'title', sortOrder: 'DESC' }, [/sortField: /, /sortOrder: must be "ASC"/]],
    ['no whole number', { offset: 1.5, limit: 0 }, [/offset: must be a whole number/, /limit: /]],
    [
      'a criterion of EDC',
      { filterExpression: [criterion, {}] },
      [/filterExpression\[1\]\.operandLeft/, /operator/, /operandRight/],
    ],
    ['too many criteria', Array.from({ length: 21 }, () => criterion), ['$.filter: has more than 20 criteria']],
    ['too long a text', { ...criterion, operandRight: 'x'.repeat(2_049) }, [/at most 2048 characters/]],
    ['NUL', { ...criterion, operandRight: 'a\0b' }, [/NUL/]],
    ['an operand of the prototype', { ...criterion, operandLeft: 'constructor' }, [/operandLeft/]],
  ])('with %s is refused where it is wrong', (_what, filter, reasons) => {
    expect(reasonsOf(filter)).toEqual(
      reasons.map((reason) => (typeof reason === 'string' ? reason : expect.stringMatching(reason))),
    );
  });

  it('never fails otherwise, whatever it is', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => Array.isArray(reasonsOf(value))));
    const term = fc.constantFrom('operandLeft', 'operator', 'operandRight', 'filterExpression', 'limit', '@value');
    const nested = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, fc.constantFrom('id', '=', 'in', 5, null), tie('object'), tie('list')),
      object: fc.dictionary(term, tie('value')),
      list: fc.array(tie('value'), { maxLength: 3 }),
    }));
    fc.assert(fc.property(nested.value, (value) => Array.isArray(reasonsOf(value))));
  });
});

interface Asset {
  readonly id: string;
  readonly title: string;
  readonly description?: string | undefined;
  readonly formats: readonly string[];
}

/** What the documentation says, as a program: the reference that SQLite is compared with. */
function fits(asset: Asset, { field, operator, value }: Criterion): boolean {
  const values = field === 'format' ? asset.formats : [asset[field]].filter((text) => text !== undefined);
  const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const pattern = (text: string): RegExp => {
    const source = text.replace(/\\[%_\\]|[\s\S]/gu, (found) => {
      if (found === '%') return '[\\s\\S]*';
      return found === '_'
        ? '[\\s\\S]'
        : RegExp.escape(found.length === 2 && found[0] === '\\' ? found.slice(1) : found);
    });
    return new RegExp(`^${source}$`, 'u');
  };
  const lower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  switch (operator) {
    case '=':
      return values.includes(value);
    case '!=':
      return !values.includes(value);
    case '<':
      return values.some((text) => order(text, value) < 0);
    case '<=':
      return values.some((text) => order(text, value) <= 0);
    case '>':
      return values.some((text) => order(text, value) > 0);
    case '>=':
      return values.some((text) => order(text, value) >= 0);
    case 'in':
      return values.some((text) => value.includes(text));
    case 'like':
      return values.some((text) => pattern(value).test(text));
    case 'ilike':
      return values.some((text) => pattern(lower(value)).test(lower(text)));
    default:
      return false;
  }
}

describe('the condition of a filter', () => {
  let database: Database;
  beforeAll(() => {
    database = openDatabase(':memory:', migrations);
  });
  afterAll(() => database.close());

  it('finds exactly what the criteria describe', () => {
    const text = fc.array(
      fc.constantFrom('a', 'A', 'b', 'é', '%', '_', '*', '?', '[', ']', '^', '\\', "'", '😀', ' '),
      {
        maxLength: 4,
      },
    );
    const word = text.map((letters) => letters.join(''));
    const asset = fc.record({
      id: word,
      title: word,
      description: fc.option(word, { nil: undefined }),
      formats: fc.array(word, { minLength: 1, maxLength: 3 }),
    });
    const criterionOf = fc
      .record({
        field: fc.constantFrom(...fields),
        operator: fc.constantFrom(...operators),
        word,
        words: fc.array(word),
      })
      .map(({ field, operator, word: value, words }): Criterion =>
        operator === 'in' ? { field, operator, value: words } : { field, operator, value },
      );
    fc.assert(
      fc.property(
        fc.uniqueArray(asset, { selector: ({ id }) => id, minLength: 1, maxLength: 8 }),
        fc.array(criterionOf, { maxLength: 3 }),
        (assets, criteria) => {
          database.sql.exec('DELETE FROM asset');
          const insert = database.sql.prepare('INSERT INTO asset (id, body) VALUES (?, ?)');
          for (const one of assets) insert.run(one.id, JSON.stringify(one));
          const { sql, parameters } = conditionOf(criteria);
          const rows = database.sql.prepare(`SELECT a.id FROM asset a WHERE ${sql}`).all({ ...parameters });
          const expected = assets.filter((one) => criteria.every((each) => fits(one, each))).map(({ id }) => id);
          expect(new Set(rows.map((row) => row['id']))).toEqual(new Set(expected));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('uses the index of titles', () => {
    const { sql, parameters } = conditionOf([{ field: 'title', operator: '=', value: 'x' }]);
    const plan = database.sql.prepare(`EXPLAIN QUERY PLAN SELECT a.id FROM asset a WHERE ${sql}`).all(parameters);
    expect(JSON.stringify(plan)).toContain('asset_by_title');
  });
});
