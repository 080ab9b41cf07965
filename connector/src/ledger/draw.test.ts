import { FOEDUS } from '@foedus/usage-policies';
import { describe, expect, test } from 'vitest';
import { agreementOf, constraint, may } from '../../../test/src/agreements.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { createUsageControl } from './usage-control.ts';

const id = 'urn:agreement:1';
const mayUse = (...constraints: object[]) => may('use', ...constraints);
const atMost = (meter: string, limit: number) => constraint(FOEDUS + meter, 'lteq', String(limit));

function controlOver(...permission: object[]) {
  const world = { now: new Date('2026-06-01T12:00:00Z'), agreement: agreementOf(permission, { id }) };
  const usage = createUsageControl({
    database: openDatabase(':memory:', migrations),
    agreements: { get: (asked) => (asked === id ? world.agreement : undefined) },
    clock: () => world.now,
  });
  const reserve = (key: string) => usage.reserve({ agreementId: id, key, request: { action: 'use' } }).entry.id;
  return { usage, world, reserve, spent: () => usage.account(id).spent };
}

describe('a draw', () => {
  test('charges what leaves under an entry, committed or not, and adds up', () => {
    const { usage, reserve, spent } = controlOver(mayUse());
    const entry = reserve('a');
    usage.draw(entry, { rows: 10, bytes: 100 });
    usage.commit(entry);
    usage.draw(entry, { rows: 5 });
    usage.draw(entry, {});
    expect(spent()).toEqual({ uses: 1, rounds: 0, epsilon: 0, rows: 15, bytes: 100 });
    expect(usage.account(id).entries[0]?.charges).toEqual([
      { meter: 'uses', amount: 1 },
      { meter: 'rows', amount: 15 },
      { meter: 'bytes', amount: 100 },
    ]);
    expect(usage.account(id).limits).toMatchObject({ rows: null, bytes: null });
  });

  test('that would pass a limit charges nothing of it, and what is left can still be drawn', () => {
    const { usage, reserve, spent } = controlOver(mayUse(atMost('rows', 100), atMost('bytes', 1_000)));
    const [a, b] = [reserve('a'), reserve('b')];
    usage.draw(a, { rows: 60, bytes: 10 });
    expect(() => usage.draw(b, { rows: 41, bytes: 10 })).toThrow(
      expect.objectContaining({ code: 'budget-exhausted', message: expect.stringContaining('60 of 100') }),
    );
    expect(() => usage.draw(b, { rows: 1, bytes: 991 })).toThrow(expect.objectContaining({ code: 'budget-exhausted' }));
    expect(spent()).toMatchObject({ rows: 60, bytes: 10 });
    usage.draw(b, { rows: 40, bytes: 980 });
    // The end of a format has bytes and no rows: that the rows are spent is not in its way.
    usage.draw(b, { bytes: 10 });
    expect(spent()).toMatchObject({ rows: 100, bytes: 1_000 });
    expect(usage.decide(id, { action: 'use' })).toMatchObject({ permit: false, exhausted: true });
    expect(usage.account(id).limits).toMatchObject({ rows: 100, bytes: 1_000 });
  });

  test('is refused once the agreement has ended, also by a permission that was not the one granted', () => {
    const until = (moment: string) => constraint('dateTime', 'lt', moment);
    const { usage, world, reserve, spent } = controlOver(
      mayUse(until('2026-06-02T00:00:00Z')),
      mayUse(until('2026-07-01T00:00:00Z'), atMost('rowLimit', 5)),
    );
    const entry = reserve('a');
    usage.draw(entry, { rows: 1 });
    world.now = new Date('2026-06-02T00:00:00Z');
    expect(() => usage.draw(entry, { rows: 1 })).toThrow(/does not grant any more what this use was granted/);
    world.now = new Date('2026-07-01T00:00:00Z');
    expect(() => usage.draw(entry, { rows: 1 })).toThrow(expect.objectContaining({ code: 'not-permitted' }));
    expect(spent().rows).toBe(1);
  });

  test('is refused under an agreement that is not in force any more', () => {
    const { usage, world, reserve } = controlOver(mayUse());
    const entry = reserve('a');
    world.agreement = { ...world.agreement, finalized: false };
    expect(() => usage.draw(entry, { rows: 1 })).toThrow(expect.objectContaining({ code: 'not-permitted' }));
  });

  test('of the last use, and within the time between two uses, is not refused because of the use itself', () => {
    const { usage, reserve, spent } = controlOver(
      mayUse(constraint('count', 'lteq', '1'), constraint('timeInterval', 'eq', 'P1D')),
    );
    usage.draw(reserve('a'), { rows: 7 });
    expect(spent().rows).toBe(7);
  });

  test('and a refund exclude each other', () => {
    const { usage, reserve, spent } = controlOver(mayUse());
    const [drawn, untouched] = [reserve('a'), reserve('b')];
    usage.draw(drawn, { rows: 1 });
    expect(() => usage.refund(drawn)).toThrow(expect.objectContaining({ code: 'conflict' }));
    usage.refund(untouched);
    expect(() => usage.draw(untouched, { rows: 1 })).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(() => usage.draw('unknown', { rows: 1 })).toThrow(expect.objectContaining({ code: 'not-found' }));
    expect(spent()).toMatchObject({ uses: 1, rows: 1 });
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('of %d rows is a fault of the program', (rows) => {
    const { usage, reserve, spent } = controlOver(mayUse(atMost('rows', 100)));
    const entry = reserve('a');
    expect(() => usage.draw(entry, { rows })).toThrow();
    expect(spent().rows).toBe(0);
  });
});

describe('an older store', () => {
  test('keeps its charges, and its entries can be drawn on', () => {
    const database = openDatabase(':memory:', migrations.slice(0, 4));
    database.sql.exec(`
      INSERT INTO ledger_entry VALUES
        (1, 'entry', '${id}', 'a', 'committed', 'd', '{"charges":[],"plan":null}', NULL, '2026-01-01T00:00:00Z', NULL);
      INSERT INTO ledger_charge VALUES (1, 'uses', 1);
      INSERT INTO ledger_total VALUES ('${id}', 'uses', 1);
    `);
    for (const { version, sql } of migrations.slice(4)) database.sql.exec(`${sql}; PRAGMA user_version = ${version}`);
    const { world } = controlOver(mayUse());
    const usage = createUsageControl({ database, agreements: { get: () => world.agreement }, clock: () => world.now });
    usage.draw('entry', { rows: 3 });
    expect(usage.account(id).spent).toMatchObject({ uses: 1, rows: 3 });
    expect(usage.account(id).entries).toMatchObject([{ key: 'a', charges: [{ meter: 'uses' }, { amount: 3 }] }]);
  });
});
