/** A real S3 server, where `npm run setup:pyarrow` has installed it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

const program = join(import.meta.dirname, '..', '..', '.cache', 'pyarrow', 'bin', 'moto_server');
export const hasS3Server = existsSync(program);

if (!hasS3Server) {
  if (process.env['CI']) throw new Error('The S3 server is not there. Run npm run setup:pyarrow.');
  console.log('Skipped: there is no S3 server. npm run setup:pyarrow installs one.');
}

export interface S3Server extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
}

/** @param options further options of its command line */
export async function startS3Server(...options: string[]): Promise<S3Server> {
  const port = await freePort();
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port), ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  for await (const line of child.stderr) if (String(line).includes('Running on')) break;
  child.stderr.resume();
  return {
    port,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

/** It does not tell which port it got for 0: one that was free a moment ago. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
