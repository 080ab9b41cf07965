/** What reading one policy document needs to know: its context's prefixes, its limits, what it refers to. */
import { checkContext, eachOf, fieldsOf, nameOf, type Field } from './fields.ts';
import type { PolicyLimits } from './json-limits.ts';
import { PolicyError } from './policy-error.ts';
import { normaliseKey, normaliseTerm } from './terms.ts';
import { isObject } from './values.ts';
import type { Vocabulary } from './vocabulary.ts';

export interface Reader {
  readonly limits: PolicyLimits;
  readonly vocabulary: Vocabulary;
  readonly anyAction: boolean;
  /** An object's properties by their normalised names. @throws PolicyError */
  readonly fields: (json: unknown, path: string, what: string) => Map<string, Field>;
  /** A name or IRI, with the context's prefix written out; undefined for what says more than a name. */
  readonly iri: (value: unknown) => string | undefined;
  /** As `iri`, normalised as a term. */
  readonly term: (value: unknown) => string | undefined;
  /** A right operand with all prefixes of IRIs and datatypes written out. */
  readonly value: (raw: unknown) => unknown;
  /** What a mere reference refers to in this document; anything else, and what is not there, unchanged. */
  readonly dereference: (field: Field) => Field;
  /** Counts the parts of a policy. @throws PolicyError `too-large` */
  readonly part: (path: string) => void;
}

/** Counts over a policy and all that it inherits from. */
export interface Counts {
  parts: number;
  rules: number;
  parents: number;
}

/** @throws PolicyError for a context that gives a name which is read here another meaning */
export function createReader(
  json: unknown,
  limits: PolicyLimits,
  vocabulary: Vocabulary,
  counts: Counts,
  anyAction: boolean,
): Reader {
  const prefixes = prefixesIn(json);
  const expand = (name: string): string => {
    const colon = name.indexOf(':');
    if (colon <= 0 || prefixes.size === 0 || name.startsWith('//', colon + 1)) return name;
    const namespace = prefixes.get(name.slice(0, colon));
    return namespace === undefined ? name : namespace + name.slice(colon + 1);
  };
  const iri = (value: unknown): string | undefined => {
    const name = nameOf(value);
    return name === undefined ? undefined : expand(name);
  };
  const byId = new Map<string, unknown>();
  collect(json, byId, expand);

  return {
    limits,
    vocabulary,
    anyAction,
    fields(value, path, what) {
      const fields = fieldsOf(value, path, what, expand);
      const type = fields.get('@type');
      if (type !== undefined) fields.set('@type', { ...type, value: expandNames(type.value, expand) });
      return fields;
    },
    iri,
    term: (value) => {
      const name = iri(value);
      return name === undefined ? undefined : normaliseTerm(name);
    },
    value: (raw) => expandValue(raw, expand),
    dereference(field) {
      const name = iri(field.value);
      const value = name === undefined ? undefined : byId.get(name);
      return value === undefined ? field : { value, path: field.path };
    },
    part(path) {
      counts.parts += 1;
      if (counts.parts > limits.parts) {
        throw new PolicyError(path, `a policy has at most ${limits.parts} conditions and duties in all`, {
          code: 'too-large',
        });
      }
    },
  };
}

/** Prefixes that the document itself declares, without those that have their meaning here anyway. */
function prefixesIn(json: unknown): ReadonlyMap<string, string> {
  const prefixes = new Map<string, string>();
  if (!isObject(json)) return prefixes;
  const context = Object.keys(json).find((key) => normaliseKey(key) === '@context');
  const field = context === undefined ? undefined : { value: json[context], path: '$.@context' };
  checkContext(field);
  for (const { value } of eachOf(field)) {
    if (!isObject(value)) continue;
    for (const [prefix, definition] of Object.entries(value)) {
      const namespace = isObject(definition) ? definition['@id'] : definition;
      // Only names that JSON-LD takes for prefixes: of an IRI that ends in a delimiter.
      if (typeof namespace === 'string' && /^[A-Za-z][\w.-]*$/.test(prefix) && /[#/:?]$/.test(namespace)) {
        prefixes.set(prefix, namespace);
      }
    }
  }
  return prefixes;
}

/** Every object that has an id and says something of it. What is said twice, and differently, cannot be referred to. */
function collect(json: unknown, found: Map<string, unknown>, expand: (name: string) => string): void {
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isObject(value)) return;
    const keys = Object.keys(value);
    const id = keys.find((key) => normaliseKey(key) === '@id');
    const name = id === undefined ? undefined : value[id];
    if (typeof name === 'string' && keys.length > 1) {
      const iri = expand(name);
      found.set(iri, found.has(iri) ? undefined : value);
    }
    for (const key of keys) if (key !== '@context') visit(value[key]);
  };
  visit(json);
}

function expandNames(raw: unknown, expand: (name: string) => string): unknown {
  if (Array.isArray(raw)) return raw.map((item) => expandNames(item, expand));
  return typeof raw === 'string' ? expand(raw) : raw;
}

function expandValue(raw: unknown, expand: (name: string) => string): unknown {
  if (Array.isArray(raw)) return raw.map((item) => expandValue(item, expand));
  if (!isObject(raw)) return raw;
  const keys = Object.keys(raw);
  const known = keys.every((key) => ['@id', '@value', '@type', '@list', '@set'].includes(key));
  if (!known || raw['@type'] === '@json') return raw;
  return Object.fromEntries(
    keys.map((key) => {
      const value = raw[key];
      if ((key === '@id' || key === '@type') && typeof value === 'string') return [key, expand(value)];
      return [key, key === '@list' || key === '@set' ? expandValue(value, expand) : value];
    }),
  );
}
