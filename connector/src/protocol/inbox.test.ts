import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openDatabase, createGroupCommit, createTransact } from '../store/index.ts';
import { migrations } from '../store/migrations/index.ts';
import { createInbox } from './inbox.ts';
import { negotiationMachine, transferMachine } from './state-machine.ts';

const never = new AbortController().signal;
const day = (number: number): string => new Date(Date.UTC(2026, 0, number)).toISOString();

/** A store with an inbox, and processes that are put into it as they stand. */
function createStore() {
  const database = openDatabase(':memory:', migrations);
  const group = createGroupCommit(createTransact(database), (error) => {
    throw error;
  });
  const { sql } = database;
  const put = (table: 'negotiation' | 'transfer', id: string, state: string, updatedAt: string): void => {
    const body = JSON.stringify({ id, state, updatedAt, format: 'f', datasetId: 'd' });
    sql.prepare(`DELETE FROM ${table} WHERE id = ?`).run(id);
    sql
      .prepare(`INSERT INTO ${table} (id, role, state, counterparty_id, body) VALUES (?, 'provider', ?, 'c', ?)`)
      .run(id, state, body);
  };
  return { sql, put, open: () => createInbox(database, group), [Symbol.dispose]: () => database.close() };
}

describe('what was answered', () => {
  it('is forgotten when the process has ended long enough ago, and only then', async () => {
    const process = fc.record({
      table: fc.constantFrom('negotiation' as const, 'transfer' as const),
      state: fc.constantFrom(...negotiationMachine.states, ...transferMachine.states),
      ended: fc.nat(20),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(process, { maxLength: 30 }), fc.array(fc.nat(25)), async (processes, ends) => {
        using store = createStore();
        const inbox = store.open();
        const all = processes.map((one, index) => ({ ...one, id: `urn:${index}`, ended: one.ended + 1 }));
        for (const { table, id, state, ended } of all) {
          store.put(table, id, state, day(ended));
          inbox.put(id, 'hash', { id });
        }
        const machines = { negotiation: negotiationMachine, transfer: transferMachine };
        let last = 0;
        for (const end of ends) {
          last = Math.max(last, end);
          await inbox.forget(new Date(day(end)), never);
          for (const { table, id, state, ended } of all) {
            const final: readonly string[] = machines[table].final;
            const forgotten = final.includes(state) && ended < last;
            expect(inbox.answerTo(id, 'hash')).toEqual(forgotten ? undefined : { id });
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is forgotten in many steps where much has ended, and also where a process ends after it was passed', async () => {
    using store = createStore();
    const inbox = store.open();
    for (let index = 0; index < 1_001; index += 1) {
      store.put('negotiation', `urn:${index}`, index === 500 ? 'AGREED' : 'FINALIZED', day(1));
      inbox.put(`urn:${index}`, 'hash', {});
    }
    const left = () => store.sql.prepare('SELECT process_id FROM inbox').all();
    await inbox.forget(new Date(day(2)), never);
    expect(left()).toEqual([{ process_id: 'urn:500' }]);
    store.put('negotiation', 'urn:500', 'FINALIZED', day(3));
    await inbox.forget(new Date(day(3)), never);
    expect(left()).toEqual([{ process_id: 'urn:500' }]);
    await inbox.forget(new Date(day(4)), never);
    expect(left()).toEqual([]);
  });

  it('stays while there is still something to say to the counterparty', async () => {
    using store = createStore();
    store.put('transfer', 'urn:1', 'TERMINATED', day(1));
    store.sql.exec(`INSERT INTO outbox (process_id, kind, name, initial, message, trace, created_at)
      VALUES ('urn:1', 'transfer', 'TransferTerminationMessage', 0, '{}', '{}', '')`);
    store.open().put('urn:1', 'hash', { kept: true });
    await store.open().forget(new Date(day(2)), never);
    expect(store.open().answerTo('urn:1', 'hash')).toEqual({ kept: true });
    store.sql.exec('DELETE FROM outbox');
    await store.open().forget(new Date(day(2)), never);
    expect(store.open().answerTo('urn:1', 'hash')).toBeUndefined();
  });
});
