import { DuckDBTypeId, type DuckDBInstance } from '@duckdb/node-api';
import { DataType } from 'apache-arrow';
import { carriedType, quotedName } from '../column/carried-type.ts';
import type { EngineColumn, Relation } from './duckdb-dialect.ts';
import { FRACTIONS, INTEGERS } from './filter-value.ts';

/** What the columns of a data set hold: of all rows, or of a sample of them. */
export interface Measured {
  readonly rows: number;
  readonly sample: { readonly rows: number; readonly method: 'all' | 'system' | 'first' };
  readonly columns: readonly MeasuredColumn[];
}

export interface MeasuredColumn {
  readonly name: string;
  readonly type: string;
  /** The Arrow type that it leaves as; null where it cannot leave as it is. */
  readonly arrow: string | null;
  readonly kind: 'text' | 'number' | 'time' | 'other';
  /** Sampled rows without a value. */
  readonly nulls: number;
  /** Estimate of the different values in the sample; null where the source has none. */
  readonly distinct: number | null;
  /** Of numbers and times. */
  readonly min?: string;
  readonly max?: string;
  /** Some values as text, each cut to 200 characters. */
  readonly values: readonly string[];
}

/** Cells that are looked at: of larger data sets, a random sample of blocks. */
const MOST_CELLS = 40_000_000;
const VALUES = 1_000;
const LONGEST_VALUE = 200;
/** Measures in one query. */
const COLUMNS_AT_ONCE = 100;

/**
 * Measures a relation in the engine: rows exactly, all else of a sample where there are more than 40 million cells.
 * Distinct values are the engine's HyperLogLog estimate.
 *
 * @throws what DuckDB says when it cannot be read
 */
export async function measureRelation(
  engine: DuckDBInstance,
  { sql, parameters }: Relation,
  columns: readonly EngineColumn[],
  signal: AbortSignal,
): Promise<Measured> {
  const connection = await engine.connect();
  const interrupt = (): void => connection.interrupt();
  signal.addEventListener('abort', interrupt, { once: true });
  const types = parameters.map(({ type }) => type);
  const bound = parameters.map(({ value }) => value);
  const ask = async (text: string): Promise<unknown[][]> => {
    signal.throwIfAborted();
    return (await connection.runAndReadAll(text, bound, types)).getRows();
  };
  try {
    const rows = Number((await ask(`SELECT count(*) FROM ${sql}`))[0]?.[0] ?? 0);
    const share = Math.min(1, MOST_CELLS / (rows * columns.length || 1));
    const sampled =
      share === 1 ? sql : `(SELECT * FROM ${sql} USING SAMPLE ${(share * 100).toFixed(4)} PERCENT (system, 1))`;
    const measured: MeasuredColumn[] = [];
    let looked = 0;
    for (let at = 0; at < columns.length; at += COLUMNS_AT_ONCE) {
      const part = columns.slice(at, at + COLUMNS_AT_ONCE);
      const measures = part.flatMap((column) => measuresOf(column));
      const [found = []] = await ask(`SELECT count(*), ${measures.join(', ')} FROM ${sampled}`);
      looked = Number(found[0]);
      const texts = part.map((column) => textOf(column)).join(', ');
      const values = await ask(`SELECT ${texts} FROM ${sampled} USING SAMPLE reservoir(${VALUES} ROWS) REPEATABLE (1)`);
      for (const [i, column] of part.entries()) {
        const [count, distinct, min, max] = found.slice(1 + i * 4, 5 + i * 4);
        measured.push({
          name: column.name,
          type: column.shownType,
          arrow: arrowOf(column),
          kind: kindOf(column),
          nulls: looked - Number(count),
          // The estimate may be more than there can be.
          distinct: distinct === null ? null : Math.min(Number(distinct), Number(count)),
          ...(typeof min === 'string' && { min }),
          ...(typeof max === 'string' && { max }),
          values: values.flatMap((row) => (typeof row[i] === 'string' ? [row[i]] : [])),
        });
      }
    }
    return { rows, sample: { rows: looked, method: share === 1 ? 'all' : 'system' }, columns: measured };
  } finally {
    signal.removeEventListener('abort', interrupt);
    connection.closeSync();
  }
}

const TIMES: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.DATE,
  DuckDBTypeId.TIME,
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.TIMESTAMP_S,
  DuckDBTypeId.TIMESTAMP_MS,
  DuckDBTypeId.TIMESTAMP_NS,
  DuckDBTypeId.TIMESTAMP_TZ,
]);

function kindOf({ type: { typeId } }: EngineColumn): MeasuredColumn['kind'] {
  if (typeId === DuckDBTypeId.VARCHAR) return 'text';
  if (TIMES.has(typeId)) return 'time';
  return INTEGERS.has(typeId) || FRACTIONS.has(typeId) || typeId === DuckDBTypeId.DECIMAL ? 'number' : 'other';
}

function arrowOf({ type, hint }: EngineColumn): string | null {
  const carried = carriedType(type, hint);
  return carried === undefined ? null : arrowName(carried.arrow);
}

/** For instance `Timestamp<MICROSECOND, UTC>`. */
export function arrowName(type: DataType): string {
  if (DataType.isDecimal(type)) return `Decimal<${type.precision}, ${type.scale}>`;
  // oxlint-disable-next-line typescript/no-base-to-string -- every type has its own, which the base class does not declare
  return String(type);
}

function measuresOf(column: EngineColumn): string[] {
  const name = quotedName(column.name);
  const kind = kindOf(column);
  const ordered = kind === 'number' || kind === 'time';
  const shown = (measure: string): string => (ordered ? `${measure}(${name})::VARCHAR` : 'NULL');
  const countable = kind !== 'other' || column.type.typeId === DuckDBTypeId.BOOLEAN;
  const distinct = !countable ? 'NULL' : `approx_count_distinct(${name})`;
  return [`count(${name})`, distinct, shown('min'), shown('max')];
}

function textOf(column: EngineColumn): string {
  return kindOf(column) === 'other' ? 'NULL' : `left(${quotedName(column.name)}::VARCHAR, ${LONGEST_VALUE})`;
}
