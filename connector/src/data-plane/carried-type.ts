import { DuckDBDecimalType, DuckDBTypeId, type DuckDBType } from '@duckdb/node-api';
import * as arrow from 'apache-arrow';

type Width = 1 | 2 | 4 | 8 | 16;

/**
 * How a column travels: the Arrow type it becomes and the shape of DuckDB's vector it is read from.
 *
 * `fixed`: `width` bytes a value, the same little-endian layout on both sides. `bool`: one byte a value becomes one
 * bit. `bytes`: strings of 16 bytes with a length, that hold the bytes or point to them.
 */
export type CarriedType = {
  readonly id: DuckDBTypeId;
  /** The type in SQL. */
  readonly sql: string;
  /** True where the scan casts the column to `sql` first. */
  readonly cast?: true;
  readonly arrow: arrow.DataType;
} & ({ readonly layout: 'fixed'; readonly width: Width } | { readonly layout: 'bool' | 'bytes' });

const fixed = (id: DuckDBTypeId, sql: string, type: arrow.DataType, width: Width): CarriedType => ({
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

const ALL: readonly CarriedType[] = [
  VARCHAR,
  { id: DuckDBTypeId.BLOB, sql: 'BLOB', arrow: new arrow.Binary(), layout: 'bytes' },
  { id: DuckDBTypeId.BOOLEAN, sql: 'BOOLEAN', arrow: new arrow.Bool(), layout: 'bool' },
  fixed(DuckDBTypeId.TINYINT, 'TINYINT', new arrow.Int8(), 1),
  fixed(DuckDBTypeId.SMALLINT, 'SMALLINT', new arrow.Int16(), 2),
  fixed(DuckDBTypeId.INTEGER, 'INTEGER', new arrow.Int32(), 4),
  fixed(DuckDBTypeId.BIGINT, 'BIGINT', new arrow.Int64(), 8),
  fixed(DuckDBTypeId.UTINYINT, 'UTINYINT', new arrow.Uint8(), 1),
  fixed(DuckDBTypeId.USMALLINT, 'USMALLINT', new arrow.Uint16(), 2),
  fixed(DuckDBTypeId.UINTEGER, 'UINTEGER', new arrow.Uint32(), 4),
  fixed(DuckDBTypeId.UBIGINT, 'UBIGINT', new arrow.Uint64(), 8),
  fixed(DuckDBTypeId.FLOAT, 'FLOAT', new arrow.Float32(), 4),
  fixed(DuckDBTypeId.DOUBLE, 'DOUBLE', new arrow.Float64(), 8),
  fixed(DuckDBTypeId.DATE, 'DATE', new arrow.DateDay(), 4),
  fixed(DuckDBTypeId.TIME, 'TIME', new arrow.TimeMicrosecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_S, 'TIMESTAMP_S', new arrow.TimestampSecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_MS, 'TIMESTAMP_MS', new arrow.TimestampMillisecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP, 'TIMESTAMP', new arrow.TimestampMicrosecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_NS, 'TIMESTAMP_NS', new arrow.TimestampNanosecond(), 8),
  fixed(DuckDBTypeId.TIMESTAMP_TZ, 'TIMESTAMPTZ', new arrow.TimestampMicrosecond('UTC'), 8),
];

const BY_ID = new Map(ALL.map((type) => [type.id, type]));

/** DuckDB keeps a decimal of this width in 16 bytes, as Arrow keeps every decimal. */
const DECIMAL_WIDTH = 38;

/** @returns how values of a DuckDB type travel, or undefined: nested types and intervals do not */
export function carriedType(type: DuckDBType): CarriedType | undefined {
  if (type instanceof DuckDBDecimalType) {
    const { scale } = type;
    const sql = `DECIMAL(${DECIMAL_WIDTH}, ${scale})`;
    return { ...fixed(type.typeId, sql, new arrow.Decimal(scale, DECIMAL_WIDTH), 16), cast: true };
  }
  if (type.typeId === DuckDBTypeId.UUID) return { ...VARCHAR, cast: true };
  return BY_ID.get(type.typeId);
}
