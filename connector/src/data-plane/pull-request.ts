import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { UsageRequestBody } from '../management/model.ts';
import { AGGREGATES, touchedColumns, type Filter, type Narrowing } from './scan/scan-plan.ts';

const LARGEST_COLUMNS = 1_000;
const LARGEST_DOCUMENT = 16_384;
const MOST_COMPARISONS = 100;
const DEEPEST_FILTER = 8;

const columnName = z.string().min(1, 'a column name is empty').max(500, 'a column name is longer than 500 characters');

// A whole number beyond 2^53 has lost digits before it came here: the filter would compare with another number.
const number = z
  .number()
  .refine(
    (value) => !Number.isInteger(value) || Number.isSafeInteger(value),
    'write whole numbers beyond 2^53 as text',
  );
const scalar = z.union([z.string().max(10_000), number, z.boolean()]);
const comparison = z.strictObject({
  column: columnName,
  operator: z.enum(['eq', 'neq', 'lt', 'lteq', 'gt', 'gteq']),
  value: scalar,
});
const membership = z.strictObject({
  column: columnName,
  operator: z.literal('isAnyOf'),
  value: z
    .array(z.union([z.string().max(10_000), number]))
    .min(1)
    .max(1000),
});
const filterSchema: z.ZodType<Filter> = z.lazy(() =>
  z.union([
    comparison,
    membership,
    z.strictObject({ and: z.array(filterSchema).min(1).max(MOST_COMPARISONS) }),
    z.strictObject({ or: z.array(filterSchema).min(1).max(MOST_COMPARISONS) }),
  ]),
);

const measureSchema = z.strictObject({ function: z.enum(AGGREGATES), column: columnName.optional() });
const aggregateSchema = z
  .strictObject({
    groupBy: z.array(columnName).max(20).default([]),
    measures: z.array(measureSchema).min(1).max(50),
  })
  .refine(
    ({ measures }) => measures.every(({ function: name, column }) => name === 'count' || column !== undefined),
    'every measure but count names a column',
  )
  .refine(({ groupBy }) => new Set(groupBy).size === groupBy.length, 'a column is named twice in groupBy');

const querySchema = z
  .strictObject({
    columns: z
      .array(columnName)
      .max(LARGEST_COLUMNS, `more than ${LARGEST_COLUMNS} columns`)
      .refine((names) => new Set(names).size === names.length, 'a column is named twice')
      .optional(),
    purpose: z
      .string()
      .min(1, 'the purpose is empty')
      .max(2048, 'the purpose is longer than 2048 characters')
      .optional(),
    filter: filterSchema.optional(),
    aggregate: aggregateSchema.optional(),
    limit: z.int().min(1).optional(),
  })
  .refine(
    ({ columns, aggregate }) => columns === undefined || aggregate === undefined,
    'columns and aggregate exclude each other: an aggregate has the columns of its groups and measures',
  );

/** What a consumer asks for in the query of its GET. */
export interface PullQuery extends Narrowing {
  readonly purpose?: string;
}

/** The use that a request is decided as. */
export function usageOf(query: PullQuery): UsageRequestBody {
  const columns = touchedColumns(query);
  const { purpose } = query;
  return { action: 'use', ...(columns && { columns }), ...(purpose && { purpose }) };
}

const KNOWN = ['columns', 'purpose', 'filter', 'aggregate', 'limit'] as const;

/**
 * Reads `?columns=a,b&purpose=IRI&filter={…}&aggregate={…}&limit=n`. All may be left out: then all that is granted,
 * and no purpose. `columns` may be given more than once; a name with a comma in it cannot be asked for by name.
 * `filter` is a row filter as policies have it, `aggregate` is `{groupBy: [column], measures: [{function, column}]}`.
 *
 * @throws FoedusError `bad-request`, also for a parameter that this node does not know
 */
export function parsePullQuery(query: Record<string, string[]>): PullQuery {
  const stranger = Object.keys(query).find((name) => !(KNOWN as readonly string[]).includes(name));
  if (stranger !== undefined) {
    throw new FoedusError(
      'bad-request',
      `The parameter ${JSON.stringify(stranger.slice(0, 100))} is not known. Use ${KNOWN.join(', ')}.`,
    );
  }
  const single = (name: Exclude<(typeof KNOWN)[number], 'columns'>): string | undefined => {
    const values = query[name];
    if (values === undefined || values.length === 1) return values?.[0];
    throw new FoedusError('bad-request', `The parameter ${name} is given more than once. Give one ${name}.`);
  };
  const purpose = single('purpose');
  const limit = single('limit');
  const filter = document('filter', single('filter'));
  const aggregate = document('aggregate', single('aggregate'));
  const result = querySchema.safeParse({
    ...(query['columns'] && { columns: query['columns'].flatMap((list) => list.split(',')) }),
    ...(purpose !== undefined && { purpose }),
    ...(filter !== undefined && { filter }),
    ...(aggregate !== undefined && { aggregate }),
    ...(limit !== undefined && { limit: /^\d{1,15}$/.test(limit) ? Number(limit) : limit }),
  });
  if (!result.success) {
    throw new FoedusError('bad-request', `The request does not fit: ${firstIssue(result.error)}.`);
  }
  return result.data as PullQuery;
}

function firstIssue({ issues: [issue] }: z.ZodError): string {
  if (issue === undefined) return 'unreadable';
  const at = issue.path.map(String).join('.').slice(0, 200);
  return issue.code === 'custom' || issue.path.length <= 1 ? issue.message : `${at}: ${issue.message}`;
}

/** JSON of a parameter, not deeper than any filter: parsing it must not exhaust the stack. */
function document(name: string, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const wrong = (what: string): FoedusError =>
    new FoedusError('bad-request', `The parameter ${name} ${what}. Send a JSON object.`);
  if (text.length > LARGEST_DOCUMENT) throw wrong(`is longer than ${LARGEST_DOCUMENT} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('is no JSON object');
  const size = { comparisons: 0 };
  if (!withinLimits(value, 1, size)) {
    throw wrong(`is nested more than ${DEEPEST_FILTER} deep or has more than ${MOST_COMPARISONS} comparisons`);
  }
  return value;
}

function withinLimits(value: unknown, depth: number, size: { comparisons: number }): boolean {
  if (typeof value !== 'object' || value === null) return true;
  // An object and its list of parts are two levels.
  if (depth > DEEPEST_FILTER * 2 + 2) return false;
  if ('operator' in value && ++size.comparisons > MOST_COMPARISONS) return false;
  return Object.values(value).every((part) => withinLimits(part, depth + 1, size));
}
