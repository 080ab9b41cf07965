import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openDatabase, type Database } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'foedus-database-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (name: string): Database =>
  openDatabase(join(folder, name), [{ version: 1, name: 'one table', sql: 'CREATE TABLE record (body TEXT) STRICT' }]);
const bodies = ({ sql }: Database): unknown[] =>
  sql
    .prepare('SELECT body FROM record')
    .all()
    .map((row) => row['body']);
const add = ({ sql }: Database, body: string): void => void sql.prepare('INSERT INTO record VALUES (?)').run(body);
const synchronous = ({ sql }: Database): unknown => sql.prepare('PRAGMA synchronous').get()?.['synchronous'];
const [NORMAL, FULL] = [1, 2];

test('a passing transaction does not wait for the disk, and the next one does again', async () => {
  await using database = open('passing.sqlite');
  const during = database.passing(() => {
    add(database, 'a');
    return synchronous(database);
  });
  expect([during, synchronous(database)]).toEqual([NORMAL, FULL]);
  const nested = database.transaction(() => database.passing(() => synchronous(database)));
  expect(nested).toBe(FULL);
});

test('a passing transaction is there for others at once, and not at all when its work throws', async () => {
  await using database = open('other.sqlite');
  await using other = open('other.sqlite');
  database.passing(() => add(database, 'a'));
  const broken = (): void =>
    database.passing(() => {
      add(database, 'b');
      throw new Error('broken off');
    });
  expect(broken).toThrow('broken off');
  expect(bodies(other)).toEqual(['a']);
  expect(synchronous(database)).toBe(FULL);
});

test('nothing that has to be durable is promised within a passing transaction', async () => {
  await using database = open('nested.sqlite');
  expect(() => database.passing(() => database.transaction(() => add(database, 'a')))).toThrow(/durable/);
  expect(bodies(database)).toEqual([]);
});
