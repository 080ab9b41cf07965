import { PolicyError, pathKey } from './policy-error.ts';

/** How large a policy may be. Checked before anything else is read, in time proportional to the limits. */
export interface PolicyLimits {
  /** Nesting of objects and arrays. @default 24 */
  readonly depth: number;
  /** Objects, arrays and plain values together. @default 20000 */
  readonly values: number;
  /** Characters of all strings and property names together. @default 262144 */
  readonly characters: number;
  /** Permissions, prohibitions and obligations together, one for each action, asset and party. @default 100 */
  readonly rules: number;
  /** @default 100 */
  readonly constraintsPerRule: number;
  /** Conditions, duties, consequences and remedies of all rules together, however deep they lie. @default 5000 */
  readonly parts: number;
  /** Policies that it inherits from, directly or not. @default 15 */
  readonly parents: number;
}

export const DEFAULT_LIMITS: PolicyLimits = {
  depth: 24,
  values: 20_000,
  characters: 262_144,
  rules: 100,
  constraintsPerRule: 100,
  parts: 5_000,
  parents: 15,
};

/**
 * Refuses what is not JSON (functions, cycles, NaN, lone surrogates) or exceeds the limits.
 *
 * @throws PolicyError `too-large` or `bad-policy`, with the path of the first value that is one too many
 */
export function checkJson(json: unknown, limits: PolicyLimits): void {
  let values = 0;
  let characters = 0;

  const count = (text: string, path: string) => {
    characters += text.length;
    if (characters > limits.characters) {
      throw new PolicyError(path, `the policy has more than ${limits.characters} characters of text`, {
        code: 'too-large',
      });
    }
    if (!text.isWellFormed()) throw new PolicyError(path, 'the text is not well-formed Unicode');
  };

  const visit = (value: unknown, path: string, depth: number): void => {
    values += 1;
    if (values > limits.values) {
      throw new PolicyError(path, `the policy has more than ${limits.values} values`, { code: 'too-large' });
    }
    if (typeof value === 'string') return count(value, path);
    if (typeof value === 'boolean' || value === null) return;
    if (typeof value === 'number') {
      if (Number.isFinite(value)) return;
      throw new PolicyError(path, 'the number is too large');
    }
    if (typeof value !== 'object') throw new PolicyError(path, `a ${typeof value} is not JSON`);
    if (depth >= limits.depth) {
      throw new PolicyError(path, `the policy is nested deeper than ${limits.depth} levels`, { code: 'too-large' });
    }
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) visit(value[index], path + pathKey(index), depth + 1);
      return;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw new PolicyError(path, 'the value is not a plain JSON object');
    }
    // for…in stops early in an object of a million keys, Object.keys would copy them first.
    for (const key in value) {
      if (!Object.hasOwn(value, key)) continue;
      const at = path + pathKey(key);
      // No term is called so, and copying such a property elsewhere would silently change an object's prototype.
      if (key === '__proto__') throw new PolicyError(at, 'no property of a policy is called __proto__');
      count(key, at);
      visit((value as Record<string, unknown>)[key], at, depth + 1);
    }
  };
  visit(json, '$', 0);
}
