import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FoedusError } from '../errors.ts';

/** One numbered step of a schema. Once released, a migration never changes: a correction is a new one. */
export interface Migration {
  /** 1, 2, 3 …, without gaps. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** A durable embedded store. Closing it (`await using`, or `close()`) checkpoints the write-ahead log. */
export interface Database extends AsyncDisposable {
  /** The SQLite handle. Prepare statements once and keep them. */
  readonly sql: DatabaseSync;
  /**
   * Runs `work` in one immediate transaction: everything in it is durable when this returns, or nothing happened.
   * A nested call joins the transaction around it. `work` must be synchronous: nothing else may run in between.
   */
  transaction<T>(work: () => T): T;
  /**
   * As `transaction`, without waiting for the disk: it survives the end of the process; a power cut may take it back
   * unless a `transaction` came after it, which makes it durable, too. For what memory alone holds the rest of.
   */
  passing<T>(work: () => T): T;
  close(): void;
}

/**
 * Pages of 4 KiB in the write-ahead log before it is copied into the file, by whoever commits next: a page that has
 * changed many times since is copied once.
 */
const CHECKPOINT_PAGES = 4_000;
/** Pages that are kept in memory, in KiB at most. */
const CACHE_KIB = 8_192;

/**
 * Opens (and creates) the SQLite file at `path` with WAL and `synchronous=FULL`, and brings its schema up to date.
 *
 * @param path a file path, or `:memory:`
 * @throws FoedusError `store-too-new` when the file was written by a newer version of the program
 */
export function openDatabase(path: string, migrations: readonly Migration[]): Database {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
  const sql = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 5_000 });
  sql.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  sql.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = -${CACHE_KIB};`);
  const begin = sql.prepare('BEGIN IMMEDIATE');
  const commit = sql.prepare('COMMIT');
  let under: 'none' | 'durable' | 'passing' = 'none';
  const run = <T>(kind: 'durable' | 'passing', work: () => T): T => {
    if (under === 'passing' && kind === 'durable') throw new Error('nothing is durable within a passing transaction');
    if (under !== 'none') return work();
    begin.run();
    under = kind;
    try {
      const result = work();
      commit.run();
      return result;
    } catch (error) {
      // Some failures (a full disk, for one) roll it back themselves.
      if (sql.isTransaction) sql.exec('ROLLBACK');
      throw error;
    } finally {
      under = 'none';
    }
  };
  const transaction = <T>(work: () => T): T => run('durable', work);
  const passing = <T>(work: () => T): T => {
    // With NORMAL a commit does not wait for the log to be on disk (https://sqlite.org/pragma.html#pragma_synchronous).
    if (under === 'none') sql.exec('PRAGMA synchronous = NORMAL');
    try {
      return run('passing', work);
    } finally {
      if (under === 'none') sql.exec('PRAGMA synchronous = FULL');
    }
  };
  migrate(path, sql, migrations, transaction);
  const close = (): void => {
    if (sql.isOpen) sql.close();
  };
  return { sql, transaction, passing, close, [Symbol.asyncDispose]: async () => close() };
}

function migrate(
  path: string,
  sql: DatabaseSync,
  migrations: readonly Migration[],
  transaction: (work: () => void) => void,
): void {
  const row = sql.prepare('PRAGMA user_version').get() as { user_version: number };
  const newest = migrations.length;
  if (row.user_version > newest) {
    sql.close();
    throw new FoedusError(
      'store-too-new',
      `The store ${path} has schema version ${row.user_version}, this program knows up to ${newest}. Start a newer Foedus, or point it at another folder.`,
    );
  }
  for (const [index, migration] of migrations.entries()) {
    if (migration.version !== index + 1) throw new Error(`migration ${migration.name} must have version ${index + 1}`);
    if (migration.version <= row.user_version) continue;
    transaction(() => {
      sql.exec(migration.sql);
      sql.exec(`PRAGMA user_version = ${migration.version}`);
    });
  }
}
