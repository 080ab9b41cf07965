import { z } from 'zod';
import { readColumnName } from './column-names.ts';
import type { RowFilter } from './model.ts';
import { Unreadable, pathKey } from './policy-error.ts';
import { isObject } from './values.ts';
import { shown } from './wording.ts';

const MAX_DEPTH = 8;
const MAX_COMPARISONS = 200;

// A whole number beyond 2^53 has lost digits before it came here: the filter would compare with another number.
const exactNumber = z
  .number()
  .refine(
    (value) => !Number.isInteger(value) || Number.isSafeInteger(value),
    'write whole numbers beyond 2^53 as text',
  );
const text = z.string().max(10_000);

const comparisonSchema = z.discriminatedUnion('operator', [
  z.strictObject({
    column: z.unknown(),
    operator: z.enum(['eq', 'neq', 'lt', 'lteq', 'gt', 'gteq']),
    value: z.union(
      [text, exactNumber, z.boolean(), z.strictObject({ claim: z.string().min(1).max(100) })],
      'the value must be a text, a number, true, false or a claim',
    ),
  }),
  z.strictObject({
    column: z.unknown(),
    operator: z.literal('isAnyOf'),
    value: z
      .array(z.union([text, exactNumber], 'each value must be a text or a number'))
      .min(1)
      .max(1000),
  }),
]);

/**
 * Reads a row filter: comparisons joined by `and` and `or`, nested at most 8 deep, at most 200 comparisons.
 *
 * An empty `and` would let every row through and an empty `or` none, so both are refused.
 *
 * @throws Unreadable with the place inside the filter
 */
export function readRowFilter(raw: unknown): RowFilter {
  let comparisons = 0;

  const read = (value: unknown, at: string, depth: number): RowFilter => {
    if (depth > MAX_DEPTH) throw new Unreadable(`a row filter is nested at most ${MAX_DEPTH} deep`, at);
    if (!isObject(value)) throw new Unreadable('a row filter is an object', at);
    for (const junction of ['and', 'or'] as const) {
      const parts = value[junction];
      if (parts === undefined) continue;
      if (Object.keys(value).length > 1) throw new Unreadable(`\`${junction}\` stands alone in its object`, at);
      if (!Array.isArray(parts) || parts.length === 0) {
        throw new Unreadable(`\`${junction}\` takes a list of at least one filter`, `${at}.${junction}`);
      }
      const filters = parts.map((part, index) => read(part, `${at}.${junction}[${index}]`, depth + 1));
      return junction === 'and' ? { and: filters } : { or: filters };
    }
    comparisons += 1;
    if (comparisons > MAX_COMPARISONS) {
      throw new Unreadable(`a row filter has at most ${MAX_COMPARISONS} comparisons`, at);
    }
    const parsed = comparisonSchema.safeParse(value);
    if (!parsed.success) throw fromZod(parsed.error, at);
    return { ...parsed.data, column: readColumnName(parsed.data.column, `${at}.column`) };
  };
  return read(raw, '', 1);
}

/** The first problem that zod found, with its place. */
export function fromZod(error: z.ZodError, at: string): Unreadable {
  const issue = error.issues[0];
  const path = (issue?.path ?? []).map((key) => pathKey(typeof key === 'symbol' ? String(key) : key)).join('');
  return new Unreadable(shown(issue?.message ?? 'not as expected'), at + path);
}

const SIGNS = { eq: '=', neq: '≠', lt: '<', lteq: '≤', gt: '>', gteq: '≥', isAnyOf: 'is one of' } as const;

/** The filter as a person reads it: `distance ≥ 100 and (origin = "BDL" or origin = "PVD")`. */
export function describeRowFilter(filter: RowFilter): string {
  if ('and' in filter) return filter.and.map(inner).join(' and ');
  if ('or' in filter) return filter.or.map(inner).join(' or ');
  const claim = typeof filter.value === 'object' && 'claim' in filter.value ? filter.value.claim : undefined;
  const value = claim === undefined ? shown(JSON.stringify(filter.value)) : `the caller's ${shown(claim)}`;
  return `${shown(filter.column)} ${SIGNS[filter.operator]} ${value}`;
}

function inner(filter: RowFilter): string {
  const words = describeRowFilter(filter);
  return 'column' in filter ? words : `(${words})`;
}
