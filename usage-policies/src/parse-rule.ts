import { FOEDUS, type Constraint, type Rule, type RuleKind, type Unread } from './model.ts';
import { examine, type Examined } from './operands/examine.ts';
import { PolicyError } from './policy-error.ts';
import { eachOf, fieldsOf, nameOf, typesOf, type Field } from './fields.ts';
import { displayTerm, normaliseTerm } from './terms.ts';
import { isObject } from './values.ts';
import { shown, shownValue } from './wording.ts';

/** The policy's own parties and target: a rule may repeat them. */
export interface Shared {
  readonly assigner: string | undefined;
  readonly assignee: string | undefined;
  readonly target: string | undefined;
}

const LOGICAL = ['and', 'or', 'xone', 'andSequence'];
/** Properties that JSON-LD writers leave behind as an empty list, meaning nothing. */
const LISTS = new Set([
  'constraint',
  'duty',
  'obligation',
  'remedy',
  'consequence',
  'refinement',
  'permission',
  'prohibition',
]);

/** An empty list of a property that takes a list says nothing. */
export function saysNothing(term: string, value: unknown): boolean {
  return LISTS.has(term) && Array.isArray(value) && value.length === 0;
}

/**
 * Reads one rule, which is one Rule for each of its actions.
 *
 * @throws PolicyError for what no rule can look like, and for wrong values of our own terms
 */
export function readRule(field: Field, kind: RuleKind, shared: Shared, constraintLimit: number): Rule[] {
  const fields = fieldsOf(field.value, field.path, `a ${kind}`);
  const unread: Unread[] = [];
  const problems: string[] = [];
  const leave = (term: string, value: unknown, sentence: string) => {
    unread.push({ term, value });
    problems.push(sentence);
  };

  let assignee: string | undefined;
  for (const [term, { value }] of fields) {
    if (['@id', 'action', 'constraint'].includes(term) || saysNothing(term, value)) continue;
    if (term === '@type') {
      const types = typesOf(fields.get('@type'), ['Rule', kind === 'permission' ? 'Permission' : 'Prohibition']);
      if (types.length > 0) leave(term, value, `A ${kind} of type ${shown(types[0] ?? '')} is not supported.`);
    } else if (term === 'assignee' || term === 'assigner' || term === 'target') {
      const name = nameOf(value);
      if (name !== undefined && name === shared[term]) continue;
      if (term === 'assignee' && name !== undefined && shared.assignee === undefined) assignee = name;
      else leave(term, value, `A ${kind} with its own ${term}, ${shownValue(value)}, is not supported.`);
    } else {
      leave(term, value, `The property ${shown(displayTerm(term))} of a ${kind} is not supported.`);
    }
  }

  const entries = eachOf(fields.get('constraint'));
  if (entries.length > constraintLimit) {
    throw new PolicyError(field.path, `a rule has at most ${constraintLimit} constraints`, { code: 'too-large' });
  }
  const actions = readActions(fields.get('action'), field.path);
  return actions.map((action): Rule => {
    const left = [...unread];
    const troubles = [...problems];
    if (action.value !== undefined) {
      left.push({ term: 'action', value: action.value });
      troubles.push(`The action ${shownValue(action.value)} says more than a name, which is not supported.`);
    }
    const constraints: Constraint[] = [];
    for (const entry of entries) {
      const read = readConstraint(entry, kind, action.name);
      if ('constraint' in read) constraints.push(read.constraint);
      else left.push({ term: 'constraint', value: entry.value });
      troubles.push(...read.problems);
    }
    return {
      kind,
      action: action.name,
      actionRefinements: [],
      targetRefinements: [],
      ...(assignee === undefined ? {} : { assignee }),
      assigneeRefinements: [],
      parties: {},
      constraints,
      duties: [],
      consequences: [],
      remedies: [],
      unread: left,
      problems: troubles,
    };
  });
}

interface ActionName {
  readonly name: string;
  /** What was written, where it is more than a name. */
  readonly value?: unknown;
}

function readActions(field: Field | undefined, path: string): ActionName[] {
  const entries = eachOf(field);
  if (entries.length === 0) throw new PolicyError(path, 'a rule names an action');
  return entries.map((entry) => {
    const name = nameOf(entry.value);
    if (name !== undefined) return { name: normaliseTerm(name) };
    // An action with a refinement: `{"rdf:value": {"@id": "odrl:use"}, "refinement": […]}`.
    if (!isObject(entry.value)) throw new PolicyError(entry.path, 'an action is a name');
    const value = entry.value;
    const key = ['rdf:value', 'http://www.w3.org/1999/02/22-rdf-syntax-ns#value', '@id'].find((at) => at in value);
    const refined = key === undefined ? undefined : nameOf(value[key]);
    return { name: refined === undefined ? '' : normaliseTerm(refined), value };
  });
}

type ReadOutcome =
  | { readonly constraint: Constraint; readonly problems: readonly string[] }
  | { readonly problems: readonly string[] };

function readConstraint(entry: Field, kind: RuleKind, action: string): ReadOutcome {
  const fields = fieldsOf(entry.value, entry.path, 'a constraint');
  const logical = LOGICAL.find((term) => fields.has(term));
  if (logical !== undefined) return { problems: [`The logical constraint ${logical} is not supported.`] };

  const nameIn = (term: string): string | undefined => {
    const field = fields.get(term);
    const name = field === undefined ? undefined : nameOf(field.value);
    return name === undefined ? undefined : normaliseTerm(name);
  };
  const leftOperand = nameIn('leftOperand');
  const operator = nameIn('operator');
  if (leftOperand === undefined) return { problems: ['A constraint without a left operand is not supported.'] };
  const shownOperand = shown(displayTerm(leftOperand));
  const right = fields.get('rightOperand');
  if (operator === undefined || right === undefined) {
    const missing = operator === undefined ? 'operator' : 'right operand';
    return { problems: [`The constraint on ${shownOperand} has no ${missing} that this node can read.`] };
  }

  const unread: Unread[] = [];
  const problems: string[] = [];
  for (const [term, { value }] of fields) {
    if (['@id', 'leftOperand', 'operator', 'rightOperand', 'dataType'].includes(term)) continue;
    if (saysNothing(term, value)) continue;
    if (term === '@type' && typesOf(fields.get(term), ['Constraint', 'AtomicConstraint']).length === 0) continue;
    unread.push({ term, value });
    problems.push(`The property ${shown(displayTerm(term))} of the constraint on ${shownOperand} is not supported.`);
  }
  const dataType = fields.get('dataType');
  const datatypeName = dataType === undefined ? undefined : nameOf(dataType.value);
  const written = { leftOperand, operator, rightOperand: right.value };
  const examined: Examined =
    dataType !== undefined && datatypeName === undefined
      ? { problem: `The datatype of the constraint on ${shownOperand} is not a name.` }
      : examine(written, { kind, action }, datatypeName);
  if (examined.read !== undefined) {
    return { constraint: { ...written, rightOperand: examined.read.value, unread }, problems };
  }
  if (examined.cause !== undefined && leftOperand.startsWith(FOEDUS)) {
    throw new PolicyError(right.path + examined.cause.at, examined.cause.message, { cause: examined.cause });
  }
  problems.push(examined.problem);
  // Only a value that was read has its datatype in it.
  if (dataType !== undefined) unread.push({ term: 'dataType', value: dataType.value });
  return { constraint: { ...written, unread }, problems };
}
