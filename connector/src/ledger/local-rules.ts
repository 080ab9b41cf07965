import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { LocalDecision, LocalRules, PermittedUse } from '@foedus/usage-policies/local-rules';
import type { ConnectorConfig } from '../config/index.ts';
import { readToken } from '../config/index.ts';
import { FoedusError } from '../errors.ts';

/** Asks the operator's own rules about a use that an agreement permits. */
export type Restrict = (use: PermittedUse) => Promise<LocalDecision>;

/**
 * Reads the operator's own rules. They are loaded only where there are any: Cedar is four megabytes of WebAssembly.
 *
 * @returns undefined where there are none
 * @throws FoedusError `bad-config` for rules that cannot be read
 */
export async function loadLocalRules({ cedar, opa }: ConnectorConfig['localRules']): Promise<Restrict | undefined> {
  if (cedar === undefined && opa === undefined) return undefined;
  const { cedarRules, opaRules, restrict } = await import('@foedus/usage-policies/local-rules');
  const rules: LocalRules[] = [];
  if (cedar !== undefined) {
    const text = await readFile(cedar.file, 'utf8').catch((cause: unknown) => {
      throw badConfig('localRules.cedar.file', `${cedar.file} cannot be read`, cause);
    });
    rules.push(read('localRules.cedar.file', () => cedarRules({ name: `cedar:${basename(cedar.file)}`, text })));
  }
  if (opa !== undefined) {
    const { url, path, tokenFile, timeoutSeconds } = opa;
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
    const options = { url, path, timeoutMs: timeoutSeconds * 1000, ...(token !== undefined && { token }) };
    rules.push(read('localRules.opa', () => opaRules(options)));
  }
  return (use) => restrict(use, rules);
}

function read(setting: string, make: () => LocalRules): LocalRules {
  try {
    return make();
  } catch (cause) {
    throw badConfig(setting, (cause as Error).message, cause);
  }
}

function badConfig(setting: string, why: string, cause: unknown): FoedusError {
  return new FoedusError('bad-config', `${setting}: ${why}`, { cause, details: { problems: [`${setting}: ${why}`] } });
}
