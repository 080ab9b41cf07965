import { FOEDUS } from '@foedus/usage-policies';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreementOf } from '../../../test/src/agreements.ts';
import { openDatabase, type Database } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { createLedgerReader } from './ledger-reader.ts';
import { createUsageControl } from './usage-control.ts';

const agreements = {
  get: (id: string) => agreementOf([{ action: 'use' }, { action: `${FOEDUS}train` }], { id }),
};
const training = (epsilon: number, round: number) => ({
  action: `${FOEDUS}train`,
  training: {
    sessionId: 's',
    round,
    planHash: 'a'.repeat(64),
    cohort: 3,
    privacyLoss: { epsilon, delta: 1e-6 },
    metrics: [],
  },
});

type Step = { readonly on: number } & (
  | { readonly type: 'use' }
  | { readonly type: 'train'; readonly epsilon: number }
  | { readonly type: 'commit' | 'refund'; readonly which: number }
  | { readonly type: 'draw'; readonly which: number; readonly rows: number; readonly bytes: number }
  | { readonly type: 'head' }
);
const on = fc.nat(1);
const which = fc.nat(8);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('use' as const), on }),
  fc.record({
    type: fc.constant('train' as const),
    on,
    epsilon: fc.double({ min: 0, max: 0.8, noNaN: true, noDefaultInfinity: true }),
  }),
  fc.record({ type: fc.constantFrom('commit' as const, 'refund' as const), on, which }),
  fc.record({ type: fc.constant('draw' as const), on, which, rows: fc.nat(9), bytes: fc.nat(999) }),
  fc.record({ type: fc.constant('head' as const), on }),
);

/** A ledger of two agreements in which the steps were taken; what is refused is left out. */
function ledgerAfter(steps: readonly Step[], database: Database = openDatabase(':memory:', migrations)) {
  let time = Date.parse('2026-06-01T00:00:00Z');
  const usage = createUsageControl({ database, agreements, clock: () => new Date((time += 7)) });
  const reader = createLedgerReader(database);
  const entries: string[][] = [[], []];
  const take = (taken: Step, index: number): void => {
    const agreementId = `urn:agreement:${taken.on}`;
    const own = entries[taken.on]!;
    if (taken.type === 'head') {
      usage.head(agreementId);
      return;
    }
    if (taken.type === 'use' || taken.type === 'train') {
      const request = taken.type === 'use' ? { action: 'use' } : training(taken.epsilon, index + 1);
      own.push(usage.reserve({ agreementId, key: `k${index}`, request, basis: { index } }).entry.id);
      return;
    }
    const id = own[taken.which];
    if (id === undefined) return;
    try {
      if (taken.type === 'draw') usage.draw(id, taken);
      else usage[taken.type](id);
    } catch (error) {
      expect(error).toMatchObject({ code: 'conflict' });
    }
  };
  steps.forEach(take);
  return { usage, database, reader };
}

const reports = (reader: ReturnType<typeof createLedgerReader>) =>
  reader.agreements().map((agreementId) => reader.verify(agreementId));

describe('the chain of a ledger', () => {
  test('is good after whatever was done, and says the same as the accounts', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { usage, reader } = ledgerAfter(steps);
        for (const report of reports(reader)) {
          expect(report.broken).toBeUndefined();
          const { rows, bytes } = report.unchained;
          const { spent } = usage.account(report.agreementId);
          expect(spent).toEqual({
            ...report.spent,
            rows: report.spent.rows + rows,
            bytes: report.spent.bytes + bytes,
          });
          expect(usage.head(report.agreementId)).toMatchObject({ spent });
          expect(reader.verify(report.agreementId).unchained).toEqual({ rows: 0, bytes: 0 });
        }
      }),
      { numRuns: 40 },
    );
  });

  const some: Step[] = [
    { type: 'use', on: 0 },
    { type: 'train', on: 0, epsilon: 0.1 },
    { type: 'use', on: 1 },
    { type: 'draw', on: 0, which: 0, rows: 3, bytes: 40 },
    { type: 'commit', on: 0, which: 0 },
    { type: 'train', on: 0, epsilon: 0.2 },
    { type: 'refund', on: 0, which: 1 },
    { type: 'draw', on: 0, which: 0, rows: 2, bytes: 10 },
    { type: 'use', on: 0 },
  ];

  test('begins with 64 zeros, and each element names the one before', () => {
    const { database } = ledgerAfter(some);
    const rows = database.sql
      .prepare("SELECT body, hash FROM ledger_element WHERE agreement_id = 'urn:agreement:0' ORDER BY sequence")
      .all() as { body: string; hash: string }[];
    const elements = rows.map(({ body }) => JSON.parse(body) as { previous: string; kind: string });
    expect(elements.map(({ previous }) => previous)).toEqual([
      '0'.repeat(64),
      ...rows.slice(0, -1).map((row) => row.hash),
    ]);
    expect(elements.map(({ kind }) => kind)).toEqual([
      'reserved',
      'reserved',
      'drawn',
      'committed',
      'reserved',
      'refunded',
      'drawn',
      'reserved',
    ]);
  });

  /** One change of one cell, or one row more or fewer, anywhere in what is stored of the two agreements. */
  const tables = {
    ledger_entry: 'id agreement_id key state policy_digest decision basis request created_at settled_at sequence',
    ledger_charge: 'entry meter amount chained',
    ledger_total: 'agreement_id meter spent',
    ledger_element: 'agreement_id sequence kind body hash',
  } as const;
  const cells = Object.entries(tables).flatMap(([table, columns]) =>
    columns.split(' ').map((column) => ({ table, column })),
  );

  const changed = (column: string, value: string | number | null): string | number | null => {
    if (column === 'state') return value === 'committed' ? 'reserved' : 'committed';
    if (column === 'kind') return value === 'drawn' ? 'committed' : 'drawn';
    if (column === 'meter') return 'bytes';
    if (column === 'agreement_id') return value === 'urn:agreement:0' ? 'urn:agreement:1' : 'urn:agreement:0';
    if (typeof value === 'number') return value + 1;
    return value === null ? '2026-06-01T00:00:00.000Z' : `${value.slice(0, -1)}~`;
  };

  /** Does `tamper` to one and the same ledger, hands over what the walk says then, and takes it back. */
  const tampering = () => {
    const { database, reader } = ledgerAfter(some);
    database.sql.exec('PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON');
    return (tamper: (sql: Database['sql']) => void, look: (broken: boolean) => void): void => {
      const undo = new Error('taken back');
      const attempt = () =>
        database.transaction(() => {
          tamper(database.sql);
          look(reports(reader).some(({ broken }) => broken !== undefined));
          throw undo;
        });
      expect(attempt).toThrow(undo);
    };
  };

  test('shows a change of any field of any row', () => {
    let tampered = 0;
    const tamperWith = tampering();
    fc.assert(
      fc.property(fc.constantFrom(...cells), fc.nat(30), ({ table, column }, at) => {
        let isStored = true;
        const change = (sql: Database['sql']): void => {
          const rows = sql.prepare(`SELECT * FROM ${table}`).all() as Record<string, string | number | null>[];
          const row = rows[at % rows.length]!;
          const value = changed(column, row[column] ?? null);
          isStored = value !== row[column];
          const keys = table === 'ledger_entry' ? ['id'] : tables[table as keyof typeof tables].split(' ').slice(0, 2);
          const where = keys.map((key) => `${key} = ?`).join(' AND ');
          try {
            sql
              .prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`)
              .run(value, ...keys.map((key) => row[key] ?? null));
          } catch (error) {
            // Two rows of one name are nothing that could be stored.
            const isRefused = (code: number) => [1555, 2067, 19].includes(code);
            expect(error).toMatchObject({ errcode: expect.toSatisfy(isRefused) });
            isStored = false;
          }
        };
        tamperWith(change, (isBroken) => expect(isBroken).toBe(isStored));
        if (isStored) tampered += 1;
      }),
      { numRuns: 400 },
    );
    expect(tampered).toBeGreaterThan(200);
  });

  test('shows a row that was removed or added', () => {
    const tamperWith = tampering();
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(tables)), fc.nat(30), fc.boolean(), (table, at, isAdded) => {
        const [first = '', second = ''] = tables[table as keyof typeof tables].split(' ');
        const keys = table === 'ledger_entry' ? ['id'] : [first, second];
        const change = (sql: Database['sql']): void => {
          const rows = sql.prepare(`SELECT * FROM ${table}`).all() as Record<string, string>[];
          const row = rows[at % rows.length]!;
          if (isAdded) {
            sql.exec(ADDED[table as keyof typeof ADDED]);
            return;
          }
          const where = keys.map((key) => `${key} = ?`).join(' AND ');
          sql.prepare(`DELETE FROM ${table} WHERE ${where}`).run(...keys.map((key) => row[key]!));
        };
        tamperWith(change, (isBroken) => expect(isBroken).toBe(true));
      }),
    );
  });
  const ADDED = {
    ledger_entry: `INSERT INTO ledger_entry SELECT sequence + 100, 'another', agreement_id, 'another', state,
      policy_digest, decision, basis, created_at, settled_at, request FROM ledger_entry LIMIT 1`,
    ledger_element: `INSERT INTO ledger_element SELECT agreement_id, sequence + 100, kind, body, hash
      FROM ledger_element LIMIT 1`,
    ledger_charge: "INSERT OR REPLACE INTO ledger_charge VALUES (1, 'rounds', 5, 5)",
    ledger_total: "INSERT OR REPLACE INTO ledger_total VALUES ('urn:agreement:1', 'rounds', 5)",
  };

  test('shows elements that were exchanged, and names the first that is wrong', () => {
    const { database, reader } = ledgerAfter(some);
    database.sql.exec(`
      UPDATE ledger_element SET sequence = 99 WHERE agreement_id = 'urn:agreement:0' AND sequence = 4;
      UPDATE ledger_element SET sequence = 4 WHERE agreement_id = 'urn:agreement:0' AND sequence = 5;
      UPDATE ledger_element SET sequence = 5 WHERE agreement_id = 'urn:agreement:0' AND sequence = 99;
    `);
    expect(reader.verify('urn:agreement:0').broken).toEqual({
      sequence: 4,
      what: 'Element 4 does not continue the one before.',
    });
    expect(reader.verify('urn:agreement:1').broken).toBeUndefined();
  });

  test('stops charges in an account that was lowered behind its back', () => {
    const { database, usage } = ledgerAfter(some);
    database.sql.exec("UPDATE ledger_total SET spent = spent - 1 WHERE meter = 'uses'");
    const use = { agreementId: 'urn:agreement:0', key: 'next', request: { action: 'use' } };
    expect(() => usage.reserve(use)).toThrow(expect.objectContaining({ code: 'unavailable' }));
    expect(usage.account('urn:agreement:0').entries.some(({ key }) => key === 'next')).toBe(false);
  });
});

describe('a ledger from before the chain', () => {
  test('is chained when it is used next, as if the chain had always been', () => {
    const database = openDatabase(':memory:', migrations.slice(0, 5));
    database.sql.exec(`
      INSERT INTO ledger_entry VALUES
        (1, 'a', 'urn:agreement:0', 'ka', 'committed', 'd', '{"charges":[]}', NULL, '2026-01-01', '2026-01-02', NULL),
        (2, 'b', 'urn:agreement:0', 'kb', 'refunded', 'd', '{"charges":[]}', NULL, '2026-01-03', '2026-01-04', NULL),
        (3, 'c', 'urn:agreement:0', 'kc', 'reserved', 'd', '{"charges":[]}', NULL, '2026-01-05', NULL, NULL);
      INSERT INTO ledger_charge VALUES (1, 'epsilon', 0.1), (2, 'epsilon', 0.7), (3, 'epsilon', 0.2), (1, 'rows', 5);
      INSERT INTO ledger_total VALUES ('urn:agreement:0', 'epsilon', 0.3), ('urn:agreement:0', 'rows', 5);
    `);
    for (const { version, sql } of migrations.slice(5)) database.sql.exec(`${sql}; PRAGMA user_version = ${version}`);
    const reader = createLedgerReader(database);
    expect(reader.verify('urn:agreement:0')).toMatchObject({ elements: 0, entries: 3 });
    expect(reader.verify('urn:agreement:0').broken).toBeUndefined();
    const { usage } = ledgerAfter([{ type: 'use', on: 0 }], database);
    expect(reader.verify('urn:agreement:0')).toMatchObject({ elements: 7, spent: { uses: 1, rows: 5 } });
    expect(reader.verify('urn:agreement:0').broken).toBeUndefined();
    usage.commit('c');
    expect(reader.verify('urn:agreement:0').broken).toBeUndefined();
    database.sql.exec("DELETE FROM ledger_element WHERE agreement_id = 'urn:agreement:0'");
    expect(reader.verify('urn:agreement:0').broken).toEqual({ what: 'Entry a is not in the chain.' });
  });
});
