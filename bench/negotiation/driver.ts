import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import type { ConnectorPair, Side } from '../../test/src/connector-pair.ts';

export interface Run {
  /** Milliseconds from the request to the operator's API until FINALIZED was seen there, for each negotiation. */
  readonly latencies: readonly number[];
  /** Wall-clock time of the whole run, in milliseconds. */
  readonly elapsedMs: number;
  /** CPU time of the processes during the run, in milliseconds. */
  readonly cpuMs: { readonly provider: number; readonly consumer: number; readonly driver: number };
}

/**
 * Keeps a number of negotiations in flight for a while.
 *
 * It speaks plain HTTP without reading what it does not need: it shares the machine with what it measures.
 */
export function createDriver({ provider, consumer, wish }: ConnectorPair) {
  const pool = new Pool(consumer.process.managementUrl, { connections: 256, pipelining: 1 });
  const headers = { authorization: `Bearer ${consumer.token}`, 'content-type': 'application/json' };
  const call = async (method: 'GET' | 'POST', path: string, body?: string): Promise<{ id: string; state: string }> => {
    const answer = await pool.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`);
    return JSON.parse(text) as { id: string; state: string };
  };
  const body = JSON.stringify(wish);
  const negotiate = async (): Promise<number> => {
    const started = performance.now();
    const { id } = await call('POST', '/negotiations', body);
    const { state } = await call('GET', `/negotiations/${encodeURIComponent(id)}?until=FINALIZED&wait=30`);
    if (state !== 'FINALIZED') throw new Error(`the negotiation ${id} is ${state}`);
    return performance.now() - started;
  };

  return async ({ inFlight, seconds }: { inFlight: number; seconds: number }): Promise<Run> => {
    const latencies: number[] = [];
    const cpu = () => ({ provider: cpuMsOf(provider), consumer: cpuMsOf(consumer), driver: ownCpuMs() });
    const before = cpu();
    const started = performance.now();
    const until = started + seconds * 1000;
    await Promise.all(
      Array.from({ length: inFlight }, async () => {
        while (performance.now() < until) latencies.push(await negotiate());
      }),
    );
    const elapsedMs = performance.now() - started;
    const after = cpu();
    return {
      latencies,
      elapsedMs,
      cpuMs: {
        provider: after.provider - before.provider,
        consumer: after.consumer - before.consumer,
        driver: after.driver - before.driver,
      },
    };
  };
}

/** User and system time of a process from /proc (Linux; the kernel counts 100 ticks a second); NaN elsewhere. */
function cpuMsOf({ process: connector }: Side): number {
  try {
    const fields = readFileSync(`/proc/${connector.pid()}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.NaN;
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
