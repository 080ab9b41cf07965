import { readSpan, readDuration, type Duration } from '../time.ts';
import type { Constraint } from '../model.ts';
import { FOEDUS } from '../model.ts';
import { hidesAsMuch, PRIVACY_UNITS } from '../operands/session.ts';
import { Unreadable } from '../policy-error.ts';
import { isKindOf, purposeIri } from '../purposes.ts';
import { itemsOf } from '../values.ts';

/**
 * Whether `wanted` holds wherever `given` holds, both on the same operand and plainly said. Errs to the side of false.
 *
 * A request may give an operand several names at once. Then `eq` asks for exactly the one, `isAnyOf` for one of the
 * list among them, `isNoneOf` for none, and `isA` for all of them being of the kind (operands/names.ts). Numbers and
 * moments are compared one by one (operands/amounts.ts, times.ts).
 */
export function valuesImply(given: Constraint, wanted: Constraint): boolean {
  const { leftOperand } = given;
  if (leftOperand === `${FOEDUS}privacyBudget` || leftOperand === `${FOEDUS}roundPrivacyBudget`) {
    return budgetImplies(given.rightOperand, wanted.rightOperand);
  }
  if (leftOperand === `${FOEDUS}metrics`) return namesIn(given).every((name) => namesIn(wanted).includes(name));
  if (leftOperand === `${FOEDUS}privacyUnit`) return unitImplies(given.rightOperand, wanted.rightOperand);
  // Our other operands are objects, or cut the data: compared as grants, or to the letter.
  if (leftOperand.startsWith(FOEDUS) && !OURS_BY_NUMBER.has(leftOperand)) return false;
  if (PERIODS.has(leftOperand)) return periodImplies(given, wanted);
  const from = rangesOf(given);
  const to = rangesOf(wanted);
  if (from !== undefined && to !== undefined) return from.every((range) => to.some((each) => isWithin(range, each)));
  return from === undefined && to === undefined && namesImply(given, wanted);
}

/** Whether both cannot hold at once. Only of operands that are one number or moment in every request. */
export function valuesExclude(a: Constraint, b: Constraint): boolean {
  if (a.leftOperand === 'purpose') return namesExclude(a, b);
  if (a.leftOperand !== 'dateTime' && a.leftOperand !== 'count') return false;
  const [from, to] = [rangesOf(a), rangesOf(b)];
  if (from === undefined || to === undefined) return false;
  return from.every((x) => to.every((y) => !meet(x, y)));
}

const OURS_BY_NUMBER: ReadonlySet<string> = new Set(
  ['rounds', 'minimumCohort', 'rows', 'bytes'].map((name) => FOEDUS + name),
);

interface Range {
  readonly from: number;
  readonly fromIncluded: boolean;
  readonly to: number;
  readonly toIncluded: boolean;
}
const LEAST = { from: Number.NEGATIVE_INFINITY, fromIncluded: false };
const MOST = { to: Number.POSITIVE_INFINITY, toIncluded: false };

/** The numbers, or the milliseconds since 1970, that a constraint is about; undefined where it is about neither. */
function rangesOf({ leftOperand, operator, rightOperand }: Constraint): readonly Range[] | undefined {
  if (leftOperand === 'dateTime') return spanRanges(operator, rightOperand);
  const values = itemsOf(rightOperand).filter((each) => typeof each === 'number');
  if (values.length === 0 || values.length !== itemsOf(rightOperand).length) return undefined;
  if (operator === 'isAnyOf') return values.map(point);
  if (operator === 'isNoneOf') return outside(values.map(point));
  const [at, ...others] = values;
  if (at === undefined || others.length > 0) return undefined;
  switch (operator) {
    case 'eq':
      return [point(at)];
    case 'neq':
      return outside([point(at)]);
    case 'lt':
    case 'lteq':
      return [{ ...LEAST, to: at, toIncluded: operator === 'lteq' }];
    case 'gt':
    case 'gteq':
      return [{ ...MOST, from: at, fromIncluded: operator === 'gteq' }];
    default:
      return undefined;
  }
}

function spanRanges(operator: string, raw: unknown): readonly Range[] | undefined {
  const span = readOr(() => readSpan(raw));
  // Without a zone its ends depend on the reader.
  if (span === undefined || span.slack !== 0) return undefined;
  const before = { ...LEAST, to: span.from, toIncluded: false };
  const upTo = { ...LEAST, to: span.to, toIncluded: false };
  const since = { ...MOST, from: span.from, fromIncluded: true };
  const past = { ...MOST, from: span.to, fromIncluded: true };
  const within = { from: span.from, fromIncluded: true, to: span.to, toIncluded: false };
  return { lt: [before], lteq: [upTo], gt: [past], gteq: [since], eq: [within], neq: [before, past] }[operator];
}

function point(at: number): Range {
  return { from: at, fromIncluded: true, to: at, toIncluded: true };
}

/** Everything but some points. */
function outside(points: readonly Range[]): Range[] {
  const at = [...new Set(points.map(({ from }) => from))].sort((a, b) => a - b);
  return [...at, Number.POSITIVE_INFINITY].map((to, index) => ({
    from: at[index - 1] ?? Number.NEGATIVE_INFINITY,
    fromIncluded: false,
    to,
    toIncluded: false,
  }));
}

function isWithin(a: Range, b: Range): boolean {
  const starts = a.from > b.from || (a.from === b.from && (b.fromIncluded || !a.fromIncluded));
  const ends = a.to < b.to || (a.to === b.to && (b.toIncluded || !a.toIncluded));
  return starts && ends;
}

function meet(a: Range, b: Range): boolean {
  const reaches = (x: Range, y: Range) => x.from < y.to || (x.from === y.to && x.fromIncluded && y.toIncluded);
  return reaches(a, b) && reaches(b, a);
}

function namesIn({ leftOperand, rightOperand }: Constraint): readonly unknown[] {
  const names = itemsOf(rightOperand);
  return leftOperand === 'purpose' ? names.map((name) => (typeof name === 'string' ? purposeIri(name) : name)) : names;
}

function namesImply(given: Constraint, wanted: Constraint): boolean {
  const [from, to] = [namesIn(given), namesIn(wanted)];
  if ([...from, ...to].some((name) => typeof name !== 'string')) return false;
  const [has, lacks] = [(name: unknown) => to.includes(name), (name: unknown) => !to.includes(name)];
  const kinds = (name: unknown) => to.some((wide) => isKindOf(String(name), String(wide)) === true);
  switch (`${given.operator} ${wanted.operator}`) {
    case 'eq eq':
    case 'eq isAnyOf':
    case 'isAnyOf isAnyOf':
      return from.every(has);
    case 'eq neq':
    case 'eq isNoneOf':
      return from.every(lacks);
    case 'neq neq':
    case 'isNoneOf neq':
    case 'isNoneOf isNoneOf':
      return to.every((name) => from.includes(name));
    case 'eq isA':
    case 'isA isA':
      return given.leftOperand === 'purpose' && from.every(kinds);
    default:
      return false;
  }
}

/** One purpose exactly, and another one, or none of a list with it. */
function namesExclude(a: Constraint, b: Constraint): boolean {
  const [exact, other] = a.operator === 'eq' ? [a, b] : [b, a];
  if (exact.operator !== 'eq') return false;
  const [one, others] = [namesIn(exact), namesIn(other)];
  if (other.operator === 'eq' || other.operator === 'isAnyOf') return !one.some((name) => others.includes(name));
  if (other.operator === 'isA')
    return one.every((name) => others.every((wide) => isKindOf(String(name), String(wide)) === false));
  return (other.operator === 'neq' || other.operator === 'isNoneOf') && one.every((name) => others.includes(name));
}

/** Operands that are over after a time. */
const PERIODS: ReadonlySet<string> = new Set(['elapsedTime', 'meteredTime']);
const WITHIN: ReadonlySet<string> = new Set(['eq', 'lteq']);

function periodImplies(given: Constraint, wanted: Constraint): boolean {
  const [from, to] = [readOr(() => readDuration(given.rightOperand)), readOr(() => readDuration(wanted.rightOperand))];
  if (from === undefined || to === undefined || !WITHIN.has(given.operator) || !WITHIN.has(wanted.operator))
    return false;
  return noLonger(from, to);
}

/** Wherever they begin: a month is longer than 27 days and shorter than 32. */
function noLonger(a: Duration, b: Duration): boolean {
  return a.months <= b.months && a.milliseconds <= b.milliseconds;
}

function budgetImplies(given: unknown, wanted: unknown): boolean {
  const [from, to] = [given as Partial<Budget>, wanted as Partial<Budget>];
  const numbers = [from.epsilon, from.delta, to.epsilon, to.delta];
  if (numbers.some((each) => typeof each !== 'number')) return false;
  return Number(from.epsilon) <= Number(to.epsilon) && Number(from.delta) <= Number(to.delta);
}

/** What hides an organisation hides its rows: asking for the stronger unit permits less. */
function unitImplies(given: unknown, wanted: unknown): boolean {
  const [from, to] = [given, wanted].map((each) => PRIVACY_UNITS.find((unit) => unit === each));
  return from !== undefined && to !== undefined && hidesAsMuch(from, to);
}

interface Budget {
  readonly epsilon: number;
  readonly delta: number;
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}
