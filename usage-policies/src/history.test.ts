/** Decisions by what was done before: counts, periods, intervals, events. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, constraint, nothingSpent, spentSoFar, useRequest } from './agreement.fixture.ts';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import type { UsageEvent, UsageRequest, UsageState } from './model.ts';
import { parsePolicy } from './parse.ts';

const at = (moment: string): Date => new Date(moment);
const used = (moment: string, more: Partial<UsageEvent> = {}): UsageEvent => ({
  action: 'use',
  by: CONSUMER,
  at: at(moment),
  ...more,
});

function permits(
  condition: unknown,
  state: Partial<UsageState> = {},
  request: Partial<UsageRequest> = {},
  rule: Record<string, unknown> = {},
): boolean {
  const compiled = compile(parsePolicy(agreement({ permission: [{ action: 'use', constraint: condition, ...rule }] })));
  const asked = useRequest({ at: at('2026-06-01T00:00:00Z'), ...request });
  return decide(compiled, asked, { ...nothingSpent, ...state }).permit;
}

describe('count', () => {
  const twice = constraint('count', 'lteq', '2');
  const one = [used('2026-01-01T00:00:00Z')];
  const two = [...one, used('2026-02-01T00:00:00Z')];

  test('counts what the history has', () => {
    expect([[], one, two].map((history) => permits(twice, { history }))).toEqual([true, true, false]);
  });

  test('counts what the ledger has charged, where that is more', () => {
    expect(permits(twice, { ...spentSoFar({ uses: 2 }), history: one })).toBe(false);
    expect(permits(twice, { ...spentSoFar({ uses: 1 }), history: two })).toBe(false);
    expect(permits(twice, { ...spentSoFar({ uses: 1 }), history: one })).toBe(true);
  });

  test.each<[string, UsageEvent]>([
    ['by somebody else', used('2026-02-01T00:00:00Z', { by: 'did:web:other.example' })],
    ['of another asset', used('2026-02-01T00:00:00Z', { target: 'urn:trains' })],
    ['of another action', used('2026-02-01T00:00:00Z', { action: 'sell' })],
    ['in the future', used('2026-07-01T00:00:00Z')],
    ['of an action that nobody knows', used('2026-02-01T00:00:00Z', { action: 'urn:dance' })],
  ])('does not count a use %s', (_, event) => {
    expect(permits(twice, { history: [...one, event] })).toBe(true);
  });

  test('counts every action that the rule is about', () => {
    expect(permits(twice, { history: [...one, used('2026-02-01T00:00:00Z', { action: 'odrl:print' })] })).toBe(false);
    const prints = { action: 'print' };
    expect(permits(twice, { history: two }, prints, prints)).toBe(true);
  });

  test('goes on from a status', () => {
    const ten = { ...constraint('count', 'lteq', '10'), status: { '@value': '8', '@type': 'xsd:integer' } };
    expect(permits(ten, { history: one })).toBe(true);
    expect(permits(ten, { history: two })).toBe(false);
    expect(permits({ ...ten, status: 'many' }, { history: [] })).toBe(false);
  });

  test('in a prohibition forbids from a use on', () => {
    const policy = agreement({
      permission: [{ action: 'use' }],
      prohibition: [{ action: 'use', constraint: constraint('count', 'gt', '2') }],
    });
    const decision = (history: UsageEvent[]) =>
      decide(compile(parsePolicy(policy)), useRequest({ at: at('2026-06-01T00:00:00Z') }), {
        ...nothingSpent,
        history,
      });
    expect([[], one, two].map((history) => decision(history).permit)).toEqual([true, true, false]);
  });
});

describe('elapsedTime', () => {
  const quarter = (operator: string) =>
    constraint('elapsedTime', operator, { '@value': 'P3M', '@type': 'xsd:duration' });

  test.each([
    ['eq', [true, true, false]],
    ['lteq', [true, true, false]],
    ['lt', [true, false, false]],
    ['gteq', [false, true, true]],
    ['gt', [false, false, true]],
  ])('%s decides within, at and after the period since the first use: %j', (operator, expected) => {
    const firsts = ['2026-03-01T00:00:01Z', '2026-03-01T00:00:00Z', '2026-02-28T23:59:59Z'];
    const history = (first: string) => [used('2026-05-30T00:00:00Z'), used(first)];
    expect(firsts.map((first) => permits(quarter(operator), { history: history(first) }))).toEqual(expected);
  });

  test('begins with the first use, this one', () => {
    expect(permits(quarter('lteq'), { history: [] })).toBe(true);
    expect(permits(quarter('lteq'))).toBe(true);
  });

  test('without a history begins with the agreement, and is not known without that', () => {
    const spent = spentSoFar({ uses: 1 });
    expect(permits(quarter('lteq'), { ...spent, agreedAt: at('2026-04-01T00:00:00Z') })).toBe(true);
    expect(permits(quarter('lteq'), { ...spent, agreedAt: at('2026-02-01T00:00:00Z') })).toBe(false);
    expect(permits(quarter('lteq'), spent)).toBe(false);
  });
});

describe('meteredTime', () => {
  const hour = constraint('meteredTime', 'lteq', 'PT1H');
  const half = used('2026-01-01T00:00:00Z', { until: at('2026-01-01T00:30:00Z') });

  test('adds up the time of all uses', () => {
    expect(permits(hour, { history: [half] })).toBe(true);
    expect(permits(hour, { history: [half, half] })).toBe(false);
    expect(permits(hour, { history: [half] }, { values: { meteredTime: 'PT30M' } })).toBe(true);
    expect(permits(hour, { history: [half] }, { values: { meteredTime: 'PT31M' } })).toBe(false);
    expect(permits(hour, { history: [half] }, { values: { meteredTime: 'long' } })).toBe(false);
  });

  test('is not known while a use goes on, or without a history', () => {
    expect(permits(hour, { history: [used('2026-01-01T00:00:00Z')] })).toBe(false);
    expect(permits(hour, spentSoFar({ uses: 1 }))).toBe(false);
  });
});

test('timeInterval permits once in each period', () => {
  const weekly = constraint('timeInterval', 'eq', 'P7D');
  expect(permits(weekly, { history: [] })).toBe(true);
  expect(permits(weekly, { history: [used('2026-05-25T00:00:00Z')] })).toBe(true);
  expect(permits(weekly, { history: [used('2026-05-25T00:00:01Z')] })).toBe(false);
  expect(permits(weekly, spentSoFar({ uses: 1 }))).toBe(false);
});

describe('delayPeriod', () => {
  const delay = constraint('delayPeriod', 'eq', 'P1M');
  const from = (moment: string) => constraint('dateTime', 'gteq', moment);

  test('counts from the agreement', () => {
    expect(permits(delay, { agreedAt: at('2026-05-01T00:00:00Z') })).toBe(true);
    expect(permits(delay, { agreedAt: at('2026-05-02T00:00:00Z') })).toBe(false);
    expect(permits(delay)).toBe(false);
  });

  test('counts from what comes before it in a sequence', () => {
    const sequence = (...operands: unknown[]) => ({ andSequence: { '@list': operands } });
    expect(permits(sequence(from('2026-05-01T00:00:00Z'), delay))).toBe(true);
    expect(permits(sequence(from('2026-05-02T00:00:00Z'), delay))).toBe(false);
    // Before it, not after it: here it counts from an agreement of which nobody knows.
    expect(permits(sequence(delay, from('2026-05-01T00:00:00Z')))).toBe(false);
  });
});

describe('event', () => {
  const fair = { from: at('2026-05-01T00:00:00Z'), to: at('2026-05-31T00:00:00Z') };
  test.each([
    ['lt', [true, false, false]],
    ['lteq', [true, true, false]],
    ['eq', [false, true, false]],
    ['isAnyOf', [false, true, false]],
    ['gteq', [false, true, true]],
    ['gt', [false, false, true]],
    ['neq', [true, false, true]],
    ['isNoneOf', [true, false, true]],
  ])('%s decides before, during and after it: %j', (operator, expected) => {
    const moments = ['2026-04-30T00:00:00Z', '2026-05-15T00:00:00Z', '2026-06-15T00:00:00Z'];
    const condition = constraint('event', operator, 'Hannover Messe');
    const state = { events: { 'Hannover Messe': fair } };
    expect(moments.map((moment) => permits(condition, state, { at: at(moment) }))).toEqual(expected);
    expect(permits(condition)).toBe(false);
  });

  test('of the use itself says nothing of a permission', () => {
    expect(permits(constraint('event', 'lt', { '@id': 'odrl:policyUsage' }))).toBe(false);
  });
});

describe('a payment', () => {
  const paid = (amount: number, moment: string) =>
    used(moment, { action: 'compensate', values: { payAmount: amount } });
  const fee = constraint('payAmount', 'gteq', '500');

  test('that a permission asks for may have been made before', () => {
    expect(permits(fee, { history: [paid(500, '2024-01-01T00:00:00Z')] })).toBe(true);
    expect(permits(fee, { history: [paid(499, '2026-05-01T00:00:00Z')] })).toBe(false);
    expect(permits(fee)).toBe(false);
  });

  test('that is due every year counts for a year', () => {
    const yearly = { ...fee, 'dc:frequency': { '@id': 'freq:annual' } };
    expect(permits(yearly, { history: [paid(500, '2025-06-02T00:00:00Z')] })).toBe(true);
    expect(permits(yearly, { history: [paid(500, '2025-05-30T00:00:00Z')] })).toBe(false);
    expect(permits({ ...fee, 'dc:frequency': 'now and then' }, { history: [paid(500, '2026-05-30T00:00:00Z')] })).toBe(
      false,
    );
  });
});

describe('a state that makes no sense is denied', () => {
  const never = new Date(Number.NaN);
  test.each<[string, Partial<UsageState>]>([
    ['an event at no time', { history: [used('2026-01-01T00:00:00Z', { at: never })] }],
    ['an event that ends at no time', { history: [used('2026-01-01T00:00:00Z', { until: never })] }],
    ['an agreement at no time', { agreedAt: never }],
    ['a fair at no time', { events: { fair: { from: never } } }],
  ])('%s', (_, state) => expect(permits([], state)).toBe(false));
});

describe('for every history', () => {
  const moment = fc.integer({ min: 0, max: 300 }).map((days) => new Date(Date.UTC(2026, 0, 1) + days * 86_400_000));
  const event = fc.record({
    action: fc.constantFrom('use', 'print', 'sell'),
    by: fc.constantFrom(CONSUMER, 'did:web:other.example'),
    at: moment,
  });
  const using = fc.constantFrom(
    constraint('count', 'lteq', '2'),
    constraint('timeInterval', 'eq', 'P30D'),
    constraint('elapsedTime', 'lteq', 'P60D'),
  );

  test('one more use never permits more, where uses are limited', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), event, using, moment, (history, more, condition, now) => {
        const after = permits(condition, { history: [...history, more] }, { at: now });
        if (after) expect(permits(condition, { history }, { at: now })).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('one more duty performed never permits less', () => {
    const done = fc.record({
      action: fc.constantFrom('attribute', 'compensate'),
      by: fc.constant(CONSUMER),
      at: moment,
    });
    fc.assert(
      fc.property(fc.array(done, { maxLength: 4 }), done, moment, (history, more, now) => {
        const rule = {
          duty: [{ action: 'attribute', consequence: [{ action: 'compensate' }] }, { action: 'compensate' }],
        };
        const before = permits([], { history }, { at: now }, rule);
        if (before) expect(permits([], { history: [...history, more] }, { at: now }, rule)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('its order says nothing', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), using, moment, (history, condition, now) => {
        const turned = permits(condition, { history: [...history].toReversed() }, { at: now });
        expect(turned).toBe(permits(condition, { history }, { at: now }));
      }),
    );
  });
});
