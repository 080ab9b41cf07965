import { loadConfig } from '@foedus/connector/config';
import { FoedusError } from '@foedus/connector/errors';
import { readFile } from 'node:fs/promises';
import { programNames, programs, type ProgramName } from '../programs.ts';
import { print } from '../terminal.ts';

/**
 * Finds out which program a configuration is for, by its setting `program`.
 *
 * @throws FoedusError `bad-config`
 */
export async function programOf(file: string): Promise<ProgramName> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new FoedusError('bad-config', `The configuration ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const name = (content as { program?: unknown } | null)?.program;
  const known = programNames.find((one) => one === name);
  if (known === undefined) {
    throw new FoedusError(
      'bad-config',
      `The configuration ${file} does not say which program it is for.\n  program: must be one of ${programNames.join(', ')}. Example: "connector"`,
    );
  }
  return known;
}

/** Prints every problem of a configuration, or that there is none. */
export async function checkConfig(file: string, env = process.env): Promise<void> {
  const name = await programOf(file);
  const config = await loadConfig((await programs[name]()).schema, file, env);
  print(`${file}: a right configuration of a ${name} for ${config.participantId}`);
}
