import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { StatementSync } from 'node:sqlite';

/**
 * Loaded into the connector's process before it starts (`--import`): counts every statement that SQLite is given, and
 * writes the count to the file named in `COUNT_QUERIES_FILE` on SIGUSR2.
 */
let count = 0;
for (const method of ['all', 'get', 'run', 'iterate'] as const) {
  const original = StatementSync.prototype[method] as (...parameters: unknown[]) => unknown;
  Object.defineProperty(StatementSync.prototype, method, {
    value(this: StatementSync, ...parameters: unknown[]) {
      count += 1;
      return original.apply(this, parameters);
    },
  });
}

const file = process.env['COUNT_QUERIES_FILE'];
if (file !== undefined) {
  process.on('SIGUSR2', () => {
    writeFileSync(`${file}.new`, String(count));
    renameSync(`${file}.new`, file);
  });
}

/** Asks a process that was started with this module for its count. */
export async function queriesOf(pid: number, path: string): Promise<number> {
  writeFileSync(path, '');
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    const text = readFileSync(path, 'utf8');
    if (text !== '') return Number(text);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
