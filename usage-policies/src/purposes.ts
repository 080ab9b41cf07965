/** The purposes of the W3C Data Privacy Vocabulary and which is a kind of which (../data, version and source inside). */
import vocabulary from '../data/dpv-purposes.json' with { type: 'json' };

const NAMESPACE = vocabulary.namespace;
/** The vocabulary's earlier home, and the prefix that policies use without saying what it stands for. */
const OTHER_SPELLINGS = ['dpv:', 'http://www.w3.org/ns/dpv#'];

/** Every purpose with all purposes that it is a kind of, itself included. IRIs. */
const KINDS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.keys(vocabulary.broader).map((name) => [NAMESPACE + name, new Set(broaderOf(name))]),
);

function broaderOf(name: string): string[] {
  const found = new Set<string>([name]);
  // A set is iterated over what is added to it meanwhile, so this ends where nothing new is found.
  for (const at of found) {
    for (const parent of (vocabulary.broader as Record<string, readonly string[]>)[at] ?? []) found.add(parent);
  }
  return [...found].map((each) => NAMESPACE + each);
}

/** A purpose by its IRI in the current namespace; other texts unchanged. */
export function purposeIri(purpose: string): string {
  const spelling = OTHER_SPELLINGS.find((prefix) => purpose.startsWith(prefix));
  return spelling === undefined ? purpose : NAMESPACE + purpose.slice(spelling.length);
}

/**
 * Whether one purpose is another or a kind of it, by the vocabulary.
 *
 * @returns undefined where the vocabulary does not know one of them: what is a kind of what is then not known here
 */
export function isKindOf(purpose: string, wider: string): boolean | undefined {
  const narrow = purposeIri(purpose);
  const broad = purposeIri(wider);
  if (narrow === broad) return true;
  return KINDS.has(broad) ? KINDS.get(narrow)?.has(broad) : undefined;
}

/** All purposes that are the given one or a kind of it, by the vocabulary; the purpose alone where that does not know it. */
export function kindsOf(wider: string): readonly string[] {
  const broad = purposeIri(wider);
  if (!KINDS.has(broad)) return [broad];
  return [...KINDS].filter(([, kinds]) => kinds.has(broad)).map(([purpose]) => purpose);
}
