/**
 * Throughput of the data plane beside what it is built on, in one process and one run after the other in turns:
 * Arrow streams beside the bare scan of the same engine, and a file that is granted whole beside a plain stream of it.
 * Then peak memory of a stream of 1 and of 50 million rows, each in a process of its own.
 *
 *     npm run bench:data-plane [-- --rows 5000000 --runs 5 --only Arrow --memory-rows 1000000,50000000]
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { createScanner, FORMATS, openEngine, readWholeFile, type Scanner } from '@foedus/connector/data-plane';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '5000000' },
    runs: { type: 'string', default: '5' },
    /** Only work whose name has this in it, beside what it is compared with. */
    only: { type: 'string', default: '' },
    'memory-rows': { type: 'string', default: '1000000,50000000' },
    /** Internal: streams this file and prints the process's peak memory. */
    measure: { type: 'string' },
  },
});

type Masks = NonNullable<NonNullable<Parameters<Scanner['scan']>[1]>['masks']>;

const FILTER = { column: 'distance', operator: 'gteq', value: 200 } as const;
/** Every column is read. */
const MASKS: Masks = { tail: { method: 'hash' }, at: { method: 'truncate', unit: 'hour' } };
/** Of `tail` and `price` nothing is read. */
const BLANKS: Masks = {
  tail: { method: 'null' },
  at: { method: 'truncate', unit: 'hour' },
  price: { method: 'constant', value: '*' },
};
/** No two values are the same. */
const UNIQUE: Masks = { id: { method: 'hash' } };
const [ARROW, PARQUET, CSV, NDJSON] = FORMATS;

async function write(path: string, rows: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '2GB' });
  const connection = await instance.connect();
  await connection.run(`COPY (SELECT i AS id, TIMESTAMP '2001-01-01' + INTERVAL (i) SECOND AS at,
      'AP' || (i % 300) AS origin, 'AP' || (i * 7 % 300) AS destination, (hash(i) % 3000)::INTEGER AS distance,
      (hash(i + 1) % 1000) / 7.0 AS delay, 'N' || (hash(i) % 90000 + 10000) || 'tail' AS tail,
      (hash(i + 2) % 100000 / 100)::DECIMAL(9, 2) AS price
    FROM range(${rows}) t(i)) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`);
  connection.closeSync();
  instance.closeSync();
}

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const piece of pieces) bytes += piece.byteLength;
  return bytes;
}

async function streamed(scanner: Scanner, path: string, format: typeof ARROW, masks: Masks): Promise<number> {
  const rows = await scanner.scan({ type: 'parquet', path }, { rowFilter: FILTER, masks });
  try {
    return await bytesOf(format!.encode(rows.schema, rows.batches));
  } finally {
    await rows[Symbol.asyncDispose]();
  }
}

/** All columns of the rows that pass, chunk by chunk, in an engine as the data plane opens it; they are not looked at. */
async function bare(engine: DuckDBInstance, path: string): Promise<number> {
  const connection = await engine.connect();
  try {
    const result = await connection.stream('SELECT * FROM read_parquet($1) WHERE distance >= 200', [path]);
    let rows = 0;
    for (let chunk = await result.fetchChunk(); chunk?.rowCount; chunk = await result.fetchChunk()) {
      rows += chunk.rowCount;
    }
    return rows;
  } finally {
    connection.closeSync();
  }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;

interface Measured {
  readonly wall: number[];
  /** Of all threads of the process. */
  readonly cpu: number[];
  bytes: number;
}

async function compare(path: string, folder: string): Promise<void> {
  const rows = Number(options.rows);
  const runs = Number(options.runs);
  await using scanner = createScanner({ folder });
  const engine = await openEngine();
  const size = statSync(path).size;
  let kept = 0;
  const work: Record<string, () => Promise<number>> = {
    [BARE]: async () => {
      kept = await bare(engine, path);
      return 0;
    },
    'Arrow, filtered': () => streamed(scanner, path, ARROW, {}),
    'Arrow, filtered and masked': () => streamed(scanner, path, ARROW, MASKS),
    'Arrow, two columns blanked': () => streamed(scanner, path, ARROW, BLANKS),
    'Arrow, unique column hashed': () => streamed(scanner, path, ARROW, UNIQUE),
    'Parquet, filtered and masked': () => streamed(scanner, path, PARQUET, MASKS),
    'CSV, filtered and masked': () => streamed(scanner, path, CSV, MASKS),
    'NDJSON, filtered and masked': () => streamed(scanner, path, NDJSON, MASKS),
    [PLAIN]: () => bytesOf(createReadStream(path, { highWaterMark: 256 * 1024 })),
    'file granted whole': async () => await bytesOf(await readWholeFile(path)),
  };
  const measured = new Map<string, Measured>();
  for (let run = -1; run < runs; run++) {
    for (const [name, measuredWork] of Object.entries(work)) {
      if (![BARE, PLAIN].includes(name) && !name.includes(options.only)) continue;
      if (/CSV|JSON|^Parquet/.test(name) && run >= 2) continue;
      const cpu = process.cpuUsage();
      const start = performance.now();
      const bytes = await measuredWork();
      if (run < 0) continue;
      const { user, system } = process.cpuUsage(cpu);
      const times = measured.get(name) ?? { wall: [], cpu: [], bytes: 0 };
      times.wall.push(performance.now() - start);
      times.cpu.push((user + system) / 1000);
      times.bytes = bytes;
      measured.set(name, times);
    }
  }
  engine.closeSync();
  console.log(`${rows} rows × 8 columns, ${(size / 1e6).toFixed(0)} MB of Parquet; ${kept} rows pass the filter.`);
  console.log(`
The bare scan reads all 8 columns of the rows that pass, in an engine with the same settings, as chunks that nobody
looks at. The streams do the same and yield all bytes of the format, without HTTP and TLS. "Masked" hashes a text
column with 90,000 values and truncates times to hours, so every column is read; where two columns are blanked, they
are not. Ratios are to the bare scan, of files to the plain stream: of the median times, of the best times, and of the
least processor time of all threads, which other load on the machine moves less. ${runs} runs (2 for text and Parquet),
in turns.
`);
  console.log(line(['', 'time', 'CPU', 'rows', 'bytes', 'of median', 'of best', 'of CPU']));
  for (const [name, { wall, cpu, bytes }] of measured) {
    const file = name.includes('file');
    const base = measured.get(file ? PLAIN : BARE);
    const ms = median(wall);
    console.log(
      line([
        name,
        `${ms.toFixed(0)} ms`,
        `${Math.min(...cpu).toFixed(0)} ms`,
        file ? '' : `${(rows / ms / 1000).toFixed(2)} M/s`,
        bytes > 0 ? `${(bytes / ms / 1000).toFixed(0)} MB/s` : '',
        `${((median(base?.wall ?? []) / ms) * 100).toFixed(0)} %`,
        `${((Math.min(...(base?.wall ?? [])) / Math.min(...wall)) * 100).toFixed(0)} %`,
        `${((Math.min(...(base?.cpu ?? [])) / Math.min(...cpu)) * 100).toFixed(0)} %`,
      ]),
    );
  }
}

const BARE = 'bare scan, filtered';
const PLAIN = 'plain file stream';

function line([name = '', ...cells]: readonly string[]): string {
  return [name.padEnd(30), ...cells.map((cell) => cell.padStart(10))].join(' ');
}

/** Peak memory of a process that streams a file, in MB. */
async function measure(path: string): Promise<void> {
  await using scanner = createScanner({ folder: join(path, '..') });
  const before = process.resourceUsage().maxRSS / 1000;
  const start = performance.now();
  const bytes = await streamed(scanner, path, ARROW, MASKS);
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `peak ${(process.resourceUsage().maxRSS / 1000).toFixed(0)} MB (${before.toFixed(0)} MB before), ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s`,
  );
}

if (options.measure !== undefined) {
  await measure(options.measure);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'foedus-bench-'));
  try {
    const path = join(folder, 'rows.parquet');
    await write(path, Number(options.rows));
    await compare(path, folder);
    console.log('\nPeak memory of a filtered and masked Arrow stream, in a process of its own:');
    for (const rows of options['memory-rows'].split(',').filter(Boolean).map(Number)) {
      await write(path, rows);
      const output = execFileSync(process.execPath, [import.meta.filename, '--measure', path], { encoding: 'utf8' });
      console.log(`${String(rows).padStart(10)} rows: ${output.trim()}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
