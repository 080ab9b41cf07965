import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Remembers what the story has done, so that a second start goes on where the first ended. */
export interface Journal {
  /** Runs `work` once in the life of a data space; afterwards gives its result (JSON) again without running it. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Whether a step has been done, in this start or an earlier one. */
  has(name: string): boolean;
}

export async function openJournal(folder: string): Promise<Journal> {
  const file = join(folder, 'authority', 'story.json');
  const done = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, unknown>;
  return {
    has: (name) => Object.hasOwn(done, name),
    async step<T>(name: string, work: () => Promise<T>): Promise<T> {
      if (!Object.hasOwn(done, name)) {
        done[name] = (await work()) ?? null;
        await writeFile(`${file}.new`, JSON.stringify(done, null, 2));
        await rename(`${file}.new`, file);
      }
      return done[name] as T;
    },
  };
}
