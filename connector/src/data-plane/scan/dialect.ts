import type { MaskingKey } from '../column/masking-key.ts';
import type { AggregateFunction, TimeUnit } from './scan-plan.ts';

/** A column of a data set, as its source types it. */
export interface SourceColumn {
  readonly name: string;
  /** For messages and descriptions. */
  readonly shownType: string;
}

/** SQL that yields a value, and the type of it. */
export interface Expression<T> {
  readonly sql: string;
  readonly type: T;
  /**
   * What single rows are read by instead: its type makes the same values of what that SQL yields. Groups are never made
   * by it, for they would be those of the values behind a mask.
   */
  readonly ofRows?: { readonly sql: string; readonly type: T };
}

/**
 * How one engine writes the parts of a scan. The text of a query is made of fixed words, of the source's own column
 * names, quoted, and of parameters: everything from a policy or a request is bound, never written.
 *
 * A method returns undefined where column and value do not fit each other: then the use is denied.
 */
export interface Dialect<C extends SourceColumn, T> {
  /** The relation to scan, under the name `data`. */
  readonly from: string;
  asItIs(column: C): Expression<T> | undefined;
  nullOf(column: C): Expression<T>;
  constant(value: string): Expression<T>;
  hash(column: C, key: MaskingKey): Expression<T>;
  truncateText(column: C, length: number): Expression<T> | undefined;
  truncateTime(column: C, unit: TimeUnit): Expression<T> | undefined;
  truncateNumber(column: C, step: number): Expression<T> | undefined;
  /** A join with a two-column table `name` (`value`, `parent`) on the column's text, and the parent's expression. */
  ancestor(
    column: C,
    name: string,
    parents: readonly (readonly [string, string])[],
  ): { readonly join: string; readonly expression: Expression<T> };
  /** @param operator one of = <> < <= > >= */
  compare(column: C, operator: string, value: string | number | boolean): string | undefined;
  aggregate(measure: AggregateFunction, column: C | undefined): Expression<T> | undefined;
  /** A condition that the same rows fulfil at every use under a key: this share of all. */
  sample(share: number, key: MaskingKey): string;
  readonly never: string;
}
