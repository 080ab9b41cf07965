import { isLogical, type Condition, type Constraint, type LogicalConstraint, type UsageState } from './model.ts';
import { examine } from './operands/examine.ts';
import { HOLDS, fails, spend, unknown, type ReadConstraint, type Test, type Verdict } from './operands/operand.ts';
import { readDelay } from './operands/times.ts';
import type { References } from './options.ts';
import { isDutyKind, isTiming, type Place } from './parse-condition.ts';
import { itemsOf, onlyItem } from './values.ts';
import { displayTerm } from './terms.ts';
import { Unreadable } from './policy-error.ts';
import type { Vocabulary } from './vocabulary.ts';
import { listed, shown } from './wording.ts';

export interface CompiledConditions {
  /** All must hold. */
  readonly tests: readonly Test[];
  /** Those of them that stay failed once they fail, since time goes one way. */
  readonly expiring: readonly Test[];
  /** All but those. */
  readonly lasting: readonly Test[];
  readonly words: readonly string[];
  /** Every constraint that holds for the whole rule, for what it grants and limits. */
  readonly reads: readonly ReadConstraint[];
}

export interface Compiling {
  readonly vocabulary: Vocabulary;
  readonly references: References | undefined;
  /** Takes one sentence for everything that cannot be checked. */
  readonly problem: (sentence: string) => void;
}

interface Compiled extends Pick<ReadConstraint, 'test' | 'words'> {
  readonly read?: ReadConstraint;
  /** What it grants holds for the whole rule. */
  readonly wholeRule?: boolean;
}

/** Turns the conditions of a rule, action, asset or party into closures. Never throws for what a policy may contain. */
export function compileConditions(
  conditions: readonly Condition[],
  place: Place,
  compiling: Compiling,
): CompiledConditions {
  const compiled = conditions.flatMap((condition) => flatten(condition, place, compiling));
  return {
    tests: compiled.map(({ test }) => test),
    expiring: compiled.filter(({ read }) => read?.expires === true).map(({ test }) => test),
    lasting: compiled.filter(({ read }) => read?.expires !== true).map(({ test }) => test),
    words: compiled.map(({ words }) => words),
    reads: compiled.flatMap(({ read }) => read ?? []),
  };
}

/** What all has to hold, one by one: an `and` on the rule itself is as good as its operands. */
function flatten(condition: Condition, place: Place, compiling: Compiling): Compiled[] {
  if (!isLogical(condition)) return compileConstraint(condition, place, compiling);
  if (condition.operands.length === 0)
    compiling.problem(`The logical constraint ${condition.logical} has no operands.`);
  if (condition.logical === 'and') return condition.operands.flatMap((operand) => flatten(operand, place, compiling));
  if (condition.logical === 'andSequence') return sequence(condition.operands, place, compiling);
  return [compileAlternatives(condition, place, compiling)];
}

/** In order: a delay is counted from the moment that the constraint before it gives. */
function sequence(operands: readonly Condition[], place: Place, compiling: Compiling): Compiled[] {
  let trigger: ((state: UsageState) => number | undefined) | undefined;
  return operands.flatMap((operand) => {
    const from = trigger;
    const compiled =
      from !== undefined && !isLogical(operand) && operand.leftOperand === 'delayPeriod'
        ? compileConstraint(operand, place, compiling, from)
        : flatten(operand, place, compiling);
    trigger = compiled.at(-1)?.read?.moment;
    return compiled;
  });
}

function compileConstraint(
  constraint: Constraint,
  place: Place,
  compiling: Compiling,
  trigger?: (state: UsageState) => number | undefined,
): Compiled[] {
  // When a duty is due is part of the rule's timing.
  if (isDutyKind(place.kind) && isTiming(constraint)) return [];
  if (constraint.unread.length > 0) {
    compiling.problem(
      `A constraint on ${shown(displayTerm(constraint.leftOperand))} with ${listed(constraint.unread.map(({ term }) => term))} is not supported.`,
    );
  }
  const looked = lookUp(constraint, compiling);
  if (looked === undefined) return [];
  const examined = examine(looked, place, compiling.vocabulary);
  if (examined.read === undefined) {
    compiling.problem(examined.problem);
    return [];
  }
  const { read, operand } = examined;
  const wholeRule = operand.wholeRule === true;
  if (trigger === undefined) return [{ test: read.test, words: read.words, read, wholeRule }];
  // Read before without a fault, so it can be read with its trigger too.
  const delay = readDelay(looked.rightOperand, looked.operator, undefined, trigger);
  return [{ ...delay, read: { ...read, ...delay } }];
}

/** Puts the values behind references in the right operand's place. */
function lookUp(constraint: Constraint, { references, problem }: Compiling): Constraint | undefined {
  if (constraint.references === undefined) return constraint;
  const name = shown(displayTerm(constraint.leftOperand));
  const values: unknown[] = [];
  for (const iri of constraint.references) {
    if (references?.allowed.includes(iri) !== true) {
      problem(`The right operand of ${name} is to be looked up at ${shown(iri)}, which the operator has not allowed.`);
      return undefined;
    }
    const value = references.resolve(iri);
    if (value === undefined) {
      problem(`The right operand of ${name}, which is to be looked up at ${shown(iri)}, is not known.`);
      return undefined;
    }
    values.push(...itemsOf(value));
  }
  const { references: _, ...rest } = constraint;
  try {
    return { ...rest, rightOperand: values.length === 1 ? onlyItem(values) : values };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    problem(`The right operand of ${name} cannot be read: ${error.message}.`);
    return undefined;
  }
}

/** Alternatives are listed as far as somebody would read them. */
const MOST_LISTED = 4;

function shortly(words: readonly string[], between: string): string {
  const rest = words.length - MOST_LISTED;
  const some = words.slice(0, MOST_LISTED).join(between);
  return rest > 0 ? `${some}${between}${rest} more` : some;
}

function compileAlternatives({ logical, operands }: LogicalConstraint, place: Place, compiling: Compiling): Compiled {
  const compiled = operands.map((operand) => conjunction(flatten(operand, place, compiling), compiling));
  const tests = compiled.map(({ test }) => test);
  const total = compiled.length;
  const alternatives = shortly(
    compiled.map(({ words }) => `(${words})`),
    ' or ',
  );
  const words = `${logical === 'or' ? '' : 'exactly one of '}${alternatives}`;
  const none = fails(`None of ${total} alternative conditions is met: ${words}.`);
  const open = unknown(`It is not known which of ${total} alternative conditions is met: ${words}.`);
  const several = fails(`More than one of ${total} conditions is met, and only one may be: ${words}.`);

  const or: Test = (request, state, evaluation) => {
    spend(evaluation, total);
    let undecided = false;
    for (const test of tests) {
      const { outcome } = test(request, state, evaluation);
      if (outcome === 'holds') return HOLDS;
      if (outcome === 'unknown') undecided = true;
    }
    return undecided ? open : none;
  };
  const xone: Test = (request, state, evaluation) => {
    spend(evaluation, total);
    let holding = 0;
    let undecided = false;
    for (const test of tests) {
      const { outcome } = test(request, state, evaluation);
      if (outcome === 'holds') holding += 1;
      if (outcome === 'unknown') undecided = true;
    }
    if (holding > 1) return several;
    if (undecided) return open;
    return holding === 1 ? HOLDS : none;
  };
  return { test: logical === 'xone' ? xone : or, words };
}

/** One alternative, which may be several conditions at once. */
function conjunction(parts: readonly Compiled[], compiling: Compiling): Pick<Compiled, 'test' | 'words'> {
  for (const { words, wholeRule } of parts) {
    if (wholeRule === true) compiling.problem(`What holds for a whole rule cannot be an alternative: ${words}.`);
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const tests = parts.map(({ test }) => test);
  return {
    words: shortly(
      parts.map(({ words }) => words),
      ' and ',
    ),
    test: (request, state, evaluation): Verdict => {
      spend(evaluation, tests.length);
      let open: Verdict = HOLDS;
      for (const test of tests) {
        const verdict = test(request, state, evaluation);
        if (verdict.outcome === 'fails') return verdict;
        if (verdict.outcome === 'unknown') open = verdict;
      }
      return open;
    },
  };
}
