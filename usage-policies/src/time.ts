/** Moments, days and durations of XML Schema, compared as XML Schema 1.1 part 2 says. */
import { Unreadable } from './policy-error.ts';
import { readInstant, readLiteral, refuseDatatype } from './values.ts';
import { shownValue } from './wording.ts';

const DAY = 86_400_000;
/** XML Schema's widest offset: what a moment without a zone may be off (part 2, section D.2.1 and 3.3.7). */
const WIDEST_ZONE = 14 * 3_600_000;

/**
 * A date or date and time as the span of milliseconds since 1970 that it is: a moment is one millisecond, a day is all
 * of its own. `slack` is how far both ends may be off where the text has no zone.
 */
export interface Span {
  readonly text: string;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly slack: number;
}

const DATE = /^(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?$/;

/**
 * xsd:dateTime, xsd:dateTimeStamp or xsd:date. Without a zone the text means another moment to each reader, so a
 * comparison is left open within 14 hours of it.
 */
export function readSpan(raw: unknown, dataType?: string): Span {
  const literal = readLiteral(raw, dataType);
  refuseDatatype(literal, ['dateTime', 'dateTimeStamp', 'date', 'string']);
  const { value: text, datatype } = literal;
  if (typeof text !== 'string') throw new Unreadable(`${shownValue(text)} is not a date and time`);
  const [, day, zone] = DATE.exec(text) ?? [];
  if (day !== undefined && datatype !== 'dateTime' && datatype !== 'dateTimeStamp') {
    const { time } = readInstant(`${day}T00:00:00${zone ?? 'Z'}`);
    return { text, from: time, to: time + DAY, slack: zone === undefined ? WIDEST_ZONE : 0 };
  }
  if (datatype === 'date') throw new Unreadable(`${shownValue(text)} is not a date such as 2026-01-01`);
  const zoned = /(?:Z|[+-]\d\d:\d\d)$/.test(text);
  if (!zoned && datatype === 'dateTimeStamp') throw new Unreadable(`${text} has no time zone: a time stamp has one`);
  const { time } = readInstant(zoned || !text.includes('T') ? text : `${text}Z`);
  return { text, from: time, to: time + 1, slack: zoned ? 0 : WIDEST_ZONE };
}

/** Whether a moment has come; undefined where that depends on a zone that nobody said. */
function reached(at: number, moment: number, slack: number): boolean | undefined {
  if (at < moment - slack) return false;
  return at >= moment + slack ? true : undefined;
}

function not(truth: boolean | undefined): boolean | undefined {
  return truth === undefined ? undefined : !truth;
}

function both(a: boolean | undefined, b: boolean | undefined): boolean | undefined {
  if (a === false || b === false) return false;
  return a === undefined || b === undefined ? undefined : true;
}

/** How a moment stands to a span, by operator; undefined where that depends on a zone that nobody said. */
export const SPAN_COMPARISONS: Readonly<Record<string, (at: number, span: Span) => boolean | undefined>> = {
  lt: (at, { from, slack }) => not(reached(at, from, slack)),
  // Up to a day is up to its end, from a day from its beginning.
  lteq: (at, { to, slack }) => not(reached(at, to, slack)),
  gt: (at, { to, slack }) => reached(at, to, slack),
  gteq: (at, { from, slack }) => reached(at, from, slack),
  eq: (at, { from, to, slack }) => both(reached(at, from, slack), not(reached(at, to, slack))),
  neq: (at, { from, to, slack }) => not(both(reached(at, from, slack), not(reached(at, to, slack)))),
};

/** xsd:duration. Months and the rest are kept apart: how long a month is depends on where it begins. */
export interface Duration {
  readonly text: string;
  readonly months: number;
  readonly milliseconds: number;
}

const DURATION =
  /^P(?=\d|T\d)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,3}))?S)?)?$/;

/** A duration of 0 or more. Weeks are read too, as ISO 8601 writes them. */
export function readDuration(raw: unknown, dataType?: string): Duration {
  const literal = readLiteral(raw, dataType);
  refuseDatatype(literal, ['duration', 'dayTimeDuration', 'yearMonthDuration', 'string']);
  const text = literal.value;
  const parts = typeof text === 'string' ? DURATION.exec(text) : null;
  if (typeof text !== 'string' || parts === null) {
    throw new Unreadable(`${shownValue(literal.value)} is not a duration such as P3M or PT12H`);
  }
  const [years, months, weeks, days, hours, minutes, seconds] = parts.slice(1, 8).map((part) => Number(part ?? 0));
  const fraction = Number((parts[8] ?? '').padEnd(3, '0'));
  return {
    text,
    months: (years ?? 0) * 12 + (months ?? 0),
    milliseconds:
      ((weeks ?? 0) * 7 + (days ?? 0)) * DAY +
      (((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000 +
      fraction,
  };
}

/** The moment a duration after another (XML Schema 1.1 part 2, section E.3.3: a month on ends within its month). */
export function after(start: number, { months, milliseconds }: Duration): number {
  if (months === 0) return start + milliseconds;
  const date = new Date(start);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return date.getTime() + milliseconds;
}

/** The moment a duration before another, by the same rule. */
export function before(end: number, duration: Duration): number {
  return after(end - duration.milliseconds, { ...duration, months: -duration.months, milliseconds: 0 });
}
