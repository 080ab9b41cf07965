/**
 * Names of the Dataspace Protocol 2025-1, and the liberal reading of them.
 *
 * The protocol allows plain JSON processing of its messages; peers that work on JSON-LD graphs still send prefixed or
 * expanded terms, `{"@id": …}` where a string would do, and a single value where the context says set. `compactTerms`
 * brings these spellings to the one that the published schemas describe. It is no JSON-LD processor: no context but
 * the protocol's own is ever applied, so nobody can redefine a term.
 */

/** The JSON-LD context of every message (DSP 2025-1, section 1.1 of our notes: always inside an array). */
export const CONTEXT = 'https://w3id.org/dspace/2025/1/context.jsonld';
/** Our extra property in agreement and verification messages: the sender's signature of the agreement. */
export const SIGNATURE = 'https://w3id.org/foedus/ns#signature';
export const VERSION = '2025-1';
/** Path below which this node serves the protocol. */
export const VERSION_PATH = '/2025-1';

const PREFIXES = [
  'https://w3id.org/dspace/2025/1/',
  'http://www.w3.org/ns/odrl/2/',
  'http://www.w3.org/ns/dcat#',
  'http://purl.org/dc/terms/',
  'dspace:',
  'odrl:',
  'dcat:',
  'dct:',
];

/** Terms whose values name terms themselves. */
const VOCABULARY = new Set(['@type', 'action', 'operator', 'leftOperand', 'state', 'eventType']);

/** Terms with one string as value, which may come as `{"@id": …}`, `{"@value": …}` or an array of one. */
const SCALARS = new Set([
  ...VOCABULARY,
  '@id',
  'target',
  'assigner',
  'assignee',
  'timestamp',
  'consumerPid',
  'providerPid',
  'agreementId',
  'format',
  'callbackAddress',
  'endpointType',
  'endpoint',
  'endpointURL',
  'name',
  'value',
  'code',
  'participantId',
]);

/** Terms with one object as value, which may come as an array of one. */
const NODES = new Set(['offer', 'agreement', 'dataAddress']);

/** Terms that the context calls a set. */
const SETS = new Set(
  'permission prohibition obligation duty constraint and or xone andSequence reason filter hasPolicy distribution service catalog endpointProperties'.split(
    ' ',
  ),
);

/** @returns `term` without the prefix or namespace of the vocabularies that the protocol uses */
export function compactTerm(term: string): string {
  for (const prefix of PREFIXES) {
    if (term.startsWith(prefix) && term.length > prefix.length) return term.slice(prefix.length);
  }
  return term;
}

/**
 * @param value JSON of bounded depth, as `readJson` gives it
 * @returns the same with every term in its short form. Right operands are left as they are: they are data, not terms.
 */
export function compactTerms(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(compactTerms);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '__proto__')
      .map(([key, inner]) => {
        const term = compactTerm(key);
        return [term, compactValue(term, inner)];
      }),
  );
}

function compactValue(term: string, value: unknown): unknown {
  if (term === 'rightOperand' || term === '@context') return value;
  if (SCALARS.has(term)) {
    const scalar = unwrap(value);
    return VOCABULARY.has(term) && typeof scalar === 'string' ? compactTerm(scalar) : scalar;
  }
  if (NODES.has(term)) return compactTerms(single(value));
  if (SETS.has(term)) return itemsOf(value).map(compactTerms);
  return compactTerms(value);
}

/** One item, several, or JSON-LD's wrapping of them (`@list` for ODRL's logical constraints), alone in an array or not. */
function itemsOf(value: unknown): readonly unknown[] {
  const inner = single(value);
  if (isObject(inner) && Object.keys(inner).length === 1) {
    const items = inner['@list'] ?? inner['@set'];
    if (Array.isArray(items)) return items as unknown[];
  }
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

function single(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

function unwrap(value: unknown): unknown {
  if (Array.isArray(value) && value.length === 1) return unwrap(value[0]);
  if (!isObject(value)) return value;
  if ('@value' in value) return value['@value'];
  return '@id' in value && Object.keys(value).length === 1 ? value['@id'] : value;
}

/** The value of `term` in `node` however the key is spelled, otherwise untouched: what a signature covers. */
export function rawValue(node: unknown, term: string): unknown {
  if (!isObject(node)) return undefined;
  return single(Object.entries(node).find(([key]) => compactTerm(key) === term)?.[1]);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
