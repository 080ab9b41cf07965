import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { Database } from '../store/database.ts';
import type { Page } from './operation.ts';

/**
 * Lists of records: filtered, sorted and paged by the store, by keys and not by offsets, so that a page costs the same
 * however far back it is, and none is seen twice or missed because something was written meanwhile.
 */

/** How a list may be filtered and sorted. All SQL is written here, in the program; values are bound. */
export interface ListingOptions<Sort extends string> {
  /** A table with the columns `id` and `body`, a JSON document. */
  readonly table: string;
  /** Names of orders, and the SQL expressions behind them. Never null. */
  readonly sorts: Readonly<Record<Sort, string>>;
  /** Names of filters, and the SQL conditions behind them; `?` is the value (JSON for several). */
  readonly filters: Readonly<Record<string, string>>;
}

export interface ListQuery<Sort extends string> {
  /** `-` before the name: the other way round. */
  readonly sort: Sort | `-${Sort}`;
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string | undefined;
}

/** Conditions that SQL and filters share: equal to one, one of several, and contained whatever the case. */
export const is = (expression: string): string => `${expression} = ?`;
export const oneOf = (expression: string): string => `${expression} IN (SELECT value FROM json_each(?))`;
export const contains = (expression: string): string => `instr(lower(${expression}), lower(?)) > 0`;
/** An SQL expression for a member of the record; in brackets, because `||` binds as tightly as `->>`. */
export const field = (name: string): string => `(body ->> '${name}')`;

/** The parameters that every list has. The first of `sorts` with its sign is what applies when nothing is said. */
export function listParameters<const Sort extends string>(sorts: readonly [Sort | `-${Sort}`, ...Sort[]]) {
  const names = [...new Set(sorts.map((sort) => sort.replace(/^-/, '') as Sort))];
  const both = names.flatMap((name) => [name, `-${name}` as const]) as [Sort, ...(Sort | `-${Sort}`)[]];
  return {
    limit: z.coerce.number().int().min(1).max(1000).default(100).describe('How many to answer with at most.'),
    after: z
      .string()
      .min(1)
      .max(8_000)
      .optional()
      .describe('Where the page begins: as the header Link of the page before has it.'),
    sort: z
      .enum(both)
      .default(sorts[0] as never)
      .describe('The order; with a minus: the largest or newest first.'),
  };
}

const cursorSchema = z.tuple([z.string(), z.union([z.string(), z.number()]), z.string()]);

/**
 * @returns a function that gives one page of a table's records. The members of its query that `filters` names and that
 *   are not undefined all have to hold.
 * @throws FoedusError `bad-request` for an `after` that is not from the same list in the same order
 */
export function createListing<T, Sort extends string>(
  { sql }: Database,
  { table, sorts, filters }: ListingOptions<Sort>,
): (query: ListQuery<Sort>) => Page<T> {
  // One statement for each combination of filters that is ever used: there are few.
  const statements = new Map<string, StatementSync>();
  const prepared = (text: string): StatementSync => {
    const known = statements.get(text) ?? sql.prepare(text);
    statements.set(text, known);
    return known;
  };
  return (query) => {
    const { sort, limit, after } = query;
    const descending = sort.startsWith('-');
    const key = sorts[sort.replace(/^-/, '') as Sort];
    const conditions: string[] = [];
    const values: SQLInputValue[] = [];
    for (const [name, value] of Object.entries(query)) {
      const condition = filters[name];
      if (condition === undefined || value === undefined) continue;
      conditions.push(condition);
      if (condition.includes('?')) values.push(bindable(value));
    }
    if (after !== undefined) {
      const [value, id] = readCursor(after, sort);
      const beyond = descending ? '<' : '>';
      // The first condition follows from the second, but only with it an index on an expression is entered at its place.
      conditions.push(`${key} ${beyond}= ?`, `(${key}, id) ${beyond} (?, ?)`);
      values.push(value, value, id);
    }
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.map((one) => `(${one})`).join(' AND ')}`;
    const direction = descending ? 'DESC' : 'ASC';
    const rows = prepared(
      `SELECT id, ${key} AS key, body FROM ${table} ${where} ORDER BY ${key} ${direction}, id ${direction} LIMIT ?`,
    ).all(...values, limit + 1) as { id: string; key: string | number; body: string }[];
    const items = rows.slice(0, limit).map(({ body }) => JSON.parse(body) as T);
    const last = rows[limit - 1];
    if (rows.length <= limit || !last) return { items };
    return { items, next: Buffer.from(JSON.stringify([sort, last.key, last.id])).toString('base64url') };
  };
}

function readCursor(text: string, sort: string): [string | number, string] {
  try {
    const [order, value, id] = cursorSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
    if (order === sort) return [value, id];
  } catch {
    // Said below.
  }
  throw new FoedusError(
    'bad-request',
    'after: is not from this list in this order. Take it from the header Link of the page before, or leave it out.',
  );
}

function bindable(value: unknown): SQLInputValue {
  if (Array.isArray(value)) return JSON.stringify(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value as SQLInputValue;
}
