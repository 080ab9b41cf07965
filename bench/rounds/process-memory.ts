/** What a process takes, as the operating system counts it (Linux). */
import { readFileSync, writeFileSync } from 'node:fs';

/** Bytes: what is resident now, and the most that ever was since the mark was last set. */
export interface ProcessMemory {
  readonly residentBytes: number;
  readonly peakBytes: number;
}

/** Of this process. */
export function processMemory(): ProcessMemory {
  const status = readFileSync('/proc/self/status', 'utf8');
  const of = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1_024;
  return { residentBytes: of('VmRSS'), peakBytes: of('VmHWM') };
}

/** The highest mark of this process begins anew. */
export function resetPeak(): void {
  writeFileSync('/proc/self/clear_refs', '5');
}

/** CPU time of this process in ms, all of its threads: others may be at work on this machine, too. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** GB/s that are read and written when one large array is copied into another: the best of several times. */
export function memoryBandwidth(): number {
  const [from, to] = [new Uint8Array(2 ** 27).fill(1), new Uint8Array(2 ** 27).fill(2)];
  const rates = Array.from({ length: 12 }, () => {
    const start = cpuMs();
    to.set(from);
    return (2 * from.length) / (cpuMs() - start) / 1e6;
  });
  from.buffer.transfer(0);
  to.buffer.transfer(0);
  return Math.max(...rates);
}
