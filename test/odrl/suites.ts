/** Where the suites lie, and what a suite's case comes to. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const SUITES = join(import.meta.dirname, '..', '..', '..', 'shared', 'odrl');

/** Beside the project, not inside it: absent where somebody has only the project. */
export const present = existsSync(SUITES);

/** One case of a suite, with a sentence for everything that is not as the suite says. */
export interface Outcome {
  readonly name: string;
  readonly faults: readonly string[];
}

export interface Suite {
  readonly title: string;
  /** How the engine was set up for it, in words. */
  readonly mode: string;
  readonly run: () => readonly Outcome[];
}
