import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCount, readInstant, readNumber, readText } from './values.ts';

describe('an instant', () => {
  test.each([
    ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T00:00:00+01:00', '2025-12-31T23:00:00.000Z'],
    ['2026-01-01T00:00:00-05:30', '2026-01-01T05:30:00.000Z'],
    ['2026-01-01T00:00:00.25Z', '2026-01-01T00:00:00.250Z'],
    ['2026-01-01T00:00:00.123000Z', '2026-01-01T00:00:00.123Z'],
    ['2026-12-31T24:00:00Z', '2027-01-01T00:00:00.000Z'],
    ['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.000Z'],
    ['2023-12-31T06:00Z', '2023-12-31T06:00:00.000Z'],
  ])('reads %s', (text, expected) => {
    expect(new Date(readInstant(text).time).toISOString()).toBe(expected);
  });

  test.each([
    ['2026-01-01T00:00:00', /no time zone/],
    ['2026-01-01', /not a date and time/],
    ['2026-02-30T00:00:00Z', /no date and time that exists/],
    ['2025-02-29T00:00:00Z', /exists/],
    ['2026-13-01T00:00:00Z', /exists/],
    ['2026-01-01T24:00:01Z', /exists/],
    ['2026-01-01T00:60:00Z', /exists/],
    ['2026-01-01T00:00:60Z', /exists/],
    ['2026-01-01T00:00:00+15:00', /exists/],
    ['2026-01-01T00:00:00+01:60', /exists/],
    ['2026-01-01T00:00:00.0001Z', /finer than a millisecond/],
    [1767225600000, /not a date and time/],
    [{ '@value': '2026-01-01', '@type': 'xsd:date' }, /datatype date is not supported/],
    [{ '@value': '2026-01-01T00:00:00Z', '@language': 'en' }, /not a value/],
  ])('refuses %s', (text, message) => {
    expect(() => readInstant(text)).toThrow(message);
  });

  test('reads what Date writes as the same moment', () => {
    const years = { min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true };
    fc.assert(fc.property(fc.date(years), (date) => readInstant(date.toISOString()).time === date.getTime()));
  });

  test('takes its datatype from the value or from the constraint, but never two', () => {
    const value = { '@value': '2026-01-01T00:00:00Z', '@type': 'http://www.w3.org/2001/XMLSchema#dateTime' };
    expect(readInstant(value, 'xsd:dateTime').text).toBe('2026-01-01T00:00:00Z');
    expect(() => readInstant(value, 'xsd:date')).toThrow(/its constraint says date/);
  });
});

describe('a count', () => {
  test.each([
    ['10', 10],
    [10, 10],
    ['0', 0],
    [{ '@value': '7', '@type': 'xsd:integer' }, 7],
    [{ '@value': 7 }, 7],
  ])('reads %j', (raw, expected) => expect(readCount(raw)).toBe(expected));

  test.each(['-1', -1, '1.5', 1.5, '1e3', '', ' 1', '0x10', '99999999999999999', null, true, [], {}, -0])(
    'refuses %j',
    (raw) => expect(() => readCount(raw)).toThrow(/./),
  );
});

describe('a number', () => {
  test.each([
    ['1e-5', 1e-5],
    ['0.5', 0.5],
    [4, 4],
    ['4', 4],
  ])('reads %j', (raw, expected) => {
    expect(readNumber(raw)).toBe(expected);
  });

  test.each(['-1', 'NaN', 'Infinity', '1e999', '.5', '1.', ' 1', '', -1, null, false])('refuses %j', (raw) => {
    expect(() => readNumber(raw)).toThrow(/not a number of 0 or more/);
  });
});

test('a text may be wrapped as an IRI or a string, and nothing else', () => {
  expect(readText('x')).toBe('x');
  expect(readText({ '@id': 'x' })).toBe('x');
  expect(readText({ '@value': 'x', '@type': 'xsd:string' })).toBe('x');
  expect(() => readText({ '@value': 'x', '@type': 'xsd:base64Binary' })).toThrow(/datatype base64Binary/);
  expect(() => readText({ '@id': 'x', other: 1 })).toThrow(/not a value/);
  expect(() => readText(5)).toThrow(/not a text/);
});
