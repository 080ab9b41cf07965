import { context, createContextKey, ROOT_CONTEXT, type Context } from '@opentelemetry/api';
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createGroupCommit,
  createTransact,
  openDatabase,
  type Database,
  type GroupCommit,
  type Transact,
} from './index.ts';

const table = { version: 1, name: 'one table', sql: 'CREATE TABLE word (text TEXT PRIMARY KEY) STRICT' };

let folder: string;
let database: Database;
let transact: Transact;
let group: GroupCommit;
let failures: unknown[];
/** How many transactions have been begun. */
let transactions: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-store-'));
  database = openDatabase(join(folder, 'a.sqlite'), [table]);
  transactions = 0;
  transact = createTransact({
    ...database,
    transaction: (work) => {
      transactions += 1;
      return database.transaction(work);
    },
  });
  failures = [];
  group = createGroupCommit(transact, (error) => failures.push(error));
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

const put = (text: string): string => {
  database.sql.prepare('INSERT INTO word VALUES (?)').run(text);
  return text;
};
const words = (): string[] =>
  (database.sql.prepare('SELECT text FROM word ORDER BY text').all() as { text: string }[]).map(({ text }) => text);

describe('a group commit', () => {
  it('does all work of one turn in one transaction, and answers each piece when it is durable', async () => {
    const seen: string[][] = [];
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((text) =>
        group.run((transaction) => {
          transaction.after(() => seen.push(words()));
          return put(text);
        }),
      ),
    );
    expect(answers).toEqual(['a', 'b', 'c']);
    expect(transactions).toBe(1);
    expect(seen).toEqual([words(), words(), words()]);
  });

  it('takes back a piece that throws with its effects, and nothing of the others', async () => {
    const effects: string[] = [];
    const piece = (text: string, fails: boolean) =>
      group.run((transaction) => {
        // A transaction within the piece belongs to it.
        transact((inner) => {
          put(text);
          inner.after(() => effects.push(text));
        });
        transaction.after(() => effects.push(`${text} again`));
        if (fails) throw new Error(`not ${text}`);
      });
    const results = await Promise.allSettled([piece('a', false), piece('b', true), piece('c', false)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(words()).toEqual(['a', 'c']);
    expect(effects).toEqual(['a', 'a again', 'c', 'c again']);
  });

  it('takes back a single piece that throws', async () => {
    await expect(
      group.run(() => {
        put('a');
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(words()).toEqual([]);
  });

  it('rejects every piece when the commit fails, and does what comes later', async () => {
    const failing = createGroupCommit(
      createTransact({
        ...database,
        transaction: (work) =>
          database.transaction(() => {
            work();
            throw new Error('disk full');
          }),
      }),
      () => undefined,
    );
    const results = await Promise.allSettled([failing.run(() => put('a')), failing.run(() => put('b'))]);
    expect(results.map((result) => (result as PromiseRejectedResult).reason.message)).toEqual([
      'disk full',
      'disk full',
    ]);
    expect(words()).toEqual([]);
    await group.run(() => put('c'));
    expect(words()).toEqual(['c']);
  });

  it('does no later piece outside of a transaction that a failure has ended', async () => {
    const results = await Promise.allSettled([
      group.run(() => put('a')),
      group.run(() => {
        // What SQLite does by itself when the disk is full.
        database.sql.exec('ROLLBACK');
        throw new Error('disk full');
      }),
      group.run(() => put('c')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(words()).toEqual([]);
  });

  it('does each piece, and what follows from it, in the trace of what caused it', async () => {
    const storage = new AsyncLocalStorage<Context>();
    context.setGlobalContextManager({
      active: () => storage.getStore() ?? ROOT_CONTEXT,
      with: (active, work, self, ...args) => storage.run(active, () => work.call(self, ...args)),
      bind: (_active, target) => target,
      enable: () => context as never,
      disable: () => context as never,
    });
    try {
      const key = createContextKey('cause');
      const seen: unknown[] = [];
      await Promise.all(
        ['a', 'b'].map((cause) =>
          context.with(ROOT_CONTEXT.setValue(key, cause), () =>
            group.run(() =>
              transact((transaction) => {
                seen.push(context.active().getValue(key));
                transaction.after(() => seen.push(`after ${String(context.active().getValue(key))}`));
              }),
            ),
          ),
        ),
      );
      expect(seen).toEqual(['a', 'b', 'after a', 'after b']);
    } finally {
      context.disable();
    }
  });

  it('does what nobody waits for with the next group, in the order it was handed in', async () => {
    group.soon(() => void put('a'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(words()).toEqual([]);
    await group.run(() => put('b'));
    expect(words()).toEqual(['a', 'b']);
    expect(transactions).toBe(1);
  });

  it('does what nobody waits for by itself when nothing else comes, and before it is disposed', async () => {
    await new Promise<void>((resolve) => {
      group.soon((transaction) => {
        put('a');
        transaction.after(resolve);
      });
    });
    group.soon(() => void put('b'));
    group.soon(() => void put('b'));
    await group[Symbol.asyncDispose]();
    expect(words()).toEqual(['a', 'b']);
    expect(failures.map(String)).toEqual([expect.stringMatching(/UNIQUE/)]);
  });
});
