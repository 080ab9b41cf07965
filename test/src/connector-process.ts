import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, openSync, readFileSync, statSync, watch } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { issueParticipant } from '@foedus/certs';
import { readToken } from '@foedus/connector/config';

const FOEDUS = join(import.meta.dirname, '../../cli/bin/foedus.mjs');

/** A connector as `foedus connector start` runs it: a process of its own, which may be killed and started again. */
export interface ConnectorProcess extends AsyncDisposable {
  readonly participantId: string;
  /** Folder with `connector.json`, keys and `connector.log`. */
  readonly directory: string;
  readonly protocolUrl: string;
  readonly managementUrl: string;
  /** Of the process that runs now; undefined while none does. */
  pid(): number | undefined;
  /**
   * Starts it.
   *
   * @returns milliseconds from the start of the process until it said that it takes requests; NaN when it was killed before
   * @throws Error with the end of its log when it ends before
   */
  start(): Promise<number>;
  /** SIGKILL, as a power cut would. Also while it starts. */
  kill(): Promise<void>;
  /** SIGTERM, and waits until it has ended. */
  end(): Promise<void>;
  /** The operator's token, once it has been started. */
  token(): Promise<string>;
}

/**
 * Prepares a connector's folder: certificates, configuration with two free ports that stay the same over restarts.
 *
 * @param settings more of `connector.json`
 * @param nodeOptions arguments for node itself, before the program
 */
export async function prepareConnector(
  authority: Parameters<typeof issueParticipant>[0],
  name: string,
  parent: string,
  { settings = {}, nodeOptions = [] }: { settings?: object; nodeOptions?: readonly string[] } = {},
): Promise<ConnectorProcess> {
  const participantId = `did:web:${name}.example`;
  const directory = join(parent, name);
  await mkdir(directory, { recursive: true });
  await issueParticipant(authority, { participantId, directory });
  const [protocol, management] = [await freePort(), await freePort()];
  const config = {
    program: 'connector',
    participantId,
    dataDir: 'data',
    identity: {
      tlsKey: 'tls.key',
      tlsCertificate: 'tls.crt',
      signingKey: 'signing.key',
      signingCertificate: 'signing.crt',
      trustAnchors: 'ca.crt',
    },
    protocol: { host: '127.0.0.1', port: protocol, publicUrl: `https://localhost:${protocol}` },
    management: { host: '127.0.0.1', port: management, tokenFile: 'management.token' },
    ...settings,
  };
  const file = join(directory, 'connector.json');
  const log = join(directory, 'connector.log');
  await writeFile(file, JSON.stringify(config, null, 2));
  let running: { child: ChildProcess; ended: Promise<void> } | undefined;

  const start = async (): Promise<number> => {
    const output = openSync(log, 'a');
    const before = statSync(log).size;
    const started = performance.now();
    const child = spawn(process.execPath, [...nodeOptions, FOEDUS, 'connector', 'start', '--config', file], {
      stdio: ['ignore', 'ignore', output],
    });
    closeSync(output);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const now = { child, ended };
    running = now;
    void ended.then(() => running === now && (running = undefined));
    const written = (): string => readFileSync(log).subarray(before).toString('utf8');
    const watching = new AbortController();
    const ready = new Promise<number>((resolve) => {
      const look = (): void => {
        if (written().includes('"connector started"')) resolve(performance.now() - started);
      };
      watch(log, { signal: watching.signal }, look);
      look();
    });
    try {
      const first = await Promise.race([ready, ended]);
      if (first !== undefined) return first;
    } finally {
      watching.abort();
    }
    if (child.signalCode === 'SIGKILL') return Number.NaN;
    const tail = written().trimEnd().split('\n').slice(-8).join('\n');
    throw new Error(`the connector of ${name} ended before it was ready:\n${tail}`);
  };
  const stop = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (!running) return;
    const { child, ended } = running;
    child.kill(signal);
    await ended;
  };

  return {
    participantId,
    directory,
    protocolUrl: config.protocol.publicUrl,
    managementUrl: `http://127.0.0.1:${management}`,
    pid: () => running?.child.pid,
    start,
    kill: () => stop('SIGKILL'),
    end: () => stop('SIGTERM'),
    token: () => readToken(join(directory, 'management.token')),
    [Symbol.asyncDispose]: () => stop('SIGTERM'),
  };
}

/** A port outside of the range that the system gives to outgoing connections: it is still free at the next start. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
