import { TRAIN, ACCESS, USE, displayTerm } from '../terms.ts';
import type { Constraint, RuleKind } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { shown } from '../wording.ts';
import type { Vocabulary } from '../vocabulary.ts';
import type { Operand, ReadConstraint } from './operand.ts';

/** A constraint that can be checked where it stands, or a sentence why not. */
export type Examined =
  | { readonly read: ReadConstraint; readonly operand: Operand; readonly problem?: undefined }
  | { readonly read?: undefined; readonly problem: string; readonly cause?: Unreadable };

/** Reads a constraint in a rule of a kind and action. Never throws for what a policy may contain. */
export function examine(
  constraint: Omit<Constraint, 'unread'>,
  rule: { kind: RuleKind; action: string },
  vocabulary: Vocabulary,
  dataType?: string,
): Examined {
  const { leftOperand, operator, rightOperand, unit, status, frequency } = constraint;
  const name = shown(displayTerm(leftOperand));
  const operand = vocabulary.operand(leftOperand);
  if (operand === undefined) return { problem: `The operand ${name} is not known to this node.` };
  const problem = misplaced(name, operand, operator, rule, vocabulary);
  if (problem !== undefined) return { problem };
  const site = { unit, status, frequency };
  for (const property of ['unit', 'status', 'frequency'] as const) {
    if (site[property] !== undefined && operand.reads?.includes(property) !== true) {
      return { problem: `The property ${property} of the constraint on ${name} is not supported.` };
    }
  }
  try {
    return { read: operand.read(rightOperand, operator, dataType, site), operand };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { problem: `The constraint on ${name} cannot be checked: ${error.message}.`, cause: error };
  }
}

/** Why a constraint would test nothing where it stands; undefined where it tests something. */
function misplaced(
  name: string,
  operand: Operand,
  operator: string,
  rule: { kind: RuleKind; action: string },
  vocabulary: Vocabulary,
): string | undefined {
  if (!operand.operators.includes(operator)) {
    return `The operator ${shown(displayTerm(operator))} is not supported for ${name}: use ${operand.operators.join(', ')}.`;
  }
  if (operand.rules !== 'any' && !operand.rules.includes(rule.kind)) {
    return `The operand ${name} is not supported in ${rule.kind === 'obligation' ? 'an' : 'a'} ${rule.kind}.`;
  }
  const family = familyOf(rule.action, vocabulary);
  if (operand.actions !== 'any' && family !== undefined && !operand.actions.includes(family)) {
    return `The operand ${name} is not supported for the action ${displayTerm(rule.action)}.`;
  }
  return undefined;
}

/**
 * Which of the actions that requests are made for an action belongs to. What an unknown action means is unknown
 * anyway: its rule reports the action.
 */
function familyOf(action: string, { actions }: Vocabulary): string | undefined {
  if (action === TRAIN || action === ACCESS) return action;
  const name = actions.resolve(action);
  if (name === undefined) return undefined;
  return actions.includes(USE, name) ? USE : name;
}
