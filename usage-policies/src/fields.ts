/** Reading JSON-LD objects as plain JSON: properties by their normalised name, references by their IRI. */
import { PolicyError, pathKey } from './policy-error.ts';
import { expectedMeanings, normaliseKey, normaliseTerm } from './terms.ts';
import { isObject } from './values.ts';
import { shown, shownValue } from './wording.ts';

export interface Field {
  readonly value: unknown;
  readonly path: string;
}

/** An object's properties. @throws PolicyError for what is no object, or says one property under two names */
export function fieldsOf(
  json: unknown,
  path: string,
  what: string,
  expand: (name: string) => string = (name) => name,
): Map<string, Field> {
  if (!isObject(json)) throw new PolicyError(path, `${what} is an object`);
  const fields = new Map<string, Field>();
  for (const [key, value] of Object.entries(json)) {
    const term = normaliseKey(expand(key));
    const at = path + pathKey(key);
    if (fields.has(term)) throw new PolicyError(at, `${shown(term)} is said twice, under two names`);
    fields.set(term, { value, path: at });
  }
  return fields;
}

/** The items of a property that may be one value or an array of them, each with its path. */
export function eachOf(field: Field | undefined): Field[] {
  if (field === undefined) return [];
  if (!Array.isArray(field.value)) return [field];
  return field.value.map((value: unknown, index) => ({ value, path: field.path + pathKey(index) }));
}

/**
 * A non-empty name or IRI: `"x"`, `{"@id": "x"}`, or one of them alone in an array, as JSON-LD's expanded form has it;
 * undefined for anything that says more than a name.
 */
export function nameOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.length === 1 && !Array.isArray(value[0]) ? nameOf(value[0]) : undefined;
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (!isObject(value)) return undefined;
  const keys = Object.keys(value);
  const [key] = keys;
  if (keys.length !== 1 || key === undefined || normaliseKey(key) !== '@id') return undefined;
  return typeof value[key] === 'string' && value[key] !== '' ? value[key] : undefined;
}

/** The normalised names in an `@type`, without those that say nothing (`ignored`). */
export function typesOf(field: Field | undefined, ignored: readonly string[]): string[] {
  return eachOf(field)
    .map(({ value, path }) => {
      const name = nameOf(value);
      if (name === undefined) throw new PolicyError(path, `${shownValue(value)} is not the name of a type`);
      return normaliseTerm(name);
    })
    .filter((name) => !ignored.includes(name));
}

/**
 * A policy's own `@context` may add names, but a name that this package reads must not get another meaning: we would
 * read one policy and a JSON-LD processor another.
 *
 * @throws PolicyError
 */
export function checkContext(field: Field | undefined): void {
  for (const { value, path } of eachOf(field)) {
    if (typeof value === 'string' || value === null) continue;
    if (!isObject(value)) throw new PolicyError(path, 'a context is an address or an object');
    for (const [term, definition] of Object.entries(value)) {
      const expected = expectedMeanings(term);
      if (expected === undefined) continue;
      const iri = isObject(definition) ? definition['@id'] : definition;
      if (typeof iri !== 'string' || !expected.includes(iri)) {
        throw new PolicyError(path + pathKey(term), `the context gives ${term} another meaning than ${expected[0]}`);
      }
    }
  }
}
