import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GrantedPlan } from '../data-plane/scan/scan-plan.ts';
import type { BusinessEvent } from '../events.ts';
import { createTransact, openDatabase, type Database } from '../store/index.ts';
import { migrations } from '../store/migrations/index.ts';
import { createSchemaPins, driftOf, type SchemaPins } from './schema-pins.ts';

let database: Database;
let pins: SchemaPins;
let events: BusinessEvent[];

beforeEach(() => {
  database = openDatabase(':memory:', migrations);
  database.sql.prepare('INSERT INTO asset VALUES (?, ?)').run('flights', '{}');
  events = [];
  const record = (_transaction: unknown, event: BusinessEvent): void => void events.push(event);
  const transact = createTransact(database);
  pins = createSchemaPins({ database, transact, events: { record }, clock: () => new Date('2026-01-01') });
});
afterEach(() => database.close());

const columns = (...list: [name: string, type: string][]) => list.map(([name, shownType]) => ({ name, shownType }));
const PUBLISHED = columns(['flight', 'BIGINT'], ['delay', 'INTEGER'], ['tail', 'VARCHAR']);
const ALL: GrantedPlan = { columns: 'all', masks: {}, rowFilter: null };
const drift = (events_: BusinessEvent[]) => events_.map((event) => event.type === 'schema' && event.drift);

describe('a pinned schema', () => {
  test('leaves a plan as it is while the data set is as it was published', () => {
    expect(pins.applied('flights', PUBLISHED, ALL)).toBe(ALL);
    expect(pins.applied('flights', PUBLISHED.toReversed(), ALL)).toBe(ALL);
    expect(events).toEqual([]);
  });

  test('keeps an added column from agreements that grant all, and tells the operator once', () => {
    pins.applied('flights', PUBLISHED, ALL);
    const now = [...PUBLISHED, ...columns(['pilot', 'VARCHAR'])];
    for (let use = 0; use < 3; use += 1) {
      expect(pins.applied('flights', now, ALL).columns).toEqual(['flight', 'delay', 'tail']);
    }
    expect(drift(events)).toEqual([{ added: ['pilot'], vanished: [], changed: [] }]);
    const named = { ...ALL, columns: ['flight', 'pilot'] };
    expect(pins.applied('flights', now, named).columns).toEqual(['flight', 'pilot']);
    // Another drift is told again.
    pins.applied('flights', now.slice(1), ALL);
    expect(drift(events)[1]).toEqual({ added: ['pilot'], vanished: ['flight'], changed: [] });
  });

  test('denies where a column that is granted, masked or filtered by has another type', () => {
    pins.applied('flights', PUBLISHED, ALL);
    const now = columns(['flight', 'BIGINT'], ['delay', 'VARCHAR'], ['tail', 'VARCHAR']);
    const plans: GrantedPlan[] = [
      ALL,
      { ...ALL, columns: ['delay'] },
      { ...ALL, columns: ['flight'], masks: { delay: { method: 'null' } } },
      { ...ALL, columns: ['flight'], rowFilter: { column: 'delay', operator: 'lt', value: 10 } },
      { ...ALL, columns: ['flight'], named: ['delay'] },
    ];
    for (const plan of plans) {
      expect(() => pins.applied('flights', now, plan)).toThrow(/"delay" has the type VARCHAR now.*INTEGER/);
    }
    expect(pins.applied('flights', now, { ...ALL, columns: ['flight'] }).columns).toEqual(['flight']);
    expect(drift(events)).toEqual([
      { added: [], vanished: [], changed: [{ name: 'delay', from: 'INTEGER', to: 'VARCHAR' }] },
    ]);
  });

  test('is compared, and pinned anew, at the operator’s word', () => {
    const { drift: none, pinnedAt } = pins.compared('flights', PUBLISHED);
    expect([none, pinnedAt]).toEqual([null, '2026-01-01T00:00:00.000Z']);
    const now = columns(['flight', 'VARCHAR']);
    expect(pins.compared('flights', now).drift).toEqual({
      added: [],
      vanished: ['delay', 'tail'],
      changed: [{ name: 'flight', from: 'BIGINT', to: 'VARCHAR' }],
    });
    expect(pins.repin('flights', now)).toMatchObject({ columns: [{ name: 'flight', type: 'VARCHAR' }], drift: null });
    expect(pins.applied('flights', now, ALL)).toBe(ALL);
  });

  test('never grants a column that was neither pinned nor named', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const table = fc.uniqueArray(fc.tuple(name, fc.constantFrom('BIGINT', 'VARCHAR')), { selector: ([key]) => key });
    fc.assert(
      fc.property(table, table, fc.option(fc.uniqueArray(name, { minLength: 1 })), (before, after, named) => {
        pins.repin('flights', columns(...before));
        let granted: GrantedPlan['columns'];
        try {
          granted = pins.applied('flights', columns(...after), { ...ALL, columns: named ?? 'all' }).columns;
        } catch {
          return;
        }
        const shown = granted === 'all' ? after.map(([key]) => key) : granted;
        const pinned = new Map<string, string>(before);
        const allowed = new Set<string>([...pinned.keys(), ...(named ?? [])]);
        for (const key of shown) {
          expect(allowed).toContain(key);
          const type = new Map<string, string>(after).get(key);
          if (pinned.has(key) && type !== undefined) expect(type).toBe(pinned.get(key));
        }
        if (
          driftOf(
            before.map(([key, type]) => ({ name: key, type })),
            after.map(([key, type]) => ({ name: key, type })),
          )
        ) {
          expect(granted).not.toBe('all');
        }
      }),
    );
  });
});
