import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SPAN_COMPARISONS, after, before, readDuration, readSpan } from './time.ts';

const at = (moment: string): number => new Date(moment).getTime();
const compare = (operator: string, moment: string, text: unknown): boolean | undefined =>
  SPAN_COMPARISONS[operator]?.(at(moment), readSpan(text));

describe('a day', () => {
  const DAY = { '@value': '2026-03-10Z', '@type': 'xsd:date' };
  test.each([
    ['lt', [true, false, false]],
    ['lteq', [true, true, false]],
    ['gteq', [false, true, true]],
    ['gt', [false, false, true]],
    ['eq', [false, true, false]],
    ['neq', [true, false, true]],
  ])('%s decides before, on and after it: %j', (operator, expected) => {
    const moments = ['2026-03-09T23:59:59.999Z', '2026-03-10T00:00:00Z', '2026-03-11T00:00:00Z'];
    expect(moments.map((moment) => compare(operator, moment, DAY))).toEqual(expected);
    expect(compare(operator, '2026-03-10T23:59:59.999Z', DAY)).toBe(expected[1]);
  });

  test('in a zone begins and ends there', () => {
    expect(compare('gteq', '2026-03-09T23:00:00Z', '2026-03-10+01:00')).toBe(true);
    expect(compare('gt', '2026-03-10T23:00:00Z', '2026-03-10+01:00')).toBe(true);
    expect(compare('gt', '2026-03-10T22:59:59Z', '2026-03-10+01:00')).toBe(false);
  });
});

describe('a moment or a day without a zone', () => {
  test.each([
    ['lt', '2026-03-09T09:59:59Z', true],
    ['lt', '2026-03-09T10:00:00Z', undefined],
    ['lt', '2026-03-10T13:59:59Z', undefined],
    ['lt', '2026-03-10T14:00:00Z', false],
    ['gt', '2026-03-11T13:59:59Z', undefined],
    ['gt', '2026-03-11T14:00:00Z', true],
    ['eq', '2026-03-12T00:00:00Z', false],
    ['eq', '2026-03-10T18:00:00Z', undefined],
    ['neq', '2026-03-12T00:00:00Z', true],
    ['neq', '2026-03-10T18:00:00Z', undefined],
  ])('%s at %s is %j for 2026-03-10', (operator, moment, expected) => {
    expect(compare(operator, moment, '2026-03-10')).toBe(expected);
  });

  test('is undecided within 14 hours', () => {
    const decided = (moment: string) => compare('gteq', moment, '2026-03-10T12:00:00');
    expect(decided('2026-03-09T21:59:59Z')).toBe(false);
    expect(decided('2026-03-09T22:00:00Z')).toBeUndefined();
    expect(decided('2026-03-11T01:59:59Z')).toBeUndefined();
    expect(decided('2026-03-11T02:00:00Z')).toBe(true);
  });

  test('is decided in no zone otherwise than it is decided here', () => {
    const zone = fc.integer({ min: -14 * 60, max: 14 * 60 }).map((minutes) => {
      const part = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, '0');
      return `${minutes < 0 ? '-' : '+'}${part(minutes / 60)}:${part(Math.abs(minutes) % 60)}`;
    });
    const moment = fc
      .integer({ min: -60 * 60, max: 60 * 60 })
      .map((minutes) => at('2026-03-10T12:00:00Z') + minutes * 60_000);
    fc.assert(
      fc.property(
        zone,
        moment,
        fc.constantFrom(...Object.keys(SPAN_COMPARISONS)),
        fc.boolean(),
        (offset, now, operator, day) => {
          const text = day ? '2026-03-10' : '2026-03-10T12:00:00';
          const open = SPAN_COMPARISONS[operator]?.(now, readSpan(text));
          if (open !== undefined) expect(SPAN_COMPARISONS[operator]?.(now, readSpan(text + offset))).toBe(open);
        },
      ),
    );
  });
});

describe('a span is refused', () => {
  test.each([
    [{ '@value': '2026-03-10', '@type': 'xsd:dateTime' }],
    [{ '@value': '2026-03-10T00:00:00Z', '@type': 'xsd:date' }],
    [{ '@value': '2026-03-10T00:00:00', '@type': 'xsd:dateTimeStamp' }],
    [{ '@value': '2026', '@type': 'xsd:gYear' }],
    ['2026-02-30'],
    ['2026-3-1'],
    ['soon'],
    [5],
  ])('%j', (raw) => expect(() => readSpan(raw)).toThrow(/./));
});

describe('a duration', () => {
  test.each([
    ['P3M', '2026-04-30T00:00:00Z', '2026-07-30T00:00:00.000Z'],
    ['P1M', '2026-01-31T12:00:00Z', '2026-02-28T12:00:00.000Z'],
    ['P1Y', '2024-02-29T00:00:00Z', '2025-02-28T00:00:00.000Z'],
    ['P2Y3M', '2026-01-01T00:00:00Z', '2028-04-01T00:00:00.000Z'],
    ['P1DT2H3M4.5S', '2026-01-01T00:00:00Z', '2026-01-02T02:03:04.500Z'],
    ['P2W', '2026-01-01T00:00:00Z', '2026-01-15T00:00:00.000Z'],
    ['PT36H', '2026-01-01T00:00:00Z', '2026-01-02T12:00:00.000Z'],
    ['P0D', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
  ])('%s after %s is %s', (text, start, end) => {
    expect(new Date(after(at(start), readDuration(text))).toISOString()).toBe(end);
  });

  test('may be counted back', () => {
    expect(new Date(before(at('2026-03-31T00:00:00Z'), readDuration('P1M'))).toISOString()).toBe(
      '2026-02-28T00:00:00.000Z',
    );
    expect(new Date(before(at('2026-03-31T00:00:00Z'), readDuration('P1Y2D'))).toISOString()).toBe(
      '2025-03-29T00:00:00.000Z',
    );
  });

  test.each([
    'P',
    'PT',
    'P1',
    '1D',
    'P1DT',
    '-P1D',
    'P1.5D',
    'P1H',
    'PT1D',
    'P-1D',
    '',
    5,
    { '@value': 'P1D', '@type': 'xsd:string2' },
  ])('is refused: %j', (raw) => expect(() => readDuration(raw)).toThrow(/./));

  test('later never ends earlier', () => {
    const duration = fc.tuple(fc.nat(30), fc.nat(40)).map(([months, days]) => readDuration(`P${months}M${days}D`));
    const moment = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(moment, moment, duration, (a, b, length) => {
        const [first, second] = [a.getTime(), b.getTime()].toSorted((x, y) => x - y) as [number, number];
        expect(after(first, length)).toBeLessThanOrEqual(after(second, length));
        expect(after(first, length)).toBeGreaterThanOrEqual(first);
        expect(before(first, length)).toBeLessThanOrEqual(first);
      }),
    );
  });
});
