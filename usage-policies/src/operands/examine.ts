import type { Constraint, RuleKind } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { TRAIN, USE, displayTerm } from '../terms.ts';
import { shown } from '../wording.ts';
import { OPERANDS } from './index.ts';
import type { Operand, ReadConstraint } from './operand.ts';

/** A constraint that can be checked where it stands, or a sentence why not. */
export type Examined =
  | { readonly read: ReadConstraint; readonly problem?: undefined }
  | { readonly read?: undefined; readonly problem: string; readonly cause?: Unreadable };

/** Reads a constraint in a rule of a kind and action. Never throws for what a policy may contain. */
export function examine(
  constraint: Pick<Constraint, 'leftOperand' | 'operator' | 'rightOperand'>,
  rule: { kind: RuleKind; action: string },
  dataType?: string,
): Examined {
  const { leftOperand, operator, rightOperand } = constraint;
  const name = shown(displayTerm(leftOperand));
  const operand = OPERANDS.get(leftOperand);
  if (operand === undefined) return { problem: `The operand ${name} is not known to this node.` };
  const problem = misplaced(name, operand, operator, rule);
  if (problem !== undefined) return { problem };
  try {
    return { read: operand.read(rightOperand, operator, dataType) };
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
): string | undefined {
  if (!operand.operators.includes(operator)) {
    return `The operator ${shown(displayTerm(operator))} is not supported for ${name}: use ${operand.operators.join(', ')}.`;
  }
  if (!operand.rules.includes(rule.kind)) return `The operand ${name} is not supported in a ${rule.kind}.`;
  // What an unknown action means is unknown anyway: its rule reports the action.
  if ((rule.action === USE || rule.action === TRAIN) && !operand.actions.includes(rule.action)) {
    return `The operand ${name} is not supported for the action ${displayTerm(rule.action)}.`;
  }
  return undefined;
}
