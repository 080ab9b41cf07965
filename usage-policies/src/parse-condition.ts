import { canonicalForm } from './digest.ts';
import { eachOf, nameOf, typesOf, type Field } from './fields.ts';
import { IDS_ENDPOINTS } from './ids-terms.ts';
import { FOEDUS, type Condition, type LogicalOperator, type RuleKind, type Unread } from './model.ts';
import { examine, type Examined } from './operands/examine.ts';
import { isPolicyUsage } from './operands/times.ts';
import { PolicyError } from './policy-error.ts';
import type { Reader } from './reader.ts';
import { displayTerm, normaliseOperator } from './terms.ts';
import { isObject, itemsOf, onlyItem } from './values.ts';
import { shown, shownValue } from './wording.ts';

const LOGICAL: readonly LogicalOperator[] = ['and', 'or', 'xone', 'andSequence'];

/** Where a condition stands. */
export interface Place {
  readonly kind: RuleKind;
  readonly action: string;
}

export interface ReadCondition {
  /** undefined where it is so far from a condition that the model cannot hold it. */
  readonly condition?: Condition;
  /** One sentence for everything that cannot be checked. */
  readonly problems: readonly string[];
}

/** Properties that JSON-LD writers leave behind as an empty list, meaning nothing. */
const LISTS = new Set(
  'constraint duty obligation remedy consequence refinement permission prohibition ids:preDuty ids:postDuty'.split(' '),
);

/** An empty list of a property that takes a list says nothing. */
export function saysNothing(term: string, value: unknown): boolean {
  return LISTS.has(term) && Array.isArray(value) && value.length === 0;
}

/**
 * The conditions of a rule, action, asset or party. What cannot be read goes to `unread`, each with a problem.
 *
 * @throws PolicyError for what no condition looks like, for wrong values of our own terms and beyond the limits
 */
export function readConditions(
  field: Field | undefined,
  place: Place,
  reader: Reader,
  term = 'constraint',
): { conditions: Condition[]; unread: Unread[]; problems: string[] } {
  const entries = eachOf(field);
  if (field !== undefined && entries.length > reader.limits.constraintsPerRule) {
    throw new PolicyError(field.path, `a rule has at most ${reader.limits.constraintsPerRule} constraints`, {
      code: 'too-large',
    });
  }
  const conditions: Condition[] = [];
  const unread: Unread[] = [];
  const problems: string[] = [];
  for (const entry of entries) {
    const read: ReadCondition =
      term !== 'constraint' && !isObject(reader.dereference(entry).value)
        ? { problems: [`A refinement, ${shownValue(entry.value)}, is no constraint.`] }
        : readCondition(entry, place, reader, reader.limits.depth);
    if (read.condition === undefined) unread.push({ term, value: entry.value });
    else conditions.push(read.condition);
    problems.push(...read.problems);
  }
  return { conditions, unread, problems };
}

function readCondition(entry: Field, place: Place, reader: Reader, depth: number): ReadCondition {
  reader.part(entry.path);
  // References may lead in a circle; what is written out cannot be deeper than the limit either.
  if (depth <= 0) {
    throw new PolicyError(entry.path, `conditions refer to each other more than ${reader.limits.depth} deep`, {
      code: 'too-large',
    });
  }
  const { value, path } = reader.dereference(entry);
  const fields = reader.fields(value, path, 'a constraint');
  const logical = LOGICAL.filter((term) => fields.has(term));
  return logical.length > 0
    ? readLogical(logical, fields, place, reader, depth)
    : readConstraint(fields, place, reader);
}

function readLogical(
  operators: readonly LogicalOperator[],
  fields: ReadonlyMap<string, Field>,
  place: Place,
  reader: Reader,
  depth: number,
): ReadCondition {
  const [logical] = operators;
  if (logical === undefined || operators.length > 1) {
    return { problems: [`A constraint has ${operators.join(' and ')} at once: it can have only one of them.`] };
  }
  const problems: string[] = [];
  for (const term of fields.keys()) {
    if (term === logical || term === '@id') continue;
    if (term === '@type' && typesOf(fields.get(term), ['Constraint', 'LogicalConstraint']).length === 0) continue;
    problems.push(`The property ${shown(displayTerm(term))} of the logical constraint ${logical} is not supported.`);
  }
  const field = fields.get(logical);
  const items = itemsOf(field?.value);
  if (items.length === 0) problems.push(`The logical constraint ${logical} has no operands.`);
  const operands: Condition[] = [];
  let complete = true;
  for (const [index, item] of items.entries()) {
    const read = readCondition({ value: item, path: `${field?.path ?? '$'}[${index}]` }, place, reader, depth - 1);
    if (read.condition === undefined) complete = false;
    else operands.push(read.condition);
    problems.push(...read.problems);
  }
  if (logical === 'xone' && new Set(operands.map((operand) => canonicalForm(operand))).size < operands.length) {
    problems.push('The logical constraint xone names a constraint twice.');
  }
  const id = idOf(fields, reader);
  return { ...(complete ? { condition: { ...(id === undefined ? {} : { id }), logical, operands } } : {}), problems };
}

function idOf(fields: ReadonlyMap<string, Field>, reader: Reader): string | undefined {
  const field = fields.get('@id');
  return field === undefined ? undefined : reader.iri(field.value);
}

/** Properties that are read, and IDS's notes on what kind of contract a payment belongs to. */
const READ: ReadonlySet<string> = new Set([
  '@id',
  'leftOperand',
  'operator',
  'rightOperand',
  'rightOperandReference',
  'dataType',
  'ids:contract',
  ...IDS_ENDPOINTS,
]);

const FREQUENCY_KEYS: ReadonlySet<string> = new Set([
  'ids:frequency',
  'dc:frequency',
  'dct:frequency',
  'dcterms:frequency',
  'http://purl.org/dc/terms/frequency',
]);

/** Terms of the Dublin Core collection description frequency vocabulary, and the IDS codes of the same name. */
export const FREQUENCIES: Readonly<Record<string, string>> = {
  daily: 'P1D',
  weekly: 'P7D',
  monthly: 'P1M',
  quarterly: 'P3M',
  semiannual: 'P6M',
  annual: 'P1Y',
};

function readConstraint(fields: ReadonlyMap<string, Field>, place: Place, reader: Reader): ReadCondition {
  const nameIn = (term: string): string | undefined => reader.term(fields.get(term)?.value);
  const leftOperand = nameIn('leftOperand');
  if (leftOperand === undefined) return { problems: ['A constraint without a left operand is not supported.'] };
  const shownOperand = shown(displayTerm(leftOperand));
  const written = nameIn('operator');
  const right = fields.get('rightOperand');
  const reference = fields.get('rightOperandReference');
  if (written === undefined || (right === undefined && reference === undefined)) {
    const missing = written === undefined ? 'operator' : 'right operand';
    return { problems: [`The constraint on ${shownOperand} has no ${missing} that this node can read.`] };
  }
  const operator = normaliseOperator(written);

  const unread: Unread[] = [];
  const problems: string[] = [];
  let unit: string | undefined;
  let status: number | undefined;
  let frequency: string | undefined;
  for (const [term, { value }] of fields) {
    if (READ.has(term) || saysNothing(term, value)) continue;
    if (term === '@type' && typesOf(fields.get(term), ['Constraint', 'AtomicConstraint']).length === 0) continue;
    const name = reader.iri(value);
    const amount = term === 'status' ? statusOf(value) : undefined;
    const period = FREQUENCY_KEYS.has(term) && name !== undefined ? periodOf(name) : undefined;
    if (term === 'unit' && name !== undefined) unit = name;
    else if (amount !== undefined) status = amount;
    else if (period !== undefined) frequency = period;
    else {
      unread.push({ term, value });
      problems.push(`The property ${shown(displayTerm(term))} of the constraint on ${shownOperand} is not supported.`);
    }
  }
  const id = idOf(fields, reader);
  const beside = {
    ...(id === undefined ? {} : { id }),
    ...(unit === undefined ? {} : { unit }),
    ...(status === undefined ? {} : { status }),
    ...(frequency === undefined ? {} : { frequency }),
  };

  if (reference !== undefined) {
    const references = referencesIn(reference.value, reader);
    if (right !== undefined)
      problems.push(`The constraint on ${shownOperand} has a right operand and a reference to one.`);
    if (references === undefined) {
      unread.push({ term: 'rightOperandReference', value: reference.value });
      problems.push(`The reference in the constraint on ${shownOperand} is not an IRI.`);
    }
    // Looked up when the policy is compiled: until then there is no value.
    const rightOperand = right === undefined ? null : reader.value(right.value);
    return {
      condition: { ...beside, leftOperand, operator, rightOperand, references: references ?? [], unread },
      problems,
    };
  }

  const rightOperand = reader.value(right?.value);
  const dataType = fields.get('dataType');
  const datatypeName = dataType === undefined ? undefined : nameOf(dataType.value);
  const constraint = { ...beside, leftOperand, operator, rightOperand };
  if (isTiming({ leftOperand, operator, rightOperand }) && isDutyKind(place.kind)) {
    return { condition: { ...constraint, rightOperand: 'policyUsage', unread }, problems };
  }
  const examined: Examined =
    dataType !== undefined && datatypeName === undefined
      ? { problem: `The datatype of the constraint on ${shownOperand} is not a name.` }
      : examine(constraint, place, reader.vocabulary, datatypeName);
  if (examined.read !== undefined) {
    return { condition: { ...constraint, rightOperand: examined.read.value, unread }, problems };
  }
  if (examined.cause !== undefined && leftOperand.startsWith(FOEDUS)) {
    throw new PolicyError((right?.path ?? '$') + examined.cause.at, examined.cause.message, { cause: examined.cause });
  }
  problems.push(examined.problem);
  // Only a value that was read has its datatype in it.
  if (dataType !== undefined) unread.push({ term: 'dataType', value: dataType.value });
  return { condition: { ...constraint, unread }, problems };
}

export function isDutyKind(kind: RuleKind): boolean {
  return kind !== 'permission' && kind !== 'prohibition';
}

/** `event` against `policyUsage` says of a duty when it is due: no condition, but a place in time. */
export function isTiming({
  leftOperand,
  operator,
  rightOperand,
}: {
  leftOperand: string;
  operator: string;
  rightOperand: unknown;
}): boolean {
  return (
    leftOperand === 'event' && ['lt', 'lteq', 'eq', 'gteq', 'gt'].includes(operator) && isPolicyUsage(rightOperand)
  );
}

function statusOf(value: unknown): number | undefined {
  const items = itemsOf(value);
  const only = items.length === 1 ? items[0] : value;
  const item = typeof only === 'object' && only !== null && '@value' in only ? only['@value'] : only;
  const amount = typeof item === 'string' && /^\d{1,15}$/.test(item) ? Number(item) : item;
  return typeof amount === 'number' && Number.isSafeInteger(amount) && amount >= 0 ? amount : undefined;
}

function periodOf(name: string): string | undefined {
  const term = name.replace(/^.*[/#:]/, '').toLowerCase();
  return Object.hasOwn(FREQUENCIES, term) ? FREQUENCIES[term] : undefined;
}

/** The IRIs of a reference: `"x"`, `{"@id": "x"}`, `{"@value": "x", "@type": "xsd:anyURI"}`, or a list of them. */
function referencesIn(raw: unknown, reader: Reader): string[] | undefined {
  const iris = itemsOf(raw).map((item) => {
    const plain = typeof item === 'object' && item !== null && '@value' in item ? item['@value'] : onlyItem(item);
    return reader.iri(plain);
  });
  return iris.length === 0 || iris.includes(undefined) ? undefined : iris.filter((iri) => iri !== undefined);
}
