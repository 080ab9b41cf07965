import {
  BIGINT as BIGINT_TYPE,
  BLOB,
  DOUBLE as DOUBLE_TYPE,
  DuckDBBlobValue,
  DuckDBDecimalType,
  DuckDBListValue,
  DuckDBTypeId,
  LIST,
  VARCHAR as VARCHAR_TYPE,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import type { DataType } from 'apache-arrow';
import {
  BIGINT,
  DOUBLE,
  LARGEST_PRECISION,
  VARCHAR,
  carriedType,
  cutType,
  decimalType,
  integerPseudonymType,
  pseudonymType,
  type CarriedType,
} from '../column/carried-type.ts';
import type { Dialect, Expression, SourceColumn } from './dialect.ts';
import { COARSE_TIMESTAMPS, FRACTIONS, INTEGERS, comparable } from './filter-value.ts';
import { reference } from './scan-query.ts';

/** A column as DuckDB sees it. */
export interface EngineColumn extends SourceColumn {
  readonly type: DuckDBType;
  /** The Arrow type that the writer of the file had. */
  readonly hint?: DataType;
  /** The engine reads its times in microseconds, the file has nanoseconds: as they are, they cannot be sent. */
  readonly cut?: boolean;
}

/** How a column's values leave as they are; undefined where they cannot. */
export function sentType({ type, hint, cut = false }: EngineColumn): CarriedType | undefined {
  return cut ? undefined : carriedType(type, hint);
}

/** A relation of DuckDB: a table function with its parameters, the first of the query. */
export interface Relation {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  /** SQL of what tells a row from others, as arguments: where it stands, or all that is in it. */
  readonly row: string;
}

export interface Parameter {
  readonly value: DuckDBValue;
  readonly type: DuckDBType;
}

const TIMES: ReadonlySet<DuckDBTypeId> = new Set([
  ...COARSE_TIMESTAMPS,
  DuckDBTypeId.DATE,
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.TIMESTAMP_NS,
  DuckDBTypeId.TIMESTAMP_TZ,
]);

/**
 * Scans in DuckDB. Of the mask `hash` the query yields the value's text or integer, and its type sees to it that
 * pseudonyms leave: the engine's own SHA-256 takes longer than everything else together. Times that are cut are cut by
 * their type as well, where only single rows leave.
 *
 * @returns the dialect, and the list that its parameters are gathered in
 */
export function duckdbDialect(relation: Relation): {
  dialect: Dialect<EngineColumn, CarriedType>;
  parameters: readonly Parameter[];
} {
  const parameters: Parameter[] = [...relation.parameters];
  const bind = (value: DuckDBValue, type: DuckDBType): string => `$${parameters.push({ value, type })}`;
  const cast = (sql: string, type: CarriedType): Expression<CarriedType> => ({
    sql: `CAST(${sql} AS ${type.sql})`,
    type,
  });
  const texts = (values: readonly string[]): string => bind(new DuckDBListValue([...values]), LIST(VARCHAR_TYPE));
  const dialect: Dialect<EngineColumn, CarriedType> = {
    from: relation.sql,
    never: 'false',
    asItIs(column) {
      const type = sentType(column);
      if (type === undefined) return undefined;
      return type.cast ? cast(reference(column), type) : { sql: reference(column), type };
    },
    nullOf: (column) => cast('NULL', carriedType(column.type, column.hint) ?? VARCHAR),
    constant: (value) => cast(bind(value, VARCHAR_TYPE), VARCHAR),
    hash(column, key) {
      const { typeId } = column.type;
      // The text of a time with zone depends on the session's zone, its number does not.
      const zoned = typeId === DuckDBTypeId.TIMESTAMP_TZ;
      const value = zoned ? `epoch_us(${reference(column)})` : reference(column);
      if (!zoned && !INTEGERS.has(typeId)) return cast(value, pseudonymType(key));
      return cast(value, integerPseudonymType(key, typeId !== DuckDBTypeId.UBIGINT));
    },
    truncateText(column, length) {
      if (column.type.typeId !== DuckDBTypeId.VARCHAR) return undefined;
      return { sql: `left(${reference(column)}, ${length})`, type: VARCHAR };
    },
    truncateTime(column, unit) {
      if (!TIMES.has(column.type.typeId)) return undefined;
      const type = carriedType(column.type, column.hint);
      // The engine's zone is UTC: a time with zone is cut to a unit of UTC.
      if (type === undefined) return undefined;
      const truncated = cast(`date_trunc('${unit}', ${reference(column)})`, type);
      const cut = column.cut ? undefined : cutType(type, unit);
      return cut === undefined ? truncated : { ...truncated, ofRows: { sql: reference(column), type: cut } };
    },
    truncateNumber(column, step) {
      const { typeId } = column.type;
      const value = reference(column);
      if (INTEGERS.has(typeId) && Number.isSafeInteger(step)) {
        const by = bind(BigInt(step), BIGINT_TYPE);
        const wide = `CAST(${value} AS HUGEINT)`;
        const floor = `(${wide} - ((${wide} % ${by}) + ${by}) % ${by})`;
        const type = carriedType(column.type);
        // Below the smallest value of the type there is no multiple: NULL.
        return type && { sql: `TRY_CAST(${floor} AS ${type.sql})`, type };
      }
      if (!INTEGERS.has(typeId) && !FRACTIONS.has(typeId)) return undefined;
      const by = bind(step, DOUBLE_TYPE);
      return cast(`floor(CAST(${value} AS DOUBLE) / ${by}) * ${by}`, DOUBLE);
    },
    ancestor(column, name, parents) {
      const values = texts(parents.map(([value]) => value));
      const above = texts(parents.map(([, parent]) => parent));
      return {
        join: `LEFT JOIN (SELECT unnest(${values}) AS value, unnest(${above}) AS parent) AS ${name} ON ${name}.value = CAST(${reference(column)} AS VARCHAR)`,
        expression: { sql: `${name}.parent`, type: VARCHAR },
      };
    },
    sample(part, key) {
      // 53 bits of the hash as a fraction. The key decides which rows: nobody else can choose or repeat the sample.
      const seed = bind(new DuckDBBlobValue(key.sample), BLOB);
      return `CAST(hash(${relation.row}, ${seed}) >> 11 AS DOUBLE) < ${bind(part * 2 ** 53, DOUBLE_TYPE)}`;
    },
    compare(column, operator, value) {
      const both = comparable(column, reference(column), value);
      return both && `${both.left} ${operator} ${bind(both.constant, both.type)}`;
    },
    aggregate(measure, column) {
      if (column === undefined) return measure === 'count' ? { sql: 'count(*)', type: BIGINT } : undefined;
      const { typeId } = column.type;
      const value = reference(column);
      const type = sentType(column);
      if (measure === 'count') return { sql: `count(${value})`, type: BIGINT };
      const number = INTEGERS.has(typeId) || FRACTIONS.has(typeId);
      if (measure === 'min' || measure === 'max') {
        return type && (number || TIMES.has(typeId)) ? cast(`${measure}(${value})`, type) : undefined;
      }
      if (!number) return undefined;
      if (measure === 'avg') return cast(`avg(CAST(${value} AS DOUBLE))`, DOUBLE);
      if (INTEGERS.has(typeId)) return cast(`sum(${value})`, decimalType(LARGEST_PRECISION, 0));
      if (column.type instanceof DuckDBDecimalType) {
        return cast(`sum(${value})`, decimalType(LARGEST_PRECISION, column.type.scale));
      }
      return cast(`sum(CAST(${value} AS DOUBLE))`, DOUBLE);
    },
  };
  return { dialect, parameters };
}
