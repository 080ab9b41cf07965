import { policyDigest } from './digest.ts';
import { eachOf, typesOf, type Field } from './fields.ts';
import { isIdsContract } from './ids-terms.ts';
import { DEFAULT_LIMITS, checkJson, type PolicyLimits } from './json-limits.ts';
import type { ConflictStrategy, Policy, PolicyType, Rule, RuleKind, Unread } from './model.ts';
import type { PolicyOptions } from './options.ts';
import { saysNothing } from './parse-condition.ts';
import { readRule, readSelector, type Selector, type Shared } from './parse-rule.ts';
import { PolicyError } from './policy-error.ts';
import { createReader, type Counts, type Reader } from './reader.ts';
import { KNOWN_PROFILES, displayTerm, isAnnotation } from './terms.ts';
import { createVocabulary, type Vocabulary } from './vocabulary.ts';
import { shown, shownValue } from './wording.ts';

/** Terms that are read, or that no decision depends on. */
const READ = new Set([
  '@id',
  '@type',
  '@context',
  'profile',
  'permission',
  'prohibition',
  'obligation',
  'action',
  'timestamp',
]);
const POLICY_TYPES: readonly string[] = ['Set', 'Offer', 'Agreement'] satisfies PolicyType[];
const STRATEGIES: readonly string[] = ['perm', 'prohibit', 'invalid'] satisfies ConflictStrategy[];
const SHARED = ['assigner', 'assignee', 'target'] as const;
const KINDS = ['permission', 'prohibition', 'obligation'] as const satisfies RuleKind[];

/** What all documents that make up one policy are read with. */
interface Reading {
  readonly limits: PolicyLimits;
  readonly options: PolicyOptions;
  readonly vocabulary: Vocabulary;
  readonly counts: Counts;
}

/** One document, its rules not read yet: those take what the policy and its parents say for all rules. */
interface Document {
  readonly id: string;
  readonly type: PolicyType;
  readonly digest: string;
  readonly fields: ReadonlyMap<string, Field>;
  readonly reader: Reader;
  readonly profiles: readonly string[];
  readonly conflicts: readonly ConflictStrategy[];
  readonly shared: Omit<Shared, 'plain'>;
  readonly annotations: readonly Unread[];
  readonly unread: readonly Unread[];
  readonly problems: readonly string[];
  readonly parents: readonly Document[];
}

/**
 * Reads a policy as the Dataspace Protocol and ODRL write it: terms compact, prefixed or as full IRI; one rule,
 * constraint or value, or an array of them; values plain or as `{"@value"}` and `{"@id"}`. Compact policies are made
 * atomic and policies that inherit get the rules of their parents (ODRL 2.2 sections 2.7 and 2.9).
 *
 * Whatever it does not understand and might change what a rule means stays in the model (`unread`, `problems`), and
 * the rule fails closed: such a permission grants nothing, such a prohibition forbids. Use problemsOf to refuse a
 * policy with such terms at publication.
 *
 * @param json parsed JSON; never changed, never kept
 * @throws PolicyError `bad-policy` for what is no policy, inherits from itself or has a wrong value of our own terms,
 *   `too-large` beyond the limits; `path` says where
 * @throws Error for options with a profile that contradicts ODRL
 */
export function parsePolicy(json: unknown, options: PolicyOptions = {}): Policy {
  const reading: Reading = {
    limits: { ...DEFAULT_LIMITS, ...options },
    options,
    vocabulary: createVocabulary(options.profiles),
    counts: { parts: 0, rules: 0, parents: 0 },
  };
  const document = readDocument(json, reading, []);
  const family = withParents(document);
  const shared = mergeShared(family);
  const { plain } = shared;
  const parents = family.slice(1);
  const counted = (rules: number): void => {
    reading.counts.rules += rules;
    if (reading.counts.rules > reading.limits.rules) throw tooManyRules(reading.limits.rules);
  };
  const rulesOf = (kind: (typeof KINDS)[number]): Rule[] =>
    family.flatMap(({ fields, reader }) =>
      eachOf(fields.get(kind)).flatMap((field) => readRule(field, kind, shared, reader, counted)),
    );
  return {
    id: document.id,
    type: document.type,
    profiles: [...new Set(family.flatMap(({ profiles }) => profiles))],
    ...plain,
    permissions: rulesOf('permission'),
    prohibitions: rulesOf('prohibition'),
    obligations: rulesOf('obligation'),
    conflicts: [...new Set(family.flatMap(({ conflicts }) => conflicts))],
    inheritsFrom: parents.map(({ id }) => id),
    ...(parents.length === 0 ? {} : { inheritedDigests: parents.map(({ digest }) => digest) }),
    annotations: document.annotations,
    unread: family.flatMap(({ unread }) => unread),
    problems: family.flatMap(({ problems }) => problems),
    digest: document.digest,
  };
}

function readDocument(json: unknown, reading: Reading, children: readonly string[]): Document {
  const { limits, options, vocabulary, counts } = reading;
  if (children.length > 0) counts.parents += 1;
  if (counts.parents > limits.parents) {
    throw new PolicyError('$', `a policy inherits from at most ${limits.parents} others in all`, {
      code: 'too-large',
    });
  }
  checkJson(json, limits);
  const reader = createReader(json, limits, vocabulary, counts, options.ruleWithoutAction === 'any-action');
  const fields = reader.fields(json, '$', 'a policy');
  const { type, ids } = readType(fields.get('@type'));

  const unread: Unread[] = [];
  const annotations: Unread[] = [];
  const problems: string[] = [];
  const leave = (term: string, value: unknown, sentence: string) => {
    unread.push({ term, value });
    problems.push(sentence);
  };

  const selectors = (term: (typeof SHARED)[number]): Selector[] =>
    eachOf(fields.get(term)).flatMap(({ value }) => {
      const selector = readSelector(value, reader);
      if (selector !== undefined) return [selector];
      leave(term, value, `The policy's ${term}, ${shownValue(value)}, says more than this node understands.`);
      return [];
    });
  const shared = {
    assigner: selectors('assigner'),
    assignee: selectors('assignee'),
    target: selectors('target'),
    actions: eachOf(fields.get('action')),
  };

  const profiles = eachOf(fields.get('profile')).map(({ value, path }) => {
    const profile = reader.iri(value);
    if (profile === undefined) throw new PolicyError(path, 'a profile is an IRI');
    if (!KNOWN_PROFILES.has(profile) && !vocabulary.knowsProfile(profile)) {
      problems.push(`The profile ${shown(profile)} is not known to this node.`);
    }
    return profile;
  });
  // An IDS contract has no strategies: what it forbids it takes out of what it permits.
  const conflicts: ConflictStrategy[] = ids ? ['prohibit'] : [];
  for (const { value } of eachOf(fields.get('conflict'))) {
    const strategy = reader.term(value);
    if (strategy !== undefined && STRATEGIES.includes(strategy)) conflicts.push(strategy as ConflictStrategy);
    else leave('conflict', value, `The property conflict has the value ${shownValue(value)}, which is not known.`);
  }

  const id = readId(fields.get('@id'), type);
  const line = [...children, id];
  const parents = eachOf(fields.get('inheritFrom')).flatMap((field) => {
    const iri = reader.iri(field.value);
    if (iri === undefined) throw new PolicyError(field.path, 'a policy inherits from the IRI of another');
    if (line.includes(iri)) {
      throw new PolicyError(field.path, `the policy inherits from itself: ${[...line, iri].map(shown).join(', ')}`);
    }
    const parent = options.policies?.(iri);
    if (parent === undefined) {
      leave(
        'inheritFrom',
        field.value,
        `The property inheritFrom names ${shown(iri)}, a policy that is not known here.`,
      );
      return [];
    }
    const read = readDocument(parent, reading, line);
    if (read.id !== iri) {
      throw new PolicyError(
        field.path,
        `the policy that was given for ${shown(iri)} is ${shown(read.id) || 'nameless'}`,
      );
    }
    return [read];
  });

  for (const [term, { value }] of fields) {
    if (READ.has(term) || saysNothing(term, value) || ['conflict', 'inheritFrom', ...SHARED].includes(term)) continue;
    if (isAnnotation(term)) annotations.push({ term, value });
    else leave(term, value, `The property ${shown(displayTerm(term))} of a policy is not supported.`);
  }
  const replaced = annotations.find(({ term }) => /[:/]isReplacedBy$/.test(term));
  // ODRL 2.2 section 2.8: the policy is void then.
  if (replaced !== undefined) problems.push(`The policy is replaced by ${shownValue(replaced.value)}.`);
  return {
    id,
    type,
    digest: policyDigest(json),
    fields,
    reader,
    profiles,
    conflicts,
    shared,
    annotations,
    unread,
    problems,
    parents,
  };
}

/** The policy and all that it inherits from, nearest first, each once: two parents may have one parent. */
function withParents(document: Document): Document[] {
  const found = new Map<Document | string, Document>();
  const visit = (each: Document): void => {
    const key = each.id === '' ? each : each.id;
    if (found.has(key)) return;
    found.set(key, each);
    each.parents.forEach(visit);
  };
  visit(document);
  return [...found.values()];
}

/**
 * What is said for all rules: the policy's own word, or else that of the nearest parent which has one.
 *
 * ODRL 2.2 section 2.9 replicates a parent's policy-level properties in the child. Where both name a party or asset,
 * the child's is meant: to take both would give rules to parties that the child does not name.
 */
function mergeShared(family: readonly Document[]): Shared {
  const nearest = <T>(of: (document: Document) => readonly T[]): readonly T[] =>
    family.map(of).find((each) => each.length > 0) ?? [];
  const shared = {
    assigner: nearest(({ shared: { assigner } }) => assigner),
    assignee: nearest(({ shared: { assignee } }) => assignee),
    target: nearest(({ shared: { target } }) => target),
    actions: nearest(({ shared: { actions } }) => actions),
  };
  const plain = Object.fromEntries(
    SHARED.flatMap((term) => {
      const [only] = shared[term];
      const isPlain = shared[term].length === 1 && only !== undefined && only.refinements === undefined;
      return isPlain ? [[term, only.name]] : [];
    }),
  );
  return { ...shared, plain };
}

function tooManyRules(limit: number): PolicyError {
  return new PolicyError('$', `a policy has at most ${limit} rules, one for each action, asset and party`, {
    code: 'too-large',
  });
}

function readType(field: Field | undefined): { type: PolicyType; ids: boolean } {
  if (field === undefined) return { type: 'Set', ids: false };
  const ids = eachOf(field).some(({ value }) => typeof value === 'string' && isIdsContract(value));
  const types = typesOf(field, ['Policy']);
  const [type = 'Set'] = types;
  if (types.length > 1 || !POLICY_TYPES.includes(type)) {
    throw new PolicyError(field.path, `${shownValue(field.value)} is not supported: use Set, Offer or Agreement`);
  }
  return { type: type as PolicyType, ids };
}

function readId(field: Field | undefined, type: PolicyType): string {
  if (field === undefined) {
    if (type === 'Agreement') throw new PolicyError('$', 'an agreement has an @id');
    return '';
  }
  if (typeof field.value !== 'string' || field.value === '') throw new PolicyError(field.path, 'an @id is an IRI');
  return field.value;
}
