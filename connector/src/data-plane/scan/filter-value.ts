import {
  BIGINT,
  BOOLEAN,
  DATE,
  DOUBLE,
  DuckDBDateValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTypeId,
  TIMESTAMP,
  TIMESTAMPTZ,
  TIMESTAMP_NS,
  UBIGINT,
  VARCHAR,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import type { EngineColumn } from './duckdb-dialect.ts';

/** Both sides of a comparison in one type: neither is rounded to fit the other. */
export interface Comparable {
  /** SQL of the column, cast where it must be. */
  readonly left: string;
  readonly constant: DuckDBValue;
  readonly type: DuckDBType;
}

export const INTEGERS: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.UBIGINT,
]);

/** Compared as doubles. A decimal may lose digits beyond the 15th. */
export const FRACTIONS: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.FLOAT,
  DuckDBTypeId.DOUBLE,
  DuckDBTypeId.DECIMAL,
]);

export const COARSE_TIMESTAMPS: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.TIMESTAMP_S,
  DuckDBTypeId.TIMESTAMP_MS,
]);

/** Policies write whole numbers beyond 2^53 as text: JSON numbers would lose digits. */
const WHOLE_NUMBER = /^-?(?:0|[1-9]\d{0,19})$/;

const MICROSECONDS_PER_DAY = 86_400_000_000n;

/**
 * Makes a policy's value comparable with a column: numbers with numbers, text with text, booleans with booleans, and
 * ISO 8601 dates and times with dates and times (UTC where no offset is written, as Parquet stores them).
 *
 * @param reference SQL of the column
 * @returns undefined where value and column do not fit: the filter must not let rows through that nobody granted
 */
export function comparable(
  column: Pick<EngineColumn, 'type'>,
  reference: string,
  value: string | number | boolean,
): Comparable | undefined {
  const { typeId } = column.type;
  if (typeof value === 'number' && Number.isFinite(value)) {
    if (INTEGERS.has(typeId) && Number.isSafeInteger(value)) {
      return { left: reference, constant: BigInt(value), type: BIGINT };
    }
    if (INTEGERS.has(typeId) || FRACTIONS.has(typeId)) {
      return { left: `CAST(${reference} AS DOUBLE)`, constant: value, type: DOUBLE };
    }
  }
  if (typeof value === 'boolean' && typeId === DuckDBTypeId.BOOLEAN) {
    return { left: reference, constant: value, type: BOOLEAN };
  }
  if (typeof value === 'string') {
    if (typeId === DuckDBTypeId.VARCHAR) return { left: reference, constant: value, type: VARCHAR };
    if (INTEGERS.has(typeId) && WHOLE_NUMBER.test(value)) {
      const whole = BigInt(value);
      if (BigInt.asIntN(64, whole) === whole) return { left: reference, constant: whole, type: BIGINT };
      if (BigInt.asUintN(64, whole) === whole) return { left: reference, constant: whole, type: UBIGINT };
    }
    const micros = microsecondsOf(value);
    if (micros !== undefined) return comparableTime(typeId, reference, micros);
  }
  return undefined;
}

function comparableTime(typeId: DuckDBTypeId, reference: string, micros: bigint): Comparable | undefined {
  if (typeId === DuckDBTypeId.DATE && micros % MICROSECONDS_PER_DAY === 0n) {
    return { left: reference, constant: new DuckDBDateValue(Number(micros / MICROSECONDS_PER_DAY)), type: DATE };
  }
  if (typeId === DuckDBTypeId.DATE || COARSE_TIMESTAMPS.has(typeId)) {
    const left = `CAST(${reference} AS TIMESTAMP)`;
    return { left, constant: new DuckDBTimestampValue(micros), type: TIMESTAMP };
  }
  if (typeId === DuckDBTypeId.TIMESTAMP) {
    return { left: reference, constant: new DuckDBTimestampValue(micros), type: TIMESTAMP };
  }
  if (typeId === DuckDBTypeId.TIMESTAMP_TZ) {
    return { left: reference, constant: new DuckDBTimestampTZValue(micros), type: TIMESTAMPTZ };
  }
  if (typeId === DuckDBTypeId.TIMESTAMP_NS) {
    return { left: reference, constant: new DuckDBTimestampNanosecondsValue(micros * 1000n), type: TIMESTAMP_NS };
  }
  return undefined;
}

const ISO_8601 =
  /^(?<date>\d{4}-\d{2}-\d{2})(?:[T ](?<time>\d{2}:\d{2}:\d{2})(?:\.(?<fraction>\d{1,6}))?(?<zone>Z|[+-]\d{2}:\d{2})?)?$/;

/** @returns microseconds since 1970-01-01T00:00:00Z, or undefined for what is no date and time */
export function microsecondsOf(text: string): bigint | undefined {
  const parts = ISO_8601.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const { date, time = '00:00:00', fraction = '', zone = 'Z' } = parts;
  const milliseconds = Date.parse(`${date}T${time}.000${zone}`);
  // Date.parse turns the 30th of February into a day of March.
  if (Number.isNaN(milliseconds) || new Date(`${date}T00:00:00.000Z`).toISOString().slice(0, 10) !== date) {
    return undefined;
  }
  return BigInt(milliseconds) * 1000n + BigInt(fraction.padEnd(6, '0'));
}
