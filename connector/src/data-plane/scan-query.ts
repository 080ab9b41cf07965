import {
  BLOB,
  BOOLEAN,
  DuckDBBlobValue,
  DuckDBTypeId,
  VARCHAR as VARCHAR_TYPE,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import type { Mask, Plan, RowFilter } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import { carriedType, VARCHAR, type CarriedType } from './carried-type.ts';
import { comparable } from './filter-value.ts';
import type { MaskingKey } from './masking-key.ts';
import { parquetSource, READ_PARQUET, type ParquetColumn } from './parquet.ts';

/** A query with its parameters bound apart from it, and the columns that its result has. */
export interface Scan {
  readonly sql: string;
  readonly values: readonly DuckDBValue[];
  readonly types: readonly DuckDBType[];
  readonly columns: readonly { readonly name: string; readonly type: CarriedType }[];
}

/** Hexadecimal digits that a hash mask keeps: 96 bits, far beyond collisions among the values of a table. */
const HASH_DIGITS = 24;

const OPERATORS = { eq: '=', neq: '<>', lt: '<', lteq: '<=', gt: '>', gteq: '>=' } as const;

/**
 * Builds the query that executes a decision's plan inside the scan of one Parquet file.
 *
 * The text consists of fixed words, of the file's own column names, quoted, and of `$n`: everything from a policy or
 * a request is a bound parameter. The plan is only executed whole: a column it names that the file does not have, a
 * comparison that does not fit the column's type, or a type that cannot be sent denies the use.
 *
 * The mask `hash` is HMAC-SHA-256 (RFC 2104) over the value's text, cut to 24 hexadecimal digits:
 * `sha256(outer || sha256(inner || value))`, with the key's padded halves as parameters. NULL stays NULL.
 *
 * @param columns the file's real columns
 * @throws FoedusError `not-permitted`, naming the column
 */
export function scanQuery(file: string, columns: readonly ParquetColumn[], plan: Plan, key: MaskingKey): Scan {
  refuseUnknownParts(plan);
  const byName = new Map(columns.map((column) => [column.name, column]));
  const parameters: { value: DuckDBValue; type: DuckDBType }[] = [{ value: parquetSource(file), type: VARCHAR_TYPE }];
  const bind = (value: DuckDBValue, type: DuckDBType): string => `$${parameters.push({ value, type })}`;
  const resolve = (name: string): ParquetColumn => {
    const column = byName.get(name);
    if (column !== undefined) return column;
    throw denied(`The data set has no column "${name}" any more, which the agreement or the request names.`);
  };

  const masks = new Map(Object.entries(plan.masks));
  // A mask that finds nothing to mask means that the policy was written for another file: the value it was to hide
  // may now be in a column of another name.
  for (const name of masks.keys()) resolve(name);

  const kept = plan.columns === 'all' ? columns : [...new Set(plan.columns)].map(resolve);
  if (kept.length === 0) throw denied('The agreement grants no column of the data set.');
  const selected = kept.map((column) => {
    const mask = masks.get(column.name);
    const { expression, type } = mask === undefined ? asItIs(column) : masked(column, mask, bind, key);
    return { sql: `${expression} AS ${quoted(column.name)}`, name: column.name, type };
  });
  const where = plan.rowFilter === null ? '' : ` WHERE ${condition(plan.rowFilter, resolve, bind)}`;
  return {
    sql: `SELECT ${selected.map(({ sql }) => sql).join(', ')} FROM ${READ_PARQUET} AS data${where}`,
    values: parameters.map(({ value }) => value),
    types: parameters.map(({ type }) => type),
    columns: selected.map(({ name, type }) => ({ name, type })),
  };
}

/** The parts of a plan that this query carries out. */
const CARRIED_OUT: ReadonlySet<string> = new Set(['columns', 'masks', 'rowFilter'] satisfies (keyof Plan)[]);

/** A plan may say more than this scan does, for instance a smallest group: rows cut by half of it must not leave. */
function refuseUnknownParts(plan: Plan): void {
  const unknown = Object.entries(plan).flatMap(([part, value]) =>
    CARRIED_OUT.has(part) || value === null || value === undefined ? [] : [part],
  );
  if (unknown.length === 0) return;
  throw denied(
    `The agreement asks for ${unknown.join(', ')}, which this node cannot carry out yet. Agree on terms without it.`,
  );
}

type Bind = (value: DuckDBValue, type: DuckDBType) => string;

function asItIs(column: ParquetColumn): { expression: string; type: CarriedType } {
  const type = carriedType(column.type);
  if (type !== undefined) {
    return { expression: type.cast ? `CAST(${reference(column)} AS ${type.sql})` : reference(column), type };
  }
  throw denied(
    `The column "${column.name}" has the type ${String(column.type)}, which cannot be sent. Ask for other columns, or agree on masking it.`,
  );
}

function masked(
  column: ParquetColumn,
  mask: Mask,
  bind: Bind,
  key: MaskingKey,
): { expression: string; type: CarriedType } {
  if (mask.method === 'null') {
    const type = carriedType(column.type) ?? VARCHAR;
    return { expression: `CAST(NULL AS ${type.sql})`, type };
  }
  if (mask.method === 'constant') {
    return { expression: `CAST(${bind(mask.value, VARCHAR_TYPE)} AS VARCHAR)`, type: VARCHAR };
  }
  if (mask.method === 'hash') {
    // The text of a time with zone depends on the session's zone, its number does not.
    const value =
      column.type.typeId === DuckDBTypeId.TIMESTAMP_TZ ? `epoch_us(${reference(column)})` : reference(column);
    const inner = bind(new DuckDBBlobValue(key.inner), BLOB);
    const outer = bind(new DuckDBBlobValue(key.outer), BLOB);
    const innerHash = `unhex(sha256(${inner} || encode(CAST(${value} AS VARCHAR))))`;
    return { expression: `left(sha256(${outer} || ${innerHash}), ${HASH_DIGITS})`, type: VARCHAR };
  }
  // A mask from a newer policy model: what cannot be masked does not leave.
  throw denied(`The mask of the column "${column.name}" is not known to this node.`);
}

function condition(filter: RowFilter, resolve: (name: string) => ParquetColumn, bind: Bind): string {
  if ('and' in filter) return joined('AND', filter.and, resolve, bind);
  if ('or' in filter) return joined('OR', filter.or, resolve, bind);
  const column = resolve(filter.column);
  const compare = (operator: string, value: string | number | boolean): string => {
    const { left, constant, type } = comparable(column, reference(column), value);
    return `${left} ${operator} ${bind(constant, type)}`;
  };
  if (filter.operator !== 'isAnyOf') return `(${compare(OPERATORS[filter.operator], filter.value)})`;
  if (filter.value.length === 0) return bind(false, BOOLEAN);
  return `(${filter.value.map((value) => compare('=', value)).join(' OR ')})`;
}

function joined(
  word: 'AND' | 'OR',
  filters: readonly RowFilter[],
  resolve: (name: string) => ParquetColumn,
  bind: Bind,
): string {
  // An empty conjunction would be true for every row: nobody means to grant that by writing nothing.
  if (filters.length === 0) throw denied("The agreement's row filter has an empty condition, so it grants no row.");
  return `(${filters.map((filter) => condition(filter, resolve, bind)).join(` ${word} `)})`;
}

/** A column of the file, never an alias of the result, whatever it is called. */
function reference(column: ParquetColumn): string {
  return `data.${quoted(column.name)}`;
}

/** The only place where a name becomes part of a query. Names come from the file's schema, not from a request. */
function quoted(name: string): string {
  if (name.includes('\0')) throw denied('A column of the data set has a name that cannot be sent.');
  return `"${name.replaceAll('"', '""')}"`;
}

function denied(message: string): FoedusError {
  return new FoedusError('not-permitted', message);
}
