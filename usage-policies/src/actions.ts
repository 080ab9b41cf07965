/**
 * ODRL's actions and how they include each other (ODRL 2.2 Information Model section 2.4, Vocabulary section 4.8).
 *
 * A rule on an action is a rule on every action that it includes: who may `use` may `read`, where `use` is forbidden
 * `read` is too. `implies` asks that another action is not forbidden.
 */
import { ACCESS, TRAIN, USE, normaliseTerm } from './terms.ts';

/** An action that a profile adds. */
export interface ActionDefinition {
  /** The action that encompasses it, short name or IRI. @default use */
  readonly includedIn?: string;
  /** Actions that must not be forbidden for this one to be possible. */
  readonly implies?: readonly string[];
}

/** Actions as decisions see them: canonical names, so that deprecated terms and their successors are one action. */
export interface Actions {
  /** The canonical name; undefined for an action that nobody has defined. */
  readonly resolve: (action: string) => string | undefined;
  /**
   * Whether a prohibition, duty or event on `outer` is one on `inner`. Both canonical.
   */
  readonly includes: (outer: string, inner: string) => boolean;
  /** As `includes`, for permissions: some of our actions have to be named, no wider permission grants them. */
  readonly grants: (outer: string, inner: string) => boolean;
  /** Everything that an action implies, transitively. Canonical names. */
  readonly impliedBy: (action: string) => readonly string[];
}

const TRANSFER = 'transfer';
const CC = 'http://creativecommons.org/ns#';

/** By the action that includes them. Deprecated actions without a successor are used for something: `use`. */
const ODRL_ACTIONS: Readonly<Record<string, string>> = {
  [USE]: [
    'acceptTracking aggregate annotate anonymize archive attribute compensate concurrentUse delete derive digitize',
    'display distribute ensureExclusivity execute grantUse include index inform install modify move nextPolicy',
    'obtainConsent play present print read reproduce reviewPolicy stream synchronize textToSpeech transform translate',
    'uninstall watermark',
    'adHocShare attachPolicy attachSource commercialize lease lend preview secondaryUse share shareAlike',
    ...'Reproduction Distribution DerivativeWorks CommericalUse Notice Attribution ShareAlike Sharing SourceCode'
      .split(' ')
      .map((name) => CC + name),
  ].join(' '),
  reproduce: 'extract',
  extract: 'extractChar extractPage extractWord',
  [TRANSFER]: 'give sell',
};

/** Deprecated terms and the ones that replace them (skos:exactMatch in the vocabulary). */
const SUCCESSORS: Readonly<Record<string, string>> = {
  append: 'modify',
  appendTo: 'modify',
  copy: 'reproduce',
  export: 'transform',
  license: 'grantUse',
  pay: 'compensate',
  write: 'modify',
  writeTo: 'modify',
};

/** The IDS information model's actions that ODRL has no term for. */
const IDSC = 'https://w3id.org/idsa/code/';
const IDS_ACTIONS = 'LOG INCREMENT_COUNTER REPLACE DROP ENCRYPT MPC SHIFT TRACK_PROVENANCE'.split(' ');

/** Only a permission that names them permits these. */
const NAMED: ReadonlySet<string> = new Set([TRAIN, ACCESS]);

/**
 * ODRL's actions and those of profiles.
 *
 * @param profiles actions by name; none of them may be one of ODRL's or ours
 * @throws Error for a definition that contradicts ODRL's, includes itself, or hangs on no known action
 */
export function createActions(profiles: Readonly<Record<string, ActionDefinition>> = {}): Actions {
  const parents = new Map<string, string | undefined>([
    [USE, undefined],
    [TRANSFER, undefined],
    [TRAIN, USE],
    [ACCESS, USE],
    ...IDS_ACTIONS.map((name): [string, string] => [IDSC + name, USE]),
    ...Object.entries(ODRL_ACTIONS).flatMap(([parent, names]) =>
      names.split(' ').map((name): [string, string] => [name, parent]),
    ),
  ]);
  const canonical = (name: string) => {
    const term = normaliseTerm(name);
    return Object.hasOwn(SUCCESSORS, term) ? (SUCCESSORS[term] ?? term) : term;
  };
  const implied = new Map<string, readonly string[]>();
  const added = Object.entries(profiles).map(([name, definition]) => ({ name: canonical(name), ...definition }));
  for (const { name, includedIn = USE, implies = [] } of added) {
    if (parents.has(name)) throw new Error(`the action ${name} is defined already: a profile cannot change it`);
    parents.set(name, canonical(includedIn));
    implied.set(name, implies.map(canonical));
  }

  const ancestors = new Map<string, ReadonlySet<string>>();
  for (const name of parents.keys()) {
    const above = new Set<string>();
    for (let at: string | undefined = name; at !== undefined; at = parents.get(at)) {
      if (above.has(at)) throw new Error(`the action ${name} includes itself`);
      if (!parents.has(at)) throw new Error(`the action ${name} is included in ${at}, which is not defined`);
      above.add(at);
    }
    ancestors.set(name, above);
  }
  const closure = new Map<string, readonly string[]>();
  for (const name of implied.keys()) {
    const found = new Set<string>();
    const pending = [name];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      for (const next of implied.get(at) ?? []) {
        if (!parents.has(next)) throw new Error(`the action ${at} implies ${next}, which is not defined`);
        if (!found.has(next)) pending.push(next);
        found.add(next);
      }
    }
    found.delete(name);
    closure.set(name, [...found]);
  }

  // Every spelling of a known action, so that a decision looks it up instead of parsing it.
  const spellings = new Map<string, string>();
  for (const name of [...parents.keys(), ...Object.keys(SUCCESSORS)]) {
    spellings.set(name, canonical(name));
    if (/^[A-Za-z]+$/.test(name)) {
      spellings.set(`odrl:${name}`, canonical(name));
      spellings.set(`http://www.w3.org/ns/odrl/2/${name}`, canonical(name));
    }
  }
  const includes = (outer: string, inner: string) => outer === inner || ancestors.get(inner)?.has(outer) === true;
  const none: readonly string[] = [];
  return {
    resolve: (action) => {
      const known = spellings.get(action);
      if (known !== undefined) return known;
      const name = canonical(action);
      return parents.has(name) ? name : undefined;
    },
    includes,
    grants: (outer, inner) => outer === inner || (!NAMED.has(inner) && includes(outer, inner)),
    impliedBy: (action) => closure.get(action) ?? none,
  };
}

/** ODRL's actions and ours, without any profile's. */
export const ODRL: Actions = createActions();
