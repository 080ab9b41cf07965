import { isLogical, type Condition, type Policy, type Rule } from './model.ts';

/** Every left operand of a policy, in duties and refinements too: what it takes to decide by it. */
export function operandsOf(policy: Policy): ReadonlySet<string> {
  const found = new Set<string>();
  const ofCondition = (condition: Condition): void => {
    if (isLogical(condition)) condition.operands.forEach(ofCondition);
    else found.add(condition.leftOperand);
  };
  const ofRule = (rule: Rule): void => {
    const refinements = [rule.actionRefinements, rule.targetRefinements, rule.assigneeRefinements];
    [...rule.constraints, ...refinements.flat()].forEach(ofCondition);
    [...rule.duties, ...rule.consequences, ...rule.remedies].forEach(ofRule);
  };
  [...policy.permissions, ...policy.prohibitions, ...policy.obligations].forEach(ofRule);
  return found;
}
