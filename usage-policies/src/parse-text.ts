import { DEFAULT_LIMITS } from './json-limits.ts';
import type { Policy } from './model.ts';
import type { PolicyOptions } from './options.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';

/** JSON has structure beside the characters that PolicyLimits counts. */
const STRUCTURE = 4;

/**
 * Reads a policy from the text of a JSON file.
 *
 * @throws PolicyError with the line and column for what is not JSON, and as parsePolicy
 */
export function parsePolicyText(text: string, options: PolicyOptions = {}): Policy {
  const longest = STRUCTURE * (options.characters ?? DEFAULT_LIMITS.characters);
  if (text.length > longest) {
    throw new PolicyError('$', `the text is longer than ${longest} characters`, { code: 'too-large' });
  }
  return parsePolicy(parseJson(text), options);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    const [, offset] = /at position (\d+)/.exec(message) ?? [];
    const before = text.slice(0, offset === undefined ? text.length : Number(offset));
    const line = before.split('\n').length;
    const column = before.length - before.lastIndexOf('\n');
    const what = message
      .replace(/,? (?:\.{3})?".*is not valid JSON$/s, '')
      .replace(/ (?:in JSON )?at position.*$/s, '');
    throw new PolicyError(
      '$',
      `line ${line}, column ${column} is not JSON: ${what.charAt(0).toLowerCase()}${what.slice(1)}`,
      {
        cause,
      },
    );
  }
}
