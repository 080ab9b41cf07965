import { availableParallelism } from 'node:os';
import type { Run } from './driver.ts';
import { median, quantile, type Floor } from './floor.ts';

export interface Row {
  readonly inFlight: number;
  readonly runs: readonly Run[];
}

/** Prints medians over the runs of each row, and how they compare to the floor. */
export function printTable(floor: Floor, rows: readonly Row[]): void {
  const columns = [
    'in flight',
    '/s',
    'median ms',
    'p99 ms',
    'CPU ms each',
    'of it provider',
    'consumer',
    'driver',
    'CPU / floor',
  ];
  const lines = rows.map(({ inFlight, runs }) => {
    const over = (of: (run: Run) => number): number => median(runs.map(of));
    const each = (of: keyof Run['cpuMs']): number => over((run) => run.cpuMs[of] / run.latencies.length);
    const total = each('provider') + each('consumer') + each('driver');
    return [
      String(inFlight),
      over((run) => (run.latencies.length / run.elapsedMs) * 1000).toFixed(0),
      over((run) => median(run.latencies)).toFixed(1),
      over((run) => quantile(run.latencies, 0.99)).toFixed(1),
      total.toFixed(2),
      each('provider').toFixed(2),
      each('consumer').toFixed(2),
      each('driver').toFixed(2),
      `${(total / floor.cpuMs).toFixed(1)} ×`,
    ];
  });
  const widths = columns.map((name, index) => Math.max(name.length, ...lines.map((line) => line[index]!.length)));
  const print = (cells: readonly string[]): void =>
    console.log(cells.map((cell, index) => cell.padStart(widths[index]!)).join('  '));
  console.log(
    `\n${availableParallelism()} cores, shared by both connectors and the driver; median of ${rows[0]?.runs.length} runs each.`,
  );
  console.log(
    `Floor: two signatures, two verifications and eight durable commits take ${floor.wallMs.toFixed(2)} ms, ${floor.cpuMs.toFixed(2)} ms of it CPU.\n`,
  );
  print(columns);
  for (const line of lines) print(line);
  const [one] = rows;
  if (one) {
    const latency = median(one.runs.map((run) => median(run.latencies)));
    console.log(`\nLatency of one is ${(latency / floor.wallMs).toFixed(1)} × the floor's wall-clock time.`);
  }
}
