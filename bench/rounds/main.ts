/**
 * What a round costs beyond training, and what taking in uploads costs the coordinator.
 *
 *     npm run bench:rounds -- --clients 10 --rounds 20 --ingest-clients 50
 *
 * Rounds: coordinator, clients and their connectors are as they are (mutual TLS on loopback, ledgers, durable writes), in
 * three processes; only the trainer is replaced, by one that returns a fixed update at once. So every millisecond is a
 * round's own, for all clients together; CPU time is told by part, so that what clients and connectors of a real data
 * space do on computers of their own can be taken off. Beside it: what the ledgers take of it, and a floor.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { median, quantile } from '../negotiation/floor.ts';
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
  const { parameters, times } = await measureRounds({ clients, rounds: Number(values.rounds) });
  const floor = median(times.at(-1)!.milliseconds);
  const row = ({ name, milliseconds, cpu }: RoundTimes): string[] => {
    const at = (share: number): string => quantile(milliseconds, share).toFixed(0);
    const ms = (value: number | undefined): string => value?.toFixed(0) ?? '';
    return [
      name,
      Math.min(...milliseconds).toFixed(0),
      at(0.5),
      at(0.9),
      `${(median(milliseconds) / floor).toFixed(1)}×`,
      ms(cpu?.coordinator),
      ms(cpu === null ? undefined : cpu.clients / clients),
      ms(cpu === null ? undefined : cpu.connectors / clients),
    ];
  };
  const head = ['', 'best', 'median', 'p90', 'of the floor', 'CPU: coordinator', 'a client', 'a connector'];
  console.log(
    `A round beyond training, ${clients} clients on loopback, ${parameters.toLocaleString('en')} parameters, ${values.rounds} rounds each, in ms:\n`,
  );
  console.log(table([head, ...times.map(row)]));
  console.log();
}

if (parts.has('ingest')) {
  const rows: string[][] = [
    ['', 'clients', 'CPU ms an upload', 'GB/s', 'of memory bandwidth', 'peak MiB', 'of the model', 'CPU ms of the end'],
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
  const { msPerUpload, endMs, gigabytesPerSecond, memoryGigabytesPerSecond, peakBytes, modelBytes, idleBytes } =
    JSON.parse(output) as Record<string, number>;
  return [
    kind,
    clients,
    msPerUpload!.toFixed(0),
    gigabytesPerSecond!.toFixed(2),
    `${((100 * gigabytesPerSecond!) / memoryGigabytesPerSecond!).toFixed(0)}% of ${memoryGigabytesPerSecond!.toFixed(1)} GB/s`,
    (peakBytes! / 2 ** 20).toFixed(0),
    `${((peakBytes! - idleBytes!) / modelBytes!).toFixed(1)}×`,
    endMs!.toFixed(0),
  ];
}
