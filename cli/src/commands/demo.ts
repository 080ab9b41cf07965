import { resolve } from 'node:path';
import { runDemo } from '@foedus/demo';

export interface DemoCommand {
  readonly dir: string;
  readonly once?: true;
  readonly clean?: true;
  readonly resume?: true;
  readonly containers?: true;
  readonly setupOnly?: true;
  readonly storyOnly?: true;
}

/** Runs the demo until it ends by itself or Ctrl-C ends it; a second Ctrl-C ends it at once. */
export async function demo({ dir, resume, ...options }: DemoCommand): Promise<void> {
  if (resume === true && options.clean === true) throw new Error('Either --resume or --clean, not both.');
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (ending.signal.aborted) process.exit(1);
      ending.abort();
    });
  }
  await runDemo({ directory: resolve(dir), ...options, signal: ending.signal });
}
