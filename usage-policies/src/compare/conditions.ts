import { canonicalForm } from '../digest.ts';
import { isLogical, type Condition, type Constraint } from '../model.ts';
import { valuesExclude, valuesImply } from './value-sets.ts';

/**
 * Whether `wanted` holds wherever all of `given` hold, whatever the request and the state. A proof: errs to the side of
 * false. It is one for three-valued conditions too: where `wanted` fails, some condition given does not hold, and
 * where nothing is known of the operand of the one, nothing is known of the other.
 */
export function impliesCondition(given: readonly Condition[], wanted: Condition): boolean {
  if (isLogical(wanted)) {
    if (wanted.logical === 'and') return wanted.operands.every((each) => impliesCondition(given, each));
    if (wanted.logical === 'or' && wanted.operands.some((each) => impliesCondition(given, each))) return true;
  }
  return given.some((each) => oneImplies(each, wanted));
}

function oneImplies(given: Condition, wanted: Condition): boolean {
  if (sameCondition(given, wanted)) return true;
  if (isLogical(given)) {
    if (given.logical === 'and') return impliesCondition(given.operands, wanted);
    // In an `andSequence` a delay means something else than alone, and of `xone` the others are false.
    if (given.logical !== 'or' || given.operands.length === 0) return false;
    return given.operands.every((each) => impliesCondition([each], wanted));
  }
  return !isLogical(wanted) && comparable(given, wanted) && valuesImply(given, wanted);
}

/**
 * Whether not all of `conditions` and `others` can hold at once: proven from two constraints on an operand that is one
 * value in every request. Errs to the side of false.
 */
export function exclude(conditions: readonly Condition[], others: readonly Condition[]): boolean {
  const atoms = (all: readonly Condition[]): Constraint[] =>
    all.flatMap((each) => (!isLogical(each) ? [each] : each.logical === 'and' ? atoms(each.operands) : []));
  return atoms(conditions).some((one) =>
    atoms(others).some((other) => comparable(one, other) && valuesExclude(one, other)),
  );
}

/** On one operand, in one unit, and said with operator and right operand alone. */
function comparable(a: Constraint, b: Constraint): boolean {
  return a.leftOperand === b.leftOperand && a.unit === b.unit && plain(a) && plain(b);
}

function plain({ unread, references, status, frequency }: Constraint): boolean {
  return unread.length === 0 && references === undefined && status === undefined && frequency === undefined;
}

/** The same condition, whatever its IRI. */
export function sameCondition(a: Condition, b: Condition): boolean {
  return canonicalForm(withoutId(a)) === canonicalForm(withoutId(b));
}

function withoutId(condition: Condition): unknown {
  const { id: _, ...rest } = condition;
  return 'operands' in rest ? { ...rest, operands: rest.operands.map(withoutId) } : rest;
}
