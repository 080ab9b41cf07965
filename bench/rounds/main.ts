/**
 * What a round costs beyond training, and what taking in uploads costs the coordinator.
 *
 *     npm run bench:rounds -- --clients 10 --rounds 20 --ingest-clients 50
 *
 * Rounds: coordinator, clients and their connectors are as they are (mutual TLS on loopback, ledgers, durable writes),
 * all in this one process; only the trainer is replaced, by one that returns a fixed update at once. So every
 * millisecond is a round's own, for all clients together on one thread.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { median } from '../negotiation/floor.ts';
import { measureRounds, type RoundTimes } from './measure-rounds.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '15' },
    parts: { type: 'string', default: 'rounds,ingest' },
    'ingest-clients': { type: 'string', default: '5,50' },
    'ingest-parameters': { type: 'string', default: '10000000' },
  },
});
const parts = new Set(values.parts.split(','));
const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n');
};

if (parts.has('rounds')) {
  const clients = Number(values.clients);
  const times = await measureRounds({ clients, rounds: Number(values.rounds) });
  const row = ({ name, parameters, milliseconds }: RoundTimes): string[] => {
    const sorted = milliseconds.toSorted((a, b) => a - b);
    const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0);
    const base = median(times[0]!.milliseconds);
    return [
      name,
      parameters.toLocaleString('en'),
      at(0.1),
      at(0.5),
      at(0.9),
      `${(median(milliseconds) / base).toFixed(2)}×`,
    ];
  };
  console.log(`A round beyond training, ${clients} clients on loopback, ${values.rounds} rounds each, in ms:\n`);
  console.log(table([['', 'parameters', 'p10', 'median', 'p90', 'ratio'], ...times.map(row)]));
  console.log();
}

if (parts.has('ingest')) {
  const rows: string[][] = [
    ['', 'clients', 'CPU ms an upload', 'GB/s', 'of memory bandwidth', 'peak MiB', 'of the model'],
  ];
  for (const kind of ['clear', 'masked']) {
    for (const clients of values['ingest-clients'].split(',')) {
      rows.push(await ingest(kind, clients, values['ingest-parameters']));
    }
  }
  console.log(
    `Uploads of ${Number(values['ingest-parameters']).toLocaleString('en')} parameters, decoded, checked, summed and averaged in a process of its own:\n`,
  );
  console.log(table(rows));
}

/** Each in a process of its own, for its peak memory. */
async function ingest(kind: string, clients: string, parameters: string): Promise<string[]> {
  const child = spawn(
    process.execPath,
    ['--expose-gc', join(import.meta.dirname, 'ingest.ts'), kind, clients, parameters],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>]);
  if (code !== 0) throw new Error(`the process that takes uploads in ended with code ${code}`);
  const { msPerUpload, gigabytesPerSecond, memoryGigabytesPerSecond, peakBytes, modelBytes, idleBytes } = JSON.parse(
    output,
  ) as Record<string, number>;
  return [
    kind,
    clients,
    msPerUpload!.toFixed(0),
    gigabytesPerSecond!.toFixed(2),
    `${((100 * gigabytesPerSecond!) / memoryGigabytesPerSecond!).toFixed(0)}% of ${memoryGigabytesPerSecond!.toFixed(1)} GB/s`,
    (peakBytes! / 2 ** 20).toFixed(0),
    `${((peakBytes! - idleBytes!) / modelBytes!).toFixed(1)}×`,
  ];
}
