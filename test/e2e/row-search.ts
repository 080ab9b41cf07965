import { DuckDBInstance } from '@duckdb/node-api';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Departure times of an airport's flights in the forms that they could leave in. */
export interface RowIndex {
  readonly owner: string;
  /** Low and high half of the time as int64, little-endian, in µs and in ms. */
  readonly binary: ReadonlyMap<number, ReadonlySet<number>>;
  /** `2001-03-05 13:22`: the first 16 characters of any ISO or SQL form. */
  readonly text: ReadonlySet<string>;
}

/**
 * Indexes every row of a flights file. Midnight is left out: contracts name days. So are the first and the last time of
 * each of `published`: a data set's profile, which its owner publishes, names them.
 */
export async function indexRows(owner: string, parquet: string, published: readonly string[]): Promise<RowIndex> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const ends = published.map((_, i) => `SELECT unnest([min(date), max(date)]) FROM read_parquet($${i + 2})`);
  const reader = await connection.runAndReadAll(
    `SELECT DISTINCT epoch_us(date) AS us FROM read_parquet($1)
     WHERE hour(date) + minute(date) > 0 AND date NOT IN (${ends.join(' UNION ALL ')})`,
    [parquet, ...published],
  );
  const binary = new Map<number, Set<number>>();
  const text = new Set<string>();
  const bytes = Buffer.alloc(8);
  for (const [us] of reader.getRows() as [bigint][]) {
    for (const value of [us, us / 1000n]) {
      bytes.writeBigInt64LE(value);
      const low = bytes.readInt32LE(0);
      if (!binary.has(low)) binary.set(low, new Set());
      binary.get(low)!.add(bytes.readInt32LE(4));
    }
    text.add(new Date(Number(us / 1000n)).toISOString().slice(0, 16).replace('T', ' '));
  }
  connection.closeSync();
  instance.closeSync();
  return { owner, binary, text };
}

/** @returns how many times a departure time of `rows` occurs in `content`, at any offset, in any of its forms */
export function countRows(content: Buffer, rows: RowIndex): number {
  let found = 0;
  for (let offset = 0; offset + 8 <= content.length; offset++) {
    const high = rows.binary.get(content.readInt32LE(offset));
    if (high?.has(content.readInt32LE(offset + 4)) === true) found++;
  }
  for (const match of content.toString('latin1').matchAll(/2001-0[1-7]-\d\d[ T]\d\d:\d\d/g))
    if (rows.text.has(match[0].replace('T', ' '))) found++;
  return found;
}

/** Every file below a folder with its content. */
export async function* filesBelow(folder: string): AsyncIterable<{ path: string; content: Buffer }> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    yield { path, content: await readFile(path) };
  }
}
