/**
 * How long `foedus connector start` takes from the start of its process to its first answered request, and how much
 * memory it holds when it has nothing to do; beside a Node process that answers one request and loads nothing else.
 */
import { createAuthority } from '@foedus/certs';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { prepareConnector } from '../../test/src/connector-process.ts';
import { median } from '../negotiation/floor.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '7' }, 'idle-seconds': { type: 'string', default: '5' } },
});
const runs = Number(values.runs);

interface Measured {
  /** Milliseconds until the first answer. */
  readonly startMs: number;
  /** Resident memory in MiB when idle, and at its peak. */
  readonly idleMiB: number;
  readonly peakMiB: number;
  readonly cpuMs: number;
}

const folder = await mkdtemp(join(tmpdir(), 'foedus-startup-'));
try {
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Test data space' });
  const connector = await prepareConnector(authority, 'starter', folder);
  const port = Number(new URL(connector.managementUrl).port);
  const foedus = join(import.meta.dirname, '../../cli/bin/foedus.mjs');
  const config = join(connector.directory, 'connector.json');
  const server = `require('node:http').createServer((_, r) => r.end('ok')).listen(${port}, '127.0.0.1')`;
  const start = [foedus, 'connector', 'start', '--config', config];
  const env = { ...process.env, XDG_CACHE_HOME: folder };
  const programs: Record<string, { args: readonly string[]; env: NodeJS.ProcessEnv }> = {
    'foedus connector start': { args: start, env },
    'the same, nothing compiled before': { args: start, env: { ...env, NODE_DISABLE_COMPILE_CACHE: '1' } },
    'node, HTTP server only': { args: ['--eval', server], env },
  };
  // Once unmeasured: the store is created, and what is on the disk is in the cache.
  await measure(programs['foedus connector start']!, port);
  const results = new Map<string, Measured[]>(Object.keys(programs).map((name) => [name, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const [name, program] of Object.entries(programs)) results.get(name)!.push(await measure(program, port));
  }
  print(results);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(
  { args, env }: { args: readonly string[]; env: NodeJS.ProcessEnv },
  port: number,
): Promise<Measured> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: 'ignore', env });
  try {
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error(`${args.join(' ')} has ended with ${child.exitCode}`);
      await pause(2);
    }
    const startMs = performance.now() - started;
    const cpuMs = cpuMsOf(child);
    await pause(Number(values['idle-seconds']) * 1000);
    return { startMs, cpuMs, idleMiB: memoryOf(child, 'VmRSS'), peakMiB: memoryOf(child, 'VmHWM') };
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

/** Whether `GET /health` is answered with 200. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    });
    socket.once('data', (data) => {
      resolve(data.toString('latin1').startsWith('HTTP/1.1 200'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
  });
}

function memoryOf({ pid }: ChildProcess, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
}

function cpuMsOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function print(results: ReadonlyMap<string, readonly Measured[]>): void {
  const columns = ['', 'first answer ms', 'CPU ms until then', 'idle MiB', 'peak MiB'];
  const rows = [...results].map(([name, measured]) => ({
    name,
    values: (['startMs', 'cpuMs', 'idleMiB', 'peakMiB'] as const).map((field) =>
      median(measured.map((one) => one[field])),
    ),
  }));
  const [first, last] = [rows[0]!, rows.at(-1)!];
  const lines = [
    ...rows.map((row) => [row.name, ...row.values.map((value) => value.toFixed(0))]),
    ['first row / last row', ...first.values.map((value, index) => `${(value / last.values[index]!).toFixed(1)} ×`)],
  ];
  const widths = columns.map((column, index) => Math.max(column.length, ...lines.map((line) => line[index]!.length)));
  console.log(
    `${availableParallelism()} cores; medians of ${runs} starts each, idle for ${values['idle-seconds']} s.\n`,
  );
  for (const line of [columns, ...lines]) {
    console.log(
      line.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!))).join('  '),
    );
  }
}
