import { eachOf, typesOf, type Field } from './fields.ts';
import { IDS_ENDPOINTS } from './ids-terms.ts';
import type { Condition, DutyTiming, Rule, RuleKind, Unread } from './model.ts';
import { isDutyKind, isTiming, readConditions, saysNothing } from './parse-condition.ts';
import { PolicyError } from './policy-error.ts';
import type { Reader } from './reader.ts';
import { displayTerm, isDocumentation } from './terms.ts';
import { isObject, itemsOf } from './values.ts';
import { shown, shownValue } from './wording.ts';

/** What unread refinements are listed as among the unread of a rule. */
export const REFINEMENTS = {
  action: 'refinement',
  target: 'target.refinement',
  assignee: 'assignee.refinement',
} as const;

/** The action of a rule about every action (PolicyOptions.ruleWithoutAction). */
export const ANY_ACTION = '*';

/** An asset or a party, or what is meant of a collection of them. */
export interface Selector {
  readonly name: string;
  readonly refinements: Field | undefined;
}

/** What the policy says for all of its rules (ODRL 2.2 section 2.7.1). */
export interface Shared {
  readonly assigner: readonly Selector[];
  readonly assignee: readonly Selector[];
  readonly target: readonly Selector[];
  readonly actions: readonly Field[];
  /** Where the policy has one plain name for it: rules then leave it out, and repeating it says nothing. */
  readonly plain: { readonly assigner?: string; readonly assignee?: string; readonly target?: string };
}

type Relation = 'assigner' | 'assignee' | 'target';
const RELATIONS: readonly Relation[] = ['target', 'assignee', 'assigner'];

/** ODRL's other functions of parties (Vocabulary section 4.7). They name somebody and change no decision. */
const PARTIES: ReadonlySet<string> = new Set(
  [
    'attributedParty attributingParty compensatedParty compensatingParty consentingParty consentedParty informedParty',
    'informingParty trackingParty trackedParty contractingParty contractedParty',
  ]
    .join(' ')
    .split(' '),
);

const TYPES: Readonly<Record<RuleKind, readonly string[]>> = {
  permission: ['Rule', 'Permission'],
  prohibition: ['Rule', 'Prohibition'],
  obligation: ['Rule', 'Duty'],
  duty: ['Rule', 'Duty'],
  consequence: ['Rule', 'Duty'],
  remedy: ['Rule', 'Duty'],
};

/** Rules inside of rules: ODRL 2.2 sections 2.6.5 to 2.6.7. What ODRL does not allow is left unread. */
interface Inside {
  readonly kind: RuleKind;
  /** Where the property itself says when its duty is due. */
  readonly timing?: DutyTiming;
}
const CONSEQUENCES: ReadonlyMap<string, Inside> = new Map([['consequence', { kind: 'consequence' }]]);
const INSIDE: Readonly<Record<RuleKind, ReadonlyMap<string, Inside>>> = {
  permission: new Map<string, Inside>([
    ['duty', { kind: 'duty' }],
    ['ids:preDuty', { kind: 'duty', timing: 'before' }],
    ['ids:postDuty', { kind: 'duty', timing: 'after' }],
  ]),
  prohibition: new Map<string, Inside>([['remedy', { kind: 'remedy' }]]),
  obligation: CONSEQUENCES,
  duty: CONSEQUENCES,
  consequence: new Map(),
  remedy: new Map(),
};

/** Actions that only a use brings about (ODRL Vocabulary: "after it has been used", "has been performed"). */
const AFTER_USE: ReadonlySet<string> = new Set([
  'delete',
  'inform',
  'https://w3id.org/idsa/code/LOG',
  'https://w3id.org/idsa/code/INCREMENT_COUNTER',
]);

export interface ActionReading {
  readonly name: string;
  readonly refinements: Field | undefined;
  /** Everything else that it says. */
  readonly unread?: unknown;
}

/** A rule as it is written: what all the atomic rules that it stands for have in common, and what they are made of. */
interface WrittenRule {
  readonly kind: RuleKind;
  readonly id: string | undefined;
  readonly timing: DutyTiming | undefined;
  readonly actions: readonly ActionReading[];
  readonly relations: Readonly<Record<Relation, readonly (Selector | undefined)[]>>;
  readonly parties: Readonly<Record<string, string>>;
  readonly constraint: Field | undefined;
  readonly inside: readonly (Inside & { readonly field: Field })[];
  readonly unread: readonly Unread[];
  readonly problems: readonly string[];
}

/**
 * Reads one rule, which is one Rule for each of its actions, assets and parties (ODRL 2.2 section 2.7).
 *
 * @param count called with the number of rules before any is made
 * @param timing what the property that holds a duty says of it (`ids:preDuty`)
 * @throws PolicyError for what no rule can look like, for wrong values of our own terms, and beyond the limits
 */
export function readRule(
  entry: Field,
  kind: RuleKind,
  shared: Shared,
  reader: Reader,
  count: (rules: number) => void,
  timing?: DutyTiming,
): Rule[] {
  const written = readWritten(entry, kind, shared, reader, timing);
  const { actions, relations } = written;
  count(actions.length * RELATIONS.reduce((product, relation) => product * relations[relation].length, 1));
  const rules: Rule[] = [];
  for (const action of actions) {
    for (const target of relations.target) {
      for (const assignee of relations.assignee) {
        for (const assigner of relations.assigner)
          rules.push(atomicRule(written, action, { target, assignee, assigner }, reader));
      }
    }
  }
  return rules;
}

function readWritten(
  entry: Field,
  kind: RuleKind,
  shared: Shared,
  reader: Reader,
  timing: DutyTiming | undefined,
): WrittenRule {
  const field = isDutyKind(kind) ? reader.dereference(entry) : entry;
  const fields = reader.fields(field.value, field.path, `a ${kind}`);
  const unread: Unread[] = [];
  const problems: string[] = [];
  const leave = (term: string, value: unknown, sentence: string) => {
    unread.push({ term, value });
    problems.push(sentence);
  };

  const relations = Object.fromEntries(
    RELATIONS.map((relation) => [relation, readRelation(fields.get(relation), relation, kind, shared, reader, leave)]),
  ) as WrittenRule['relations'];
  const parties: Record<string, string> = {};
  const inside: (Inside & { field: Field })[] = [];
  for (const [term, each] of fields) {
    const { value } = each;
    if (['@id', 'action', 'constraint', ...RELATIONS].includes(term) || saysNothing(term, value)) continue;
    if (IDS_ENDPOINTS.has(term) || isDocumentation(term)) continue;
    const party = PARTIES.has(term) ? reader.iri(value) : undefined;
    const inner = INSIDE[kind].get(term);
    if (term === '@type') {
      const types = typesOf(each, TYPES[kind]);
      if (types.length > 0) leave(term, value, `${article(kind)} of type ${shown(types[0] ?? '')} is not supported.`);
    } else if (party !== undefined) {
      parties[term] = party;
    } else if (inner === undefined) {
      const what = shown(displayTerm(term));
      leave(term, value, `The property ${what} of ${article(kind).toLowerCase()} is not supported.`);
    } else {
      for (const one of eachOf(each)) inside.push({ ...inner, field: one });
    }
  }
  const actions = readActions(fields.get('action'), kind, shared, field.path, reader, leave);
  const id = reader.iri(fields.get('@id')?.value);
  return {
    kind,
    id,
    timing,
    actions,
    relations,
    parties,
    constraint: fields.get('constraint'),
    inside,
    unread,
    problems,
  };
}

function atomicRule(
  written: WrittenRule,
  action: ActionReading,
  { target, assignee, assigner }: Readonly<Record<Relation, Selector | undefined>>,
  reader: Reader,
): Rule {
  const { kind, id, parties, inside } = written;
  const unread = [...written.unread];
  const problems = [...written.problems];
  const conditionsOf = (from: Field | undefined, term: string): Condition[] => {
    const read = readConditions(from, { kind, action: action.name }, reader, term);
    unread.push(...read.unread);
    problems.push(...read.problems);
    return read.conditions;
  };
  if (action.unread !== undefined) {
    unread.push({ term: 'action', value: action.unread });
    problems.push(`The action ${shownValue(action.unread)} says more than a name and refinements.`);
  }
  const constraints = conditionsOf(written.constraint, 'constraint');
  const actionRefinements = conditionsOf(action.refinements, REFINEMENTS.action);
  const targetRefinements = conditionsOf(target?.refinements, REFINEMENTS.target);
  const assigneeRefinements = conditionsOf(assignee?.refinements, REFINEMENTS.assignee);
  const rulesOf = (wanted: RuleKind): Rule[] =>
    inside
      .filter((each) => each.kind === wanted)
      .flatMap(({ field, timing }) => readInside(field, wanted, reader, timing));
  const timing = written.timing ?? timingOf(action.name, [...constraints, ...actionRefinements]);
  return {
    kind,
    ...(id === undefined ? {} : { id }),
    action: action.name,
    actionRefinements,
    ...(target === undefined ? {} : { target: target.name }),
    targetRefinements,
    ...(assigner === undefined ? {} : { assigner: assigner.name }),
    ...(assignee === undefined ? {} : { assignee: assignee.name }),
    assigneeRefinements,
    parties,
    constraints,
    duties: rulesOf('duty'),
    consequences: rulesOf('consequence'),
    remedies: rulesOf('remedy'),
    ...(isDutyKind(kind) ? { timing } : {}),
    unread,
    problems,
  };
}

/** A duty, consequence or remedy. Each counts as a part of the policy, since the rules around it multiply them. */
function readInside(field: Field, kind: RuleKind, reader: Reader, timing: DutyTiming | undefined): Rule[] {
  reader.part(field.path);
  const count = (rules: number): void => {
    for (let made = 1; made < rules; made++) reader.part(field.path);
  };
  return readRule(field, kind, NOBODY, reader, count, timing);
}

const NOBODY: Shared = { assigner: [], assignee: [], target: [], actions: [], plain: {} };

export function article(kind: RuleKind): string {
  return `${kind === 'obligation' ? 'An' : 'A'} ${kind}`;
}

/** When a duty is due: what the policy says (`event` against `policyUsage`), or else what its action is. */
export function timingOf(action: string, conditions: readonly Condition[]): DutyTiming {
  for (const condition of conditions) {
    if ('logical' in condition) continue;
    if (isTiming(condition)) return condition.operator === 'lt' || condition.operator === 'lteq' ? 'before' : 'after';
    // Log and notify when a use was allowed.
    if (/^https:\/\/w3id\.org\/idsa\/code\/(LOG|NOTIFICATION)_LEVEL$/.test(condition.leftOperand)) return 'after';
  }
  return AFTER_USE.has(action) ? 'after' : 'before';
}

type Leave = (term: string, value: unknown, sentence: string) => void;

/**
 * The assets or parties of a rule in one relation: its own, or the policy's. undefined stands for whatever the policy
 * as a whole has. A rule and its policy that both name one, and not the same, mean both: that fails closed.
 */
function readRelation(
  field: Field | undefined,
  relation: Relation,
  kind: RuleKind,
  shared: Shared,
  reader: Reader,
  leave: Leave,
): readonly (Selector | undefined)[] {
  const plain = shared.plain[relation];
  if (field === undefined) return plain === undefined && shared[relation].length > 0 ? shared[relation] : [undefined];
  const own: (Selector | undefined)[] = [];
  for (const { value } of eachOf(field)) {
    const selector = readSelector(value, reader);
    if (selector !== undefined && selector.refinements === undefined && selector.name === plain) own.push(undefined);
    else if (selector !== undefined && shared[relation].length === 0) own.push(selector);
    else leave(relation, value, `${article(kind)} with its own ${relation}, ${shownValue(value)}, is not supported.`);
  }
  return own.length === 0 ? [undefined] : own;
}

/**
 * An asset or party: a name, or an object with an id (or, for a collection, a source) and refinements. Descriptions of
 * it in other vocabularies change nothing.
 */
export function readSelector(value: unknown, reader: Reader): Selector | undefined {
  const name = reader.iri(value);
  if (name !== undefined) return { name, refinements: undefined };
  if (!isObject(value)) return undefined;
  let fields: Map<string, Field>;
  try {
    fields = reader.fields(value, '', 'an asset or party');
  } catch (error) {
    if (error instanceof PolicyError) return undefined;
    throw error;
  }
  for (const [term, { value: said }] of fields) {
    const described = term.includes(':') || term === 'partOf';
    if (!['@id', '@type', 'source', 'refinement'].includes(term) && !described && !saysNothing(term, said))
      return undefined;
  }
  const id = reader.iri(fields.get('@id')?.value);
  const source = reader.iri(fields.get('source')?.value);
  const refinements = fields.get('refinement');
  const refined = refinements !== undefined && !saysNothing('refinement', refinements.value);
  // A collection that is refined is named by its source; its own id, if any, names the members that are left.
  const collection = refined ? (source ?? id) : (id ?? source);
  if (collection === undefined) return undefined;
  return { name: collection, refinements: refined ? refinements : undefined };
}

const RDF_VALUE = ['rdf:value', 'http://www.w3.org/1999/02/22-rdf-syntax-ns#value'];

function readActions(
  field: Field | undefined,
  kind: RuleKind,
  shared: Shared,
  path: string,
  reader: Reader,
  leave: Leave,
): ActionReading[] {
  if (field !== undefined && shared.actions.length > 0) {
    leave('action', field.value, `${article(kind)} with its own action, ${shownValue(field.value)}, is not supported.`);
  }
  const entries = field === undefined ? shared.actions : eachOf(field);
  if (entries.length > 0) return entries.map((entry) => readAction(entry, reader));
  if (reader.anyAction && field === undefined && !isDutyKind(kind))
    return [{ name: ANY_ACTION, refinements: undefined }];
  if (!isDutyKind(kind)) throw new PolicyError(path, 'a rule names an action');
  leave('action', field?.value ?? null, `${article(kind)} without an action is not supported.`);
  return [{ name: '', refinements: undefined }];
}

/** A name, or an action with refinements: `{"rdf:value": {"@id": "odrl:use"}, "refinement": […]}`. */
function readAction(entry: Field, reader: Reader): ActionReading {
  const name = reader.term(entry.value);
  if (name !== undefined) return { name, refinements: undefined };
  if (!isObject(entry.value)) throw new PolicyError(entry.path, 'an action is a name');
  const fields = reader.fields(entry.value, entry.path, 'an action');
  const value = fields.get('rdf:value') ?? fields.get(RDF_VALUE[1] ?? '');
  const named = value ?? fields.get('@id');
  const refined = named === undefined ? undefined : reader.term(itemsOf(named.value)[0]);
  const known = new Set(['@id', '@type', 'refinement', ...RDF_VALUE, ...IDS_ENDPOINTS]);
  const more =
    refined === undefined ||
    [...fields].some(([term, each]) => !known.has(term) && !saysNothing(term, each.value)) ||
    typesOf(fields.get('@type'), ['Action']).length > 0;
  const refinements = fields.get('refinement');
  return {
    name: refined ?? '',
    refinements: refinements === undefined || saysNothing('refinement', refinements.value) ? undefined : refinements,
    ...(more ? { unread: entry.value } : {}),
  };
}
