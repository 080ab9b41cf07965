import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { airports, home, type Space } from './layout.ts';

/** Rows of one airport's file. */
export interface Prepared {
  readonly name: string;
  readonly rows: number;
}

/**
 * Gives every airport its own departures, and only these, as a Parquet file in its own folder.
 *
 * Source: `flights-3m.parquet` of the npm package vega-datasets: 3,000,000 flights of January to June 2001 (US Bureau
 * of Transportation Statistics). Columns: date (timestamp, µs), delay (int64, minutes), distance (int64, miles),
 * origin, destination (IATA codes).
 */
export async function prepareFlights(space: Space): Promise<Prepared[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    const prepared: Prepared[] = [];
    for (const { name, airport } of airports) {
      const target = home(space, name).flights;
      if (!existsSync(target)) {
        const fresh = `${target}.new`;
        await connection.run(
          `COPY (SELECT date, delay, distance, origin, destination FROM read_parquet(${literal(sourceFile())})
                 WHERE origin = ${literal(airport)} ORDER BY date, destination, delay, distance)
           TO ${literal(fresh)} (FORMAT parquet, COMPRESSION zstd)`,
        );
        await rename(fresh, target);
      }
      const reader = await connection.runAndReadAll(`SELECT count(*)::INTEGER FROM read_parquet(${literal(target)})`);
      prepared.push({ name, rows: Number(reader.getRows()[0]![0]) });
    }
    return prepared;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The package exports only its index, `build/index.js`; the file lies beside that folder. */
const sourceFile = (): string =>
  fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));

/** COPY takes no bound parameters; all that is quoted here are paths and codes of the demo itself. */
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
