import { DEFAULT_LIMITS } from './json-limits.ts';
import type { Policy } from './model.ts';
import type { PolicyOptions } from './options.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError } from './policy-error.ts';

/** JSON has structure beside the characters that PolicyLimits counts. */
const STRUCTURE = 4;

/**
 * Reads a policy from the text of a JSON file. A property that an object has twice is refused: of two prohibitions
 * JSON.parse would keep the last one only.
 *
 * @throws PolicyError with the line and column for what is not JSON, and as parsePolicy
 */
export function parsePolicyText(text: string, options: PolicyOptions = {}): Policy {
  const longest = STRUCTURE * (options.characters ?? DEFAULT_LIMITS.characters);
  if (text.length > longest) {
    throw new PolicyError('$', `the text is longer than ${longest} characters`, { code: 'too-large' });
  }
  const fault = faultIn(text);
  if (fault !== undefined) {
    const before = text.slice(0, fault.at);
    const line = before.split('\n').length;
    const column = before.length - before.lastIndexOf('\n');
    throw new PolicyError('$', `line ${line}, column ${column} is not JSON: ${fault.expected}`);
  }
  return parsePolicy(JSON.parse(text), options);
}

const SPACE = /[\t\n\r ]*/y;
/** RFC 8259: texts, numbers and the three words. Written so that no text is looked at twice. */
const SCALAR =
  /"[ !#-[\]-\u{10ffff}]*(?:\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})[ !#-[\]-\u{10ffff}]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/uy;

interface Open {
  readonly close: '}' | ']';
  /** Property names so far; an array has none. */
  readonly names: Set<string> | undefined;
  empty: boolean;
}

/** Where a text is no JSON, and what would have been: JSON.parse does not always say. One pass, no recursion. */
function faultIn(text: string): { readonly at: number; readonly expected: string } | undefined {
  const open: Open[] = [];
  let at = 0;
  const next = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const [found] = pattern.exec(text) ?? [];
    if (found !== undefined) at += found.length;
    return found;
  };
  const fault = (expected: string) => ({
    at,
    expected: `${at < text.length ? '' : 'the text ends, '}expected ${expected}`,
  });

  for (;;) {
    next(SPACE);
    const inside = open.at(-1);
    if (inside !== undefined && inside.empty && text[at] === inside.close) {
      open.pop();
      at += 1;
    } else {
      if (inside?.names !== undefined) {
        const start = at;
        const name = text[at] === '"' ? next(SCALAR) : undefined;
        if (name === undefined) return fault('the name of a property in double quotes');
        const key = JSON.parse(name) as string;
        if (inside.names.has(key)) return { at: start, expected: `the property ${name} is there twice` };
        inside.names.add(key);
        next(SPACE);
        if (text[at] !== ':') return fault('a colon');
        at += 1;
        next(SPACE);
      }
      if (inside !== undefined) inside.empty = false;
      const opening = text[at];
      if (opening === '{' || opening === '[') {
        open.push({ close: opening === '{' ? '}' : ']', names: opening === '{' ? new Set() : undefined, empty: true });
        at += 1;
        continue;
      }
      if (next(SCALAR) === undefined) return fault('a value');
    }
    // A value has ended; so may everything around it.
    for (;;) {
      next(SPACE);
      const around = open.at(-1);
      if (around === undefined) return at === text.length ? undefined : fault('the end of the text');
      if (text[at] === ',') {
        at += 1;
        break;
      }
      if (text[at] !== around.close) return fault(`a comma or ${around.close}`);
      open.pop();
      at += 1;
    }
  }
}
