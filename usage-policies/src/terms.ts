import { FOEDUS } from './model.ts';

const ODRL = 'http://www.w3.org/ns/odrl/2/';
const XSD = 'http://www.w3.org/2001/XMLSchema#';
const DSPACE = 'https://w3id.org/dspace/2025/1/';

/** Our action: train a model on the data set and release updates of it. */
export const TRAIN = `${FOEDUS}train`;
export const USE = 'use';
/** Our action: see an offer in a catalog, and so be able to ask for it. Nothing is charged for it. */
export const ACCESS = `${FOEDUS}access`;
/** Actions that this package decides on. */
export const KNOWN_ACTIONS: readonly string[] = [USE, TRAIN, ACCESS];

/** The IRI that a policy names as its `profile` when it uses our terms. */
export const PROFILE = FOEDUS.slice(0, -1);

/** Profiles that say nothing beyond what this package reads. */
export const KNOWN_PROFILES: ReadonlySet<string> = new Set([
  PROFILE,
  FOEDUS,
  ODRL,
  `${ODRL}core`,
  `${DSPACE}odrl-profile`,
  `${DSPACE}odrl-profile.jsonld`,
]);

/** Vocabularies for titles, descriptions and authors: beside a policy's rules they change no rule. */
const ANNOTATIONS = [
  'dc:',
  'dct:',
  'dcterms:',
  'rdfs:',
  'http://purl.org/dc/terms/',
  'http://purl.org/dc/elements/1.1/',
];

export function isAnnotation(term: string): boolean {
  return ANNOTATIONS.some((prefix) => term.startsWith(prefix));
}

/**
 * Normalises an action, operand, operator or property: ODRL's terms to their short name (`use`), ours to their full
 * IRI, everything else unchanged. Idempotent. A bare name is ODRL's, never ours.
 */
export function normaliseTerm(term: string): string {
  const [, prefix, name] = PREFIXED.exec(term) ?? [];
  if (prefix === undefined || name === undefined) return term;
  return prefix === 'foedus:' ? FOEDUS + name : name;
}

// A name only: what looks like `odrl:odrl:use` is no term of anybody.
const PREFIXED = /^(odrl:|foedus:|http:\/\/www\.w3\.org\/ns\/odrl\/2\/)([A-Za-z-]+)$/;

/** As normaliseTerm, for property names: JSON-LD keywords under ODRL's and everyday aliases too. */
export function normaliseKey(key: string): string {
  if (key === 'dspace:timestamp' || key === `${DSPACE}timestamp`) return 'timestamp';
  const term = normaliseTerm(key);
  if (term === 'uid' || term === 'id') return '@id';
  return term === 'type' ? '@type' : term;
}

/** XML Schema's datatypes by their short name (`dateTime`), all others unchanged. */
export function normaliseDatatype(datatype: string): string {
  if (datatype.startsWith('xsd:')) return datatype.slice('xsd:'.length);
  if (datatype.startsWith(XSD)) return datatype.slice(XSD.length);
  return datatype;
}

/** How a term is written in sentences: ours with the prefix, all others as they are. */
export function displayTerm(term: string): string {
  return term.startsWith(FOEDUS) ? `foedus:${term.slice(FOEDUS.length)}` : term;
}

const EXPECTED_PREFIXES: Readonly<Record<string, readonly string[]>> = {
  odrl: [ODRL],
  foedus: [FOEDUS],
  xsd: [XSD],
  dspace: [DSPACE],
};

/** The IRI that a `@context` may give a term; undefined where this package attaches no meaning to the term. */
export function expectedMeanings(term: string): readonly string[] | undefined {
  const prefix = Object.hasOwn(EXPECTED_PREFIXES, term) ? EXPECTED_PREFIXES[term] : undefined;
  if (prefix !== undefined) return prefix;
  return INTERPRETED_TERMS.has(term) ? [`odrl:${term}`, `${ODRL}${term}`] : undefined;
}

/** Bare names that get their ODRL meaning here whatever the `@context` says. */
const INTERPRETED_TERMS: ReadonlySet<string> = new Set(
  [
    'permission prohibition obligation duty action constraint refinement assigner assignee target profile conflict',
    'leftOperand operator rightOperand dataType use purpose dateTime count',
    'Set Offer Agreement Policy Permission Prohibition',
    'eq neq lt lteq gt gteq isA isAnyOf isNoneOf isPartOf',
  ]
    .join(' ')
    .split(' '),
);
