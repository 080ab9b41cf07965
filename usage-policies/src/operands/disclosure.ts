/** Our operands that limit what leaves: minimumGroupSize, aggregates, rowLimit, byteLimit, sampling. */
import type { AggregateFunction, Disclosure } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { USE } from '../terms.ts';
import { itemsOf, onlyItem, readCount, readNumber, readText } from '../values.ts';
import { listed } from '../wording.ts';
import { HOLDS, type Operand } from './operand.ts';

/** Functions of the rows of a group that `aggregates` may name. */
const AGGREGATES: readonly AggregateFunction[] = ['count', 'sum', 'avg', 'min', 'max'];

/**
 * A limit on what leaves. Uses only, and for a whole permission: it says how data are cut, never whether they may be
 * used, so it holds for every request. Whoever executes plans denies what it cannot cut by.
 */
function limit(
  operator: string,
  read: (raw: unknown, dataType: string | undefined) => { value: unknown; words: string; part: Disclosure },
): Operand {
  return {
    operators: [operator],
    actions: [USE],
    rules: ['permission'],
    unordered: true,
    wholeRule: true,
    read(raw, _operator, dataType) {
      const { value, words, part } = read(raw, dataType);
      return { value, words, test: () => HOLDS, cut: { disclosure: part } };
    },
  };
}

function positive(raw: unknown, dataType: string | undefined): number {
  const value = readCount(onlyItem(raw), dataType);
  if (value === 0) throw new Unreadable('it must be 1 or more');
  return value;
}

/** Rows that each group has at least: smaller groups do not leave, and no row itself. */
export const minimumGroupSize: Operand = limit('gteq', (raw, dataType) => {
  const value = positive(raw, dataType);
  return { value, words: `only aggregates of at least ${value} rows`, part: { minimumGroupSize: value } };
});

/** Only these functions over groups of rows leave, and no row itself. */
export const aggregates: Operand = limit('isPartOf', (raw, dataType) => {
  const named = [...new Set(itemsOf(raw).map((item) => readText(item, dataType)))];
  const known = AGGREGATES.filter((each) => named.includes(each));
  const stray = named.find((name) => !known.some((each) => each === name));
  if (stray !== undefined) throw new Unreadable(`${listed([stray])} is none of ${listed(AGGREGATES)}`);
  if (known.length === 0) throw new Unreadable('at least one aggregate is expected');
  return {
    value: known,
    words: `only the aggregates ${listed(known)}`,
    part: { aggregates: known, minimumGroupSize: 1 },
  };
});

/** Rows of one use. */
export const rowLimit: Operand = limit('lteq', (raw, dataType) => {
  const value = positive(raw, dataType);
  return { value, words: `at most ${value} rows at a time`, part: { limit: value } };
});

/** Bytes of one use, as they are sent. */
export const byteLimit: Operand = limit('lteq', (raw, dataType) => {
  const value = positive(raw, dataType);
  return { value, words: `at most ${value} bytes at a time`, part: { byteLimit: value } };
});

/** The share of rows that leaves, drawn at random: more than 0, at most 1. The same rows at every use. */
export const sampling: Operand = limit('lteq', (raw) => {
  const value = readNumber(onlyItem(raw));
  if (value === 0 || value > 1) throw new Unreadable('it must be a share of more than 0 and at most 1');
  return { value, words: `only a sample of ${value} of the rows`, part: { sampling: value } };
});

/** Two limits at once: what keeps to both. undefined where nothing can. */
export function strictest(a: Disclosure, b: Disclosure): Disclosure | undefined {
  const of = (choose: (...both: number[]) => number, part: Exclude<keyof Disclosure, 'aggregates'>): Disclosure => {
    const given = [a[part], b[part]].filter((value) => typeof value === 'number');
    return given.length === 0 ? {} : { [part]: choose(...given) };
  };
  const other = b.aggregates ?? undefined;
  const functions =
    a.aggregates && other ? a.aggregates.filter((each) => other.includes(each)) : (a.aggregates ?? other);
  if (functions?.length === 0) return undefined;
  return {
    ...of(Math.max, 'minimumGroupSize'),
    ...(functions !== undefined && { aggregates: functions }),
    ...of(Math.min, 'limit'),
    ...of(Math.min, 'byteLimit'),
    ...of(Math.min, 'sampling'),
  };
}
