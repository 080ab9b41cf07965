import { idsKey, idsTerm } from './ids-terms.ts';
import { FOEDUS } from './model.ts';
import { shown } from './wording.ts';

const ODRL = 'http://www.w3.org/ns/odrl/2/';
const XSD = 'http://www.w3.org/2001/XMLSchema#';
const DSPACE = 'https://w3id.org/dspace/2025/1/';

/** Our action: train a model on the data set and release updates of it. */
export const TRAIN = `${FOEDUS}train`;
export const USE = 'use';
/** Our action: see an offer in a catalog, and so be able to ask for it. Nothing is charged for it. */
export const ACCESS = `${FOEDUS}access`;

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
  'http://www.w3.org/2000/01/rdf-schema#',
];

export function isAnnotation(term: string): boolean {
  return ANNOTATIONS.some((prefix) => term.startsWith(prefix));
}

const DOCUMENTATION = /[:/#](title|description|label|comment|creator|issued|modified|created|seeAlso)$/;

/** A title, description or author: says nothing wherever it stands. */
export function isDocumentation(term: string): boolean {
  return isAnnotation(term) && DOCUMENTATION.test(term);
}

/**
 * Normalises an action, operand, operator or type: ODRL's terms to their short name (`use`), ours to their full IRI,
 * IDS terms to ODRL's or their full IRI, everything else unchanged. Idempotent. A bare name is ODRL's, never ours.
 */
export function normaliseTerm(term: string): string {
  return idsTerm(term) ?? odrlTerm(term);
}

function odrlTerm(term: string): string {
  const [, prefix, name] = PREFIXED.exec(term) ?? [];
  if (prefix === undefined || name === undefined) return term;
  return prefix === 'foedus:' ? FOEDUS + name : name;
}

/** As normaliseTerm, for operators: the Dataspace Protocol's schemas spell `lteq` as `term-lteq` too. */
export function normaliseOperator(operator: string): string {
  const term = normaliseTerm(operator);
  return term === 'term-lteq' ? 'lteq' : term;
}

// A name only: what looks like `odrl:odrl:use` is no term of anybody.
const PREFIXED = /^(odrl:|foedus:|http:\/\/www\.w3\.org\/ns\/odrl\/2\/)([A-Za-z-]+)$/;

/** As normaliseTerm, for property names: JSON-LD keywords under ODRL's and everyday aliases too. */
export function normaliseKey(key: string): string {
  if (key === 'dspace:timestamp' || key === `${DSPACE}timestamp`) return 'timestamp';
  const term = idsKey(key) ?? odrlTerm(key);
  if (term === 'uid' || term === 'id') return '@id';
  return term === 'type' ? '@type' : term;
}

/** XML Schema's datatypes by their short name (`dateTime`), all others unchanged. */
export function normaliseDatatype(datatype: string): string {
  const name = datatype.startsWith('xsd:') ? datatype.slice('xsd:'.length) : datatype;
  const short = name.startsWith(XSD) ? name.slice(XSD.length) : name;
  // As published IDS policies spell it.
  return short === 'datetimeStamp' ? 'dateTimeStamp' : short;
}

/** How a term is written in sentences: ours with the prefix, all others as they are. */
export function displayTerm(term: string): string {
  return term.startsWith(FOEDUS) ? `foedus:${term.slice(FOEDUS.length)}` : term;
}

/** An action as a sentence has it after `permits`: `use`, `training`, `access`, or its name. */
export function nounOf(action: string): string {
  if (action === TRAIN) return 'training';
  if (action === ACCESS) return 'access';
  return action === '*' ? 'every action' : shown(displayTerm(action));
}

const EXPECTED_PREFIXES: Readonly<Record<string, readonly string[]>> = {
  odrl: [ODRL],
  foedus: [FOEDUS],
  xsd: [XSD],
  dspace: [DSPACE],
  ids: ['https://w3id.org/idsa/core/'],
  idsc: ['https://w3id.org/idsa/code/'],
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
    'permission prohibition obligation duty consequence remedy action constraint refinement assigner assignee target',
    'profile conflict inheritFrom source',
    'leftOperand operator rightOperand rightOperandReference dataType unit status and or xone andSequence',
    'use transfer purpose dateTime count elapsedTime event payAmount spatial perm prohibit invalid policyUsage',
    'Set Offer Agreement Policy Permission Prohibition Duty AssetCollection PartyCollection',
    'eq neq lt lteq gt gteq isA hasPart isPartOf isAllOf isAnyOf isNoneOf',
  ]
    .join(' ')
    .split(' '),
);
