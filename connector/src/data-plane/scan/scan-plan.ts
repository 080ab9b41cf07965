import type { Plan, RowFilter } from '@foedus/usage-policies';
import { FoedusError } from '../../errors.ts';

export type TimeUnit = 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year';

/** What becomes of a column's values before they leave. */
export type Mask =
  | { readonly method: 'null' }
  | { readonly method: 'constant'; readonly value: string }
  | { readonly method: 'hash' }
  /** Texts cut to their first characters. */
  | { readonly method: 'truncate'; readonly length: number }
  /** Dates and times cut to the beginning of their unit, numbers to the multiple of `step` below them. */
  | { readonly method: 'truncate'; readonly unit: TimeUnit }
  | { readonly method: 'truncate' | 'generalise'; readonly step: number | TimeUnit }
  /** Values replaced by their ancestor so many levels up in a hierarchy; a value that is not in it becomes NULL. */
  | { readonly method: 'generalise'; readonly parents: Readonly<Record<string, string>>; readonly levels?: number };

/** What aggregates may compute: the names that requests use. */
export const AGGREGATES = ['count', 'sum', 'avg', 'min', 'max'] as const;
export type AggregateFunction = (typeof AGGREGATES)[number];

/** One number for each group. `count` without a column counts rows. */
export interface Measure {
  readonly function: AggregateFunction;
  readonly column?: string;
}

/** Groups of rows and what is told of each. No `groupBy`: all rows are one group. */
export interface Aggregate {
  readonly groupBy: readonly string[];
  readonly measures: readonly Measure[];
}

/** A value of a filter: written, or a claim of the caller by its name. */
export type FilterValue = string | number | boolean | { readonly claim: string };

/** A row filter of a policy or a request. */
export type Filter =
  | RowFilter
  | {
      readonly column: string;
      readonly operator: 'eq' | 'neq' | 'lt' | 'lteq' | 'gt' | 'gteq';
      readonly value: FilterValue;
    }
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] };

/** What an agreement grants: a decision's plan, as far as this node knows to carry it out. */
export interface GrantedPlan {
  readonly columns: Plan['columns'];
  readonly masks: Readonly<Record<string, Mask>>;
  readonly rowFilter: Filter | null;
  /** Only aggregates leave, of groups with at least so many rows. */
  readonly minimumGroupSize?: number | null;
  /** Only aggregates leave, and only by these functions. */
  readonly aggregates?: readonly string[] | null;
  /** Rows that leave at the most. */
  readonly limit?: number | null;
  /** Bytes that leave at the most. */
  readonly byteLimit?: number | null;
  /** Share of the rows that leaves: the same rows at every use. */
  readonly sampling?: number | null;
  /** Further columns that the permission names: the data set must have them too. */
  readonly named?: readonly string[] | null;
}

/** What a consumer asks for within the grant. */
export interface Narrowing {
  /** Absent: all that is granted. */
  readonly columns?: readonly string[];
  readonly filter?: Filter;
  readonly aggregate?: Aggregate;
  readonly limit?: number;
}

/** What is known of the caller, for row filters that compare with it. */
export type Claims = Readonly<Record<string, string | number | boolean>>;

/** A grant and what was asked for within it: what a scan executes, whole or not at all. */
export interface ScanPlan {
  readonly granted: GrantedPlan;
  readonly asked: Narrowing;
  readonly claims: Claims;
}

/** Columns that a filter compares. */
export function filteredColumns(filter: Filter): string[] {
  if ('and' in filter) return filter.and.flatMap(filteredColumns);
  if ('or' in filter) return filter.or.flatMap(filteredColumns);
  return [filter.column];
}

/** All columns that a request touches, for the decision; undefined where it asks for all that is granted. */
export function touchedColumns({ columns, filter, aggregate }: Narrowing): string[] | undefined {
  const shown = aggregate
    ? [...aggregate.groupBy, ...aggregate.measures.flatMap(({ column }) => (column === undefined ? [] : [column]))]
    : columns;
  if (shown === undefined) return undefined;
  const touched = [...new Set([...shown, ...(filter ? filteredColumns(filter) : [])])];
  return touched.length === 0 ? undefined : touched;
}

/** A denial: of what the agreement, the request and the data set together do not allow. */
export function denied(message: string): FoedusError {
  return new FoedusError('not-permitted', message);
}
