import { decimal } from './operands/known-values.ts';
import { Unreadable } from './policy-error.ts';
import { normaliseDatatype } from './terms.ts';
import { shown, shownValue } from './wording.ts';

/** One value of a right operand after taking JSON-LD's wrapping off. */
export interface Literal {
  readonly value: unknown;
  /** Short name for XML Schema's types; undefined where none was said. */
  readonly datatype: string | undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `x`, `{"@value": x, "@type": T}` or `{"@id": x}`. A constraint's `dataType` counts where the value says none. */
export function readLiteral(raw: unknown, dataType?: string): Literal {
  const outer = dataType === undefined ? undefined : normaliseDatatype(dataType);
  if (!isObject(raw)) return { value: raw, datatype: outer };
  const keys = Object.keys(raw);
  if (keys.length === 1 && typeof raw['@id'] === 'string') return { value: raw['@id'], datatype: outer ?? 'anyURI' };
  const extra = keys.find((key) => key !== '@value' && key !== '@type');
  if (extra !== undefined || !('@value' in raw)) {
    throw new Unreadable(`${shownValue(raw)} is not a value this node can read`);
  }
  const type = raw['@type'];
  if (type !== undefined && typeof type !== 'string') throw new Unreadable('the datatype is not a name');
  const inner = type === undefined ? undefined : normaliseDatatype(type);
  if (inner !== undefined && outer !== undefined && inner !== outer) {
    throw new Unreadable(`the value is of datatype ${shown(inner)}, its constraint says ${shown(outer)}`);
  }
  return { value: raw['@value'], datatype: inner ?? outer };
}

/**
 * The items of an array, of `{"@list": […]}` or `{"@set": […]}`, also where these stand alone in an array (JSON-LD's
 * expanded form); any other value is a list of itself.
 */
export function itemsOf(raw: unknown): readonly unknown[] {
  if (Array.isArray(raw)) return raw.length === 1 && isObject(raw[0]) ? itemsOf(raw[0]) : raw;
  if (isObject(raw) && Object.keys(raw).length === 1) {
    const list = raw['@list'] ?? raw['@set'];
    if (Array.isArray(list)) return list;
  }
  return [raw];
}

/** The only item of what itemsOf returns. */
export function onlyItem(raw: unknown): unknown {
  const items = itemsOf(raw);
  if (items.length !== 1) throw new Unreadable(`exactly one value is expected, ${items.length} are given`);
  return items[0];
}

/** @throws Unreadable for a datatype that is not among those known */
export function refuseDatatype(literal: Literal, known: readonly string[]): void {
  if (literal.datatype !== undefined && !known.includes(literal.datatype)) {
    throw new Unreadable(`datatype ${shown(literal.datatype)} is not supported here`);
  }
}

/** A non-empty text or IRI. */
export function readText(raw: unknown, dataType?: string): string {
  const literal = readLiteral(raw, dataType);
  refuseDatatype(literal, ['string', 'anyURI']);
  if (typeof literal.value !== 'string' || literal.value === '') {
    throw new Unreadable(`${shownValue(literal.value)} is not a text`);
  }
  return literal.value;
}

const INTEGER_TYPES = ['integer', 'nonNegativeInteger', 'positiveInteger', 'int', 'long', 'short', 'decimal', 'string'];

/** A whole number from 0 to 2^53 − 1, as JSON number or as decimal digits. */
export function readCount(raw: unknown, dataType?: string): number {
  const literal = readLiteral(raw, dataType);
  refuseDatatype(literal, INTEGER_TYPES);
  const value =
    typeof literal.value === 'string' && /^\d{1,16}$/.test(literal.value) ? Number(literal.value) : literal.value;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
    throw new Unreadable(`${shownValue(literal.value)} is not a whole number of 0 or more`);
  }
  return value;
}

/** A finite number of 0 or more, as JSON number or decimal text such as `4`, `0.5` or `1e-5`. */
export function readNumber(raw: unknown, at = ''): number {
  const literal = readLiteral(raw);
  refuseDatatype(literal, [...INTEGER_TYPES, 'double', 'float']);
  const value =
    typeof literal.value === 'string' && /^\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?$/.test(literal.value)
      ? Number(literal.value)
      : literal.value;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new Unreadable(`${shownValue(literal.value)} is not a number of 0 or more`, at);
  }
  return value;
}

/** A finite number, as JSON number or decimal text; any sign. At most 15 significant digits, so that none are lost. */
export function readDecimal(raw: unknown, dataType?: string): number {
  const literal = readLiteral(raw, dataType);
  refuseDatatype(literal, [...INTEGER_TYPES, 'double', 'float', 'negativeInteger', 'nonPositiveInteger']);
  const value = typeof literal.value === 'string' ? decimal(literal.value) : literal.value;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new Unreadable(`${shownValue(literal.value)} is not a number of at most 15 digits`);
  }
  return Object.is(value, -0) ? 0 : value;
}

const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)?$/;

/** A point in time, with the text it was written as. */
export interface Instant {
  readonly text: string;
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  readonly time: number;
}

/**
 * xsd:dateTime with a zone. Seconds may be missing, as in the Dataspace Protocol's own examples.
 *
 * A text without a zone means a different moment to each reader, and one finer than a millisecond cannot be compared
 * with our clock: both are refused.
 */
export function readInstant(raw: unknown, dataType?: string): Instant {
  const literal = readLiteral(raw, dataType);
  refuseDatatype(literal, ['dateTime', 'dateTimeStamp', 'string']);
  const text = literal.value;
  const parts = typeof text === 'string' ? DATE_TIME.exec(text) : null;
  if (typeof text !== 'string' || parts === null) {
    throw new Unreadable(`${shownValue(text)} is not a date and time such as 2026-01-01T00:00:00Z`);
  }
  const [, year, month, day, hour, minute, second = '00', fraction = '', zone] = parts;
  if (zone === undefined) throw new Unreadable(`${text} has no time zone: write Z or an offset such as +01:00`);
  if (/[1-9]/.test(fraction.slice(3))) throw new Unreadable(`${text} is finer than a millisecond`);
  // Built from the calendar day: Date would roll 2026-02-30 over to March without a word.
  const midnight = new Date(`${year}-${month}-${day}T00:00:00.000Z`);
  const exists = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(`${year}-${month}-${day}T`);
  const endOfDay = hour === '24' && minute === '00' && second === '00' && !/[1-9]/.test(fraction);
  const offset = zone === 'Z' ? 0 : Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4));
  const clockRuns = (Number(hour) < 24 || endOfDay) && Number(minute) < 60 && Number(second) < 60;
  if (!exists || !clockRuns || offset > 14 * 60 || Number(zone.slice(4)) > 59) {
    throw new Unreadable(`${text} is no date and time that exists`);
  }
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, '0'));
  const local = midnight.getTime() + ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 + milliseconds;
  return { text, time: local - (zone.startsWith('-') ? -offset : offset) * 60_000 };
}
