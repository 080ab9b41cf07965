import {
  DuckDBDecimalType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  DuckDBTypeId,
  type DuckDBType,
} from '@duckdb/node-api';
import * as arrow from 'apache-arrow';
import type { MaskingKey } from './masking-key.ts';
import { EVEN_UNITS, type TimeCut } from './time-cut.ts';

/**
 * How a column travels: the Arrow type it becomes and the shape of DuckDB's vector it is read from.
 *
 * `fixed`: `width` bytes a value, the same little-endian layout on both sides. `scaled`: 8 bytes of microseconds that
 * become a coarser unit; `cut`: such that are cut to a unit of time as well. `decimal`: `width` bytes become 16. `bool`:
 * one byte a value becomes one bit. `bytes`: strings of 16 bytes with a length, that hold the bytes or point to them;
 * `dictionary` and `fixed-bytes` are read from the same, `pseudonym` too, or from integers of 8 bytes. `list`,
 * `fixed-list`, `map` and `struct` have children. `null` has no value at all.
 */
export type CarriedType = {
  readonly id: DuckDBTypeId;
  /** The type in SQL. */
  readonly sql: string;
  /** True where the scan casts the column to `sql` first. */
  readonly cast?: true;
  readonly arrow: arrow.DataType;
} & Layout;

type Layout =
  | { readonly layout: 'fixed'; readonly width: 1 | 2 | 4 | 8 }
  | { readonly layout: 'scaled'; readonly divisor: bigint; readonly width: 4 | 8 }
  | ({ readonly layout: 'cut' } & TimeCut)
  | { readonly layout: 'decimal'; readonly width: 2 | 4 | 8 | 16 }
  | { readonly layout: 'bool' | 'null' }
  | { readonly layout: 'bytes' }
  | { readonly layout: 'pseudonym'; readonly key: MaskingKey; readonly of: 'text' | 'signed' | 'unsigned' }
  | { readonly layout: 'dictionary'; readonly values: arrow.Utf8 }
  | { readonly layout: 'fixed-bytes'; readonly width: number }
  | { readonly layout: 'list' | 'map'; readonly child: CarriedType }
  | { readonly layout: 'fixed-list'; readonly child: CarriedType; readonly size: number }
  | { readonly layout: 'struct'; readonly children: readonly CarriedType[] };

const fixed = (id: DuckDBTypeId, sql: string, type: arrow.DataType, width: 1 | 2 | 4 | 8): CarriedType => ({
  id,
  sql,
  arrow: type,
  layout: 'fixed',
  width,
});

/** Text: also what the masks `constant` and `hash` make of a column. */
export const VARCHAR: CarriedType = {
  id: DuckDBTypeId.VARCHAR,
  sql: 'VARCHAR',
  arrow: new arrow.Utf8(),
  layout: 'bytes',
};
/** Text of which only pseudonyms leave. */
export function pseudonymType(key: MaskingKey): CarriedType {
  return { id: VARCHAR.id, sql: VARCHAR.sql, arrow: VARCHAR.arrow, layout: 'pseudonym', key, of: 'text' };
}
/** Integers of 8 bytes of which only the pseudonyms of their text leave. */
export function integerPseudonymType(key: MaskingKey, signed: boolean): CarriedType {
  const id = signed ? DuckDBTypeId.BIGINT : DuckDBTypeId.UBIGINT;
  const of = signed ? 'signed' : 'unsigned';
  return { id, sql: signed ? 'BIGINT' : 'UBIGINT', arrow: VARCHAR.arrow, layout: 'pseudonym', key, of };
}

export const BIGINT: CarriedType = fixed(DuckDBTypeId.BIGINT, 'BIGINT', new arrow.Int64(), 8);
export const DOUBLE: CarriedType = fixed(DuckDBTypeId.DOUBLE, 'DOUBLE', new arrow.Float64(), 8);

const SIMPLE: readonly CarriedType[] = [
  VARCHAR,
  BIGINT,
  DOUBLE,
  { id: DuckDBTypeId.BLOB, sql: 'BLOB', arrow: new arrow.Binary(), layout: 'bytes' },
  { id: DuckDBTypeId.BOOLEAN, sql: 'BOOLEAN', arrow: new arrow.Bool(), layout: 'bool' },
  fixed(DuckDBTypeId.TINYINT, 'TINYINT', new arrow.Int8(), 1),
  fixed(DuckDBTypeId.SMALLINT, 'SMALLINT', new arrow.Int16(), 2),
  fixed(DuckDBTypeId.INTEGER, 'INTEGER', new arrow.Int32(), 4),
  fixed(DuckDBTypeId.UTINYINT, 'UTINYINT', new arrow.Uint8(), 1),
  fixed(DuckDBTypeId.USMALLINT, 'USMALLINT', new arrow.Uint16(), 2),
  fixed(DuckDBTypeId.UINTEGER, 'UINTEGER', new arrow.Uint32(), 4),
  fixed(DuckDBTypeId.UBIGINT, 'UBIGINT', new arrow.Uint64(), 8),
  fixed(DuckDBTypeId.FLOAT, 'FLOAT', new arrow.Float32(), 4),
  fixed(DuckDBTypeId.DATE, 'DATE', new arrow.DateDay(), 4),
  fixed(DuckDBTypeId.TIME, 'TIME', new arrow.TimeMicrosecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_S, 'TIMESTAMP_S', new arrow.TimestampSecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_MS, 'TIMESTAMP_MS', new arrow.TimestampMillisecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP, 'TIMESTAMP', new arrow.TimestampMicrosecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_NS, 'TIMESTAMP_NS', new arrow.TimestampNanosecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_TZ, 'TIMESTAMPTZ', new arrow.TimestampMicrosecond('UTC'), 8),
];

/** Times in microseconds. */
const INSTANTS: ReadonlySet<DuckDBTypeId> = new Set([DuckDBTypeId.TIMESTAMP, DuckDBTypeId.TIMESTAMP_TZ]);

const BY_ID = new Map(SIMPLE.map((type) => [type.id, type]));

/** The largest decimal of 16 bytes. */
export const LARGEST_PRECISION = 38;

/** A decimal as DuckDB keeps it: in the fewest bytes of 2, 4, 8 and 16 that hold its precision. */
export function decimalType(precision: number, scale: number): CarriedType {
  const width = precision <= 4 ? 2 : precision <= 9 ? 4 : precision <= 18 ? 8 : 16;
  return {
    id: DuckDBTypeId.DECIMAL,
    sql: `DECIMAL(${precision}, ${scale})`,
    arrow: new arrow.Decimal(scale, precision, 128),
    layout: 'decimal',
    width,
  };
}

/**
 * @param hint the column's Arrow type as the writer of the file had it: its zone, unit, dictionary and fixed sizes,
 *   which DuckDB does not keep
 * @returns how values of a DuckDB type travel, or undefined: intervals, unions and 128-bit integers do not
 */
export function carriedType(type: DuckDBType, hint?: arrow.DataType): CarriedType | undefined {
  if (type instanceof DuckDBDecimalType) return decimalType(type.width, type.scale);
  if (type instanceof DuckDBStructType) return structType(type.entryNames, type.entryTypes, hint);
  if (type instanceof DuckDBListType) return listType(type, hint);
  if (type instanceof DuckDBMapType) return mapType(type, hint);
  if (type.typeId === DuckDBTypeId.UUID) return { ...VARCHAR, cast: true };
  const simple = BY_ID.get(type.typeId);
  return simple && hint ? hinted(simple, hint) : simple;
}

/**
 * @param type of a time that leaves as it is
 * @param unit hour, day, …
 * @returns the type of which only what is left of it at that unit leaves; undefined where that is for the engine to do
 */
export function cutType(type: CarriedType, unit: string): CarriedType | undefined {
  const even = EVEN_UNITS[unit];
  if (even === undefined || !INSTANTS.has(type.id) || (type.layout !== 'fixed' && type.layout !== 'scaled')) {
    return undefined;
  }
  const divisor = type.layout === 'scaled' ? Number(type.divisor) : 1;
  return { id: type.id, sql: type.sql, arrow: type.arrow, layout: 'cut', ...even, divisor };
}

function hinted(simple: CarriedType, hint: arrow.DataType): CarriedType {
  if (simple === VARCHAR && arrow.DataType.isDictionary(hint) && arrow.DataType.isUtf8(hint.dictionary)) {
    const values = new arrow.Utf8();
    const dictionary = new arrow.Dictionary(values, new arrow.Int32(), null, hint.isOrdered);
    return { id: simple.id, sql: simple.sql, arrow: dictionary, layout: 'dictionary', values };
  }
  if (simple.id === DuckDBTypeId.BLOB && arrow.DataType.isFixedSizeBinary(hint)) {
    return { id: simple.id, sql: simple.sql, arrow: hint, layout: 'fixed-bytes', width: hint.byteWidth };
  }
  if (simple.id === DuckDBTypeId.INTEGER && arrow.DataType.isNull(hint)) {
    return { id: simple.id, sql: simple.sql, arrow: new arrow.Null(), layout: 'null' };
  }
  if (simple.id === DuckDBTypeId.BIGINT && arrow.DataType.isDuration(hint)) return { ...simple, arrow: hint };
  if (simple.id === DuckDBTypeId.TIME && arrow.DataType.isTime(hint) && hint.unit === arrow.TimeUnit.MILLISECOND) {
    return { id: simple.id, sql: simple.sql, arrow: hint, layout: 'scaled', divisor: 1000n, width: 4 };
  }
  if (INSTANTS.has(simple.id) && arrow.DataType.isTimestamp(hint)) {
    // A zone without which the values would mean something else, or the other way round: the file's own schema wins.
    if ((simple.id === DuckDBTypeId.TIMESTAMP_TZ) !== Boolean(hint.timezone)) return simple;
    const { SECOND, MILLISECOND, MICROSECOND } = arrow.TimeUnit;
    const divisor = hint.unit === SECOND ? 1_000_000n : hint.unit === MILLISECOND ? 1000n : undefined;
    if (divisor === undefined) return { ...simple, arrow: new arrow.Timestamp(MICROSECOND, hint.timezone) };
    return { id: simple.id, sql: simple.sql, arrow: hint, layout: 'scaled', divisor, width: 8 };
  }
  return simple;
}

function structType(
  names: readonly string[],
  types: readonly DuckDBType[],
  hint: arrow.DataType | undefined,
): CarriedType | undefined {
  const fields = arrow.DataType.isStruct(hint) ? hint.children : [];
  const children: CarriedType[] = [];
  for (const [i, type] of types.entries()) {
    const child = carriedType(type, fields.find(({ name }) => name === names[i])?.type as arrow.DataType | undefined);
    if (child === undefined) return undefined;
    children.push(child);
  }
  const typed = names.map((name, i) => `${quotedName(name)} ${children[i]?.sql}`);
  return {
    id: DuckDBTypeId.STRUCT,
    sql: `STRUCT(${typed.join(', ')})`,
    ...castIf(children),
    arrow: new arrow.Struct(names.map((name, i) => new arrow.Field(name, (children[i] as CarriedType).arrow, true))),
    layout: 'struct',
    children,
  };
}

function listType({ valueType }: DuckDBListType, hint: arrow.DataType | undefined): CarriedType | undefined {
  const listed = arrow.DataType.isList(hint) || arrow.DataType.isFixedSizeList(hint) ? hint : undefined;
  const child = carriedType(valueType, listed?.children[0]?.type as arrow.DataType | undefined);
  if (child === undefined) return undefined;
  const field = new arrow.Field(listed?.children[0]?.name ?? 'item', child.arrow, true);
  const shared = { id: DuckDBTypeId.LIST, sql: `${child.sql}[]`, ...castIf([child]), child };
  return arrow.DataType.isFixedSizeList(hint)
    ? { ...shared, arrow: new arrow.FixedSizeList(hint.listSize, field), layout: 'fixed-list', size: hint.listSize }
    : { ...shared, arrow: new arrow.List(field), layout: 'list' };
}

function mapType({ keyType, valueType }: DuckDBMapType, hint: arrow.DataType | undefined): CarriedType | undefined {
  const entries = arrow.DataType.isMap(hint) ? (hint.children[0]?.type as arrow.Struct | undefined) : undefined;
  const key = carriedType(keyType, entries?.children[0]?.type);
  const value = carriedType(valueType, entries?.children[1]?.type);
  if (key === undefined || value === undefined) return undefined;
  const struct = new arrow.Struct<{ key: arrow.DataType; value: arrow.DataType }>([
    new arrow.Field('key', key.arrow, false),
    new arrow.Field('value', value.arrow, true),
  ]);
  const cast = castIf([key, value]);
  return {
    id: DuckDBTypeId.MAP,
    sql: `MAP(${key.sql}, ${value.sql})`,
    ...cast,
    arrow: new arrow.Map_(new arrow.Field('entries', struct, false)),
    layout: 'map',
    child: { id: DuckDBTypeId.STRUCT, sql: '', arrow: struct, layout: 'struct', children: [key, value] },
  };
}

function castIf(children: readonly CarriedType[]): { readonly cast?: true } {
  return children.some(({ cast }) => cast) ? { cast: true } : {};
}

/** A name from a file's schema as an identifier. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
