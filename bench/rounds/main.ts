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
import { parseArgs } from 'node:util';
import { median, quantile } from '../negotiation/floor.ts';
import { measureArithmetic } from './ingest.ts';
import { measureIngest, type Ingest } from './measure-ingest.ts';
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
  const parameters = Number(values['ingest-parameters']);
  const runs: Ingest[] = [];
  for (const clients of values['ingest-clients'].split(',')) {
    runs.push(...(await measureIngest({ clients: Number(clients), parameters })));
  }
  const rate = (bytes: number, ms: number): number => bytes / ms / 1e6;
  const bandwidth = Math.max(...runs.map((run) => run.memoryGigabytesPerSecond));
  const speed = (bytes: number, ms: number): string[] => [
    ms.toFixed(0),
    rate(bytes, ms).toFixed(2),
    `${((100 * rate(bytes, ms)) / bandwidth).toFixed(1)}%`,
  ];
  const row = (run: Ingest): string[] => {
    const above = (bytes: number): string => `${(bytes / run.modelBytes).toFixed(2)}×`;
    const { downloads, uploads, round } = run.peaks;
    return [
      run.kind,
      String(run.clients),
      ...speed(run.uploadBytes, run.uploadMs),
      `${(run.uploadMs / run.floorMs).toFixed(1)}×`,
      run.endMs.toFixed(0),
      run.downloadMs.toFixed(0),
      above(downloads),
      above(uploads),
      above(round),
      `${(round / 2 ** 20).toFixed(0)} MiB`,
    ];
  };
  console.log(
    `A coordinator in a process of its own: everybody reads a model of ${parameters.toLocaleString('en')} parameters, everybody uploads.\n` +
      `CPU time of the coordinator in ms, memory of its process above rest; a copy in memory: ${bandwidth.toFixed(1)} GB/s:\n`,
  );
  const cpuHead = ['an upload', 'GB/s', 'of memory', 'of bare TLS', 'the end', 'a download'];
  const peakHead = ['peak of downloads', 'of uploads', 'of all', ''];
  console.log(table([['', 'clients', ...cpuHead, ...peakHead], ...runs.map(row)]));
  const arithmetic = (await measureArithmetic(parameters)).map(({ kind, bytes, chunksMs, allMs }) => [
    kind,
    chunksMs.toFixed(0),
    ...speed(bytes, allMs),
  ]);
  console.log('\nThe same without a network, CPU time in ms, the best of several:\n');
  console.log(table([['', 'its chunks', 'an upload', 'GB/s', 'of memory'], ...arithmetic]));
}
