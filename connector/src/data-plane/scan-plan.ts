import type { Mask as PolicyMask, Plan, RowFilter } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';

/** Units that dates and times are cut to. */
export const TIME_UNITS = ['hour', 'day', 'week', 'month', 'quarter', 'year'] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

/** What becomes of a column's values before they leave. */
export type Mask =
  | PolicyMask
  /** Dates and times cut to the beginning of their unit (weeks begin on Monday). */
  | { readonly method: 'truncate'; readonly unit: TimeUnit }
  /** Numbers cut to the multiple of `step` below them. */
  | { readonly method: 'truncate'; readonly step: number }
  /** Values replaced by their parent in a hierarchy; a value without one becomes NULL. */
  | { readonly method: 'generalise'; readonly parents: Readonly<Record<string, string>>; readonly levels?: number };

export const AGGREGATE_FUNCTIONS = ['count', 'sum', 'avg', 'min', 'max'] as const;
export type AggregateFunction = (typeof AGGREGATE_FUNCTIONS)[number];

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

/** What an agreement grants, as far as this node knows to cut: the decision's plan. */
export interface GrantedPlan extends Omit<Plan, 'masks' | 'rowFilter'> {
  readonly masks: Readonly<Record<string, Mask>>;
  readonly rowFilter: Filter | null;
  /** Only aggregates leave, of groups with at least so many rows; absent or null: rows may leave. */
  readonly minimumGroupSize?: number | null;
  /** Functions that may be computed; absent or null: all of them. */
  readonly aggregates?: readonly AggregateFunction[] | null;
  /** Rows that leave at the most. */
  readonly limit?: number | null;
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
