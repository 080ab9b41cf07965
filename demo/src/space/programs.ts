import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const foedus = fileURLToPath(new URL('../../../cli/bin/foedus.mjs', import.meta.url));

export interface ProgramDescription {
  /** For people: `bdl connector`. */
  readonly name: string;
  /** Arguments of the `foedus` command. */
  readonly arguments: readonly string[];
  /** Answers 200 when the program takes requests. */
  readonly readyUrl: string;
  readonly logs: string;
}

/** One program of one organisation, as a process of its own. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it takes requests. @throws Error with the end of its log when it ends before */
  ready(): Promise<void>;
  /** Peak resident memory in bytes; null where the system does not tell. */
  peakMemory(): Promise<number | null>;
  /** Ends it: SIGTERM, and SIGKILL when it has not ended after ten seconds. */
  end(): Promise<void>;
  /** SIGKILL, as a power cut would. */
  kill(): Promise<void>;
}

/** Starts a program; its output goes to `<logs>/<name>.log`. */
export function startProgram(description: ProgramDescription, environment: Record<string, string> = {}): Program {
  const logFile = join(description.logs, `${description.name.replaceAll(' ', '-')}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [foedus, ...description.arguments], {
    // The channel carries nothing: when the demo is gone, however it ended, the program ends too.
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, ...environment },
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    name: description.name,
    pid: child.pid ?? 0,
    ready: () => untilReady(description, child, logFile),
    peakMemory: () => peakMemory(child.pid),
    async end() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function untilReady(description: ProgramDescription, child: ChildProcess, logFile: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const tail = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-8).join('\n');
      throw new Error(`${description.name} ended before it was ready:\n${tail}`);
    }
    const answer = await fetch(description.readyUrl).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function peakMemory(pid: number | undefined): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}
