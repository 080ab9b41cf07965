import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, decideBy, nothingSpent, useRequest } from './agreement.fixture.ts';
import { deleteData, idsOffer, logUsageInformation, notifyParty } from './ids/index.ts';
import { LOG, owedDuties, type DutyClock, type OwedDuty } from './owed.ts';
import { parsePolicy } from './parse.ts';

const constraint = (leftOperand: string, operator: string, rightOperand: unknown) => ({
  leftOperand,
  operator,
  rightOperand,
});
const owed = (rules: Record<string, unknown>): readonly OwedDuty[] =>
  owedDuties(parsePolicy({ '@type': 'Agreement', '@id': 'urn:a', assignee: CONSUMER, ...rules }));
const agreedAt = new Date('2026-01-31T00:00:00Z');
const timesOf = (constraints: object | object[], clock: Partial<DutyClock> = {}) =>
  owed({ obligation: [{ action: 'delete', constraint: constraints }] })[0]!.schedule?.({ agreedAt, ...clock });

describe('what a policy asks for', () => {
  test('is named by its place, by its IRI, and once where it says the same', () => {
    const duty = { action: 'delete', constraint: [constraint('dateTime', 'lteq', '2027-01-01T00:00:00Z')] };
    const permission = [
      { action: 'read', duty: [duty, { '@id': 'urn:duty', action: 'attribute' }] },
      { action: 'index', duty: [duty, { action: 'delete' }, { '@id': 'permission-1-duty-1', action: 'anonymize' }] },
    ];
    const keys = owed({ permission, obligation: [{ action: 'reviewPolicy' }] }).map(({ key }) => key);
    expect(keys).toEqual([
      'obligation-1',
      'permission-1-duty-1',
      'urn:duty',
      'permission-2-duty-2',
      'permission-2-duty-3',
    ]);
  });

  test('says of the IDS classes to log and to notify where and whom, and that every use asks for it', () => {
    const offer = idsOffer([logUsageInformation('urn:system'), notifyParty('did:web:house.example')]);
    expect(owed(offer)).toMatchObject([
      { action: LOG, system: 'urn:system', timing: 'after', everyUse: true },
      { action: 'inform', informedParty: 'did:web:house.example', timing: 'after', everyUse: true },
    ]);
  });

  test('reads as one line', () => {
    const [duty] = owed(idsOffer([deleteData('2027-01-01T00:00:00Z')]));
    expect(duty?.text).toMatch(/delete/);
    expect(duty?.text).toContain('2027-01-01T00:00:00Z');
    expect(duty?.text).not.toContain('\n');
  });
});

describe('when it is due', () => {
  test.each<[string, object | object[], object]>([
    ['up to a moment', constraint('dateTime', 'lteq', '2027-01-01T00:00:00Z'), { dueAt: '2027-01-01T00:00:00.000Z' }],
    ['before a moment', constraint('dateTime', 'lt', '2027-01-01T00:00:00Z'), { dueAt: '2026-12-31T23:59:59.999Z' }],
    ['up to the end of a day', constraint('dateTime', 'lteq', '2027-01-01Z'), { dueAt: '2027-01-01T23:59:59.999Z' }],
    // Somewhere the day ends 14 hours before it ends in Greenwich.
    [
      'a day that nobody gave a zone',
      constraint('dateTime', 'lteq', '2027-01-01'),
      { dueAt: '2027-01-01T09:59:59.999Z' },
    ],
    [
      'within two bounds',
      [constraint('dateTime', 'gteq', '2026-12-01T00:00:00Z'), constraint('dateTime', 'lt', '2027-01-01T00:00:00Z')],
      { opensAt: '2026-12-01T00:00:00.000Z', dueAt: '2026-12-31T23:59:59.999Z' },
    ],
    [
      'some time after the agreement',
      constraint('delayPeriod', 'gteq', 'P1M'),
      { opensAt: '2026-02-28T00:00:00.000Z' },
    ],
    [
      'a conjunction',
      { and: [constraint('dateTime', 'lteq', '2027-01-01T00:00:00Z')] },
      { dueAt: '2027-01-01T00:00:00.000Z' },
    ],
  ])('follows from %s', (_, constraints, expected) => {
    expect(JSON.parse(JSON.stringify(timesOf(constraints)))).toEqual({ ...expected, waits: false });
  });

  test('is not known before the data have come, where it counts from then', () => {
    const within = constraint('elapsedTime', 'lteq', 'P30D');
    expect(timesOf(within)).toEqual({ waits: true });
    expect(timesOf(within, { receivedAt: new Date('2026-03-01T12:00:00Z') })).toEqual({
      dueAt: new Date('2026-03-31T12:00:00Z'),
      waits: false,
    });
  });

  test('is for a decision to say where it depends on more than time', () => {
    expect(timesOf(constraint('spatial', 'eq', 'urn:eu'))).toBeUndefined();
    expect(timesOf({ or: [constraint('dateTime', 'lteq', '2027-01-01T00:00:00Z')] })).toBeUndefined();
  });
});

describe('a state that was established', () => {
  const until = constraint('dateTime', 'lteq', '2026-05-01T00:00:00Z');
  const policy = { permission: [{ action: 'use', duty: [{ action: 'delete', constraint: until }] }] };
  const standing = (state?: 'fulfilled' | 'violated' | 'not-set') => {
    const established = state === undefined ? {} : { duties: { 'permission-1-duty-1': state } };
    const { permit, duties } = decideBy(agreement(policy), useRequest(), { ...nothingSpent, ...established });
    return [permit, duties[0]?.key, duties[0]?.state];
  };

  test('counts for a duty without an IRI by its key, and wins over the clock', () => {
    expect(standing()).toEqual([false, 'permission-1-duty-1', 'violated']);
    expect(standing('fulfilled')).toEqual([true, 'permission-1-duty-1', 'fulfilled']);
    expect(standing('not-set')).toEqual([true, 'permission-1-duty-1', 'not-set']);
    expect(standing('violated')).toEqual([false, 'permission-1-duty-1', 'violated']);
  });
});
