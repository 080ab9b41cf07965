import * as arrow from 'apache-arrow';
import { quotedName } from '../column/carried-type.ts';
import type { Dialect, Expression, SourceColumn } from './dialect.ts';
import { microsecondsOf } from './filter-value.ts';
import type { MaskingKey } from '../column/masking-key.ts';
import { reference } from './scan-query.ts';

/** A column of a PostgreSQL table. */
export interface TableColumn extends SourceColumn {
  /** Name of its type in pg_type. */
  readonly typeName: string;
  /** Of numeric: digits in all and after the point, where the table bounds them. */
  readonly decimal?: { readonly precision: number; readonly scale: number };
}

/** The Arrow type that a result column becomes, and how its values are selected. */
export interface TableType {
  readonly arrow: arrow.DataType;
  /** SQL that turns a value into the text that textColumn reads. */
  readonly wire: 'as-is' | 'days' | 'micros';
  /** Only pseudonyms of its values leave. */
  readonly pseudonyms?: MaskingKey;
}

const asIs = (type: arrow.DataType): TableType => ({ arrow: type, wire: 'as-is' });
const TEXT = asIs(new arrow.Utf8());
const BIGINT = asIs(new arrow.Int64());
const DOUBLE = asIs(new arrow.Float64());

const TYPES: Readonly<Record<string, TableType>> = {
  bool: asIs(new arrow.Bool()),
  int2: asIs(new arrow.Int16()),
  int4: asIs(new arrow.Int32()),
  int8: BIGINT,
  float4: asIs(new arrow.Float32()),
  float8: DOUBLE,
  text: TEXT,
  varchar: TEXT,
  bpchar: TEXT,
  uuid: TEXT,
  json: TEXT,
  jsonb: TEXT,
  bytea: asIs(new arrow.Binary()),
  date: { arrow: new arrow.DateDay(), wire: 'days' },
  time: { arrow: new arrow.TimeMicrosecond(), wire: 'micros' },
  timestamp: { arrow: new arrow.TimestampMicrosecond(), wire: 'micros' },
  timestamptz: { arrow: new arrow.TimestampMicrosecond('UTC'), wire: 'micros' },
};

const INTEGERS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8']);
const NUMBERS: ReadonlySet<string> = new Set([...INTEGERS, 'float4', 'float8', 'numeric']);
const TEXTS: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar']);
const TIMES: ReadonlySet<string> = new Set(['date', 'timestamp', 'timestamptz']);
const WHOLE_NUMBER = /^-?(?:0|[1-9]\d{0,19})$/;
const LARGEST_PRECISION = 38;
const DAY = 86_400_000_000n;

/** @returns how a column's values travel, or undefined: arrays, ranges and numerics without bounds do not */
export function tableType({ typeName, decimal }: TableColumn): TableType | undefined {
  if (typeName !== 'numeric') return Object.hasOwn(TYPES, typeName) ? TYPES[typeName] : undefined;
  if (decimal === undefined || decimal.precision > LARGEST_PRECISION || decimal.scale < 0) return undefined;
  return asIs(new arrow.Decimal(decimal.scale, decimal.precision, 128));
}

/** SQL of a result column in the text that textColumn reads. */
export function wireText({ sql, type }: Expression<TableType>): string {
  if (type.wire === 'days') return `((${sql}) - DATE '1970-01-01')::text`;
  if (type.wire === 'micros') return `(extract(epoch FROM ${sql}) * 1000000)::bigint::text`;
  return arrow.DataType.isBool(type.arrow)
    ? `CASE WHEN ${sql} THEN 't' WHEN NOT (${sql}) THEN 'f' END`
    : `(${sql})::text`;
}

/**
 * Scans in PostgreSQL 14 or later, in a session whose time zone is UTC. Of the mask `hash` the query yields
 * PostgreSQL's text of the value, of which pseudonyms are made as for the engine's.
 */
export function postgresqlDialect(
  schema: string,
  table: string,
): { dialect: Dialect<TableColumn, TableType>; parameters: readonly unknown[] } {
  const parameters: unknown[] = [];
  const bind = (value: unknown, type: string): string => `$${parameters.push(value)}::${type}`;
  const dialect: Dialect<TableColumn, TableType> = {
    from: `${quotedName(schema)}.${quotedName(table)}`,
    never: 'false',
    asItIs(column) {
      const type = tableType(column);
      return type && { sql: reference(column), type };
    },
    nullOf(column) {
      const type = tableType(column);
      return type ? { sql: `NULL::${column.shownType}`, type } : { sql: 'NULL::text', type: TEXT };
    },
    constant: (value) => ({ sql: bind(value, 'text'), type: TEXT }),
    hash: (column, key) => ({ sql: `${reference(column)}::text`, type: { ...TEXT, pseudonyms: key } }),
    truncateText: (column, length) =>
      TEXTS.has(column.typeName) ? { sql: `left(${reference(column)}, ${length})`, type: TEXT } : undefined,
    truncateTime(column, unit) {
      const type = tableType(column);
      if (type === undefined || !TIMES.has(column.typeName)) return undefined;
      const cut = `date_trunc('${unit}', ${reference(column)})`;
      // Of a date, PostgreSQL makes a time with zone: the session's, which is UTC.
      return { sql: column.typeName === 'date' ? `(${cut})::date` : cut, type };
    },
    truncateNumber(column, step) {
      if (!NUMBERS.has(column.typeName)) return undefined;
      const by = bind(String(step), 'numeric');
      return { sql: `(floor(${reference(column)}::numeric / ${by}) * ${by})::float8`, type: DOUBLE };
    },
    ancestor(column, name, parents) {
      const values = bind(
        parents.map(([value]) => value),
        'text[]',
      );
      const above = bind(
        parents.map(([, parent]) => parent),
        'text[]',
      );
      return {
        join: `LEFT JOIN unnest(${values}, ${above}) AS ${name} (value, parent) ON ${name}.value = ${reference(column)}::text`,
        expression: { sql: `${name}.parent`, type: TEXT },
      };
    },
    sample(part, key) {
      // 52 bits of a keyed hash of the whole row as a fraction.
      const seed = bind(Buffer.from(key.sample), 'bytea');
      const hash = `encode(sha256(${seed} || convert_to(data::text, 'UTF8')), 'hex')`;
      return `('x' || left(${hash}, 13))::bit(52)::bigint::float8 < ${bind(part * 2 ** 52, 'float8')}`;
    },
    compare(column, operator, value) {
      const { typeName } = column;
      const left = reference(column);
      if (typeof value === 'boolean') {
        return typeName === 'bool' ? `${left} ${operator} ${bind(value, 'boolean')}` : undefined;
      }
      if (NUMBERS.has(typeName) && (typeof value === 'number' || WHOLE_NUMBER.test(value))) {
        const narrow = INTEGERS.has(typeName) && typeof value === 'number' && Number.isSafeInteger(value);
        return `${left} ${operator} ${bind(String(value), narrow ? 'bigint' : 'numeric')}`;
      }
      if (typeof value === 'number' || value.includes('\0')) return undefined;
      // Compared byte by byte, as the engine does, whatever the table's collation is.
      if (TEXTS.has(typeName)) return `${left} COLLATE "C" ${operator} ${bind(value, 'text')}`;
      const micros = TIMES.has(typeName) ? microsecondsOf(value) : undefined;
      if (micros === undefined) return undefined;
      const moment = isoOf(micros);
      if (typeName === 'timestamptz') return `${left} ${operator} ${bind(`${moment}Z`, 'timestamptz')}`;
      if (typeName === 'date' && micros % DAY === 0n) return `${left} ${operator} ${bind(moment.slice(0, 10), 'date')}`;
      return `${left}::timestamp ${operator} ${bind(moment, 'timestamp')}`;
    },
    aggregate(measure, column) {
      if (column === undefined) return measure === 'count' ? { sql: 'count(*)', type: BIGINT } : undefined;
      const value = reference(column);
      const type = tableType(column);
      if (measure === 'count') return { sql: `count(${value})`, type: BIGINT };
      const number = NUMBERS.has(column.typeName);
      if (measure === 'min' || measure === 'max') {
        return type && (number || TIMES.has(column.typeName)) ? { sql: `${measure}(${value})`, type } : undefined;
      }
      if (!number) return undefined;
      if (measure === 'avg') return { sql: `avg(${value}::float8)`, type: DOUBLE };
      if (INTEGERS.has(column.typeName)) {
        return { sql: `sum(${value})::numeric`, type: asIs(new arrow.Decimal(0, LARGEST_PRECISION, 128)) };
      }
      if (column.decimal !== undefined) {
        return { sql: `sum(${value})`, type: asIs(new arrow.Decimal(column.decimal.scale, LARGEST_PRECISION, 128)) };
      }
      return { sql: `sum(${value}::float8)`, type: DOUBLE };
    },
  };
  return { dialect, parameters };
}

/** `2001-02-03T04:05:06.789012` of microseconds since 1970. */
function isoOf(micros: bigint): string {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((micros - fraction) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${fraction.toString().padStart(6, '0')}`;
}
