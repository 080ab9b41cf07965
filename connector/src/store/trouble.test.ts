import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { passingTrouble } from './trouble.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-trouble-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const errorOf = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

it('a store that somebody else holds, that is full or not there passes as trouble that may end', () => {
  const path = join(folder, 'store.sqlite');
  const one = new DatabaseSync(path);
  const two = new DatabaseSync(path, { timeout: 0 });
  one.exec('CREATE TABLE t (x)');
  one.exec('BEGIN IMMEDIATE');
  const busy = errorOf(() => two.exec('BEGIN IMMEDIATE'));
  one.exec('ROLLBACK; PRAGMA max_page_count = 2');
  const full = errorOf(() => one.exec(`INSERT INTO t VALUES (zeroblob(100000))`));
  const missing = errorOf(() => new DatabaseSync(join(folder, 'no', 'store.sqlite')));
  for (const error of [busy, full, missing]) {
    expect(passingTrouble(error)).toMatchObject({ code: 'unavailable', cause: error });
  }
  const fault = errorOf(() => one.exec('SELECT nothing FROM nowhere'));
  for (const error of [fault, new Error('SQLITE_BUSY'), undefined, { code: 'ERR_SQLITE_ERROR' }]) {
    expect(passingTrouble(error)).toBeUndefined();
  }
  one.close();
  two.close();
});
