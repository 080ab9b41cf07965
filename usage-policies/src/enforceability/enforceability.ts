import { compile } from '../compile.ts';
import { conditionWords, dutyWords } from '../explain/explain.ts';
import type { Language } from '../explain/languages.ts';
import { FOEDUS, isLogical, type Condition, type Constraint, type Policy, type Rule, type RuleKind } from '../model.ts';
import type { PolicyOptions } from '../options.ts';
import { isDutyKind } from '../parse-condition.ts';
import { isObject } from '../values.ts';
import { createVocabulary, type Vocabulary } from '../vocabulary.ts';
import { FOEDUS_NODES, type Capabilities } from './capabilities.ts';

/**
 * Who sees to it that a rule is kept.
 *
 * - `enforced-by-provider`, `enforced-by-consumer`: that node, by technical means.
 * - `evidence-only`: nobody by technical means. What is stated and done is on record, for an auditor.
 * - `not-understood`: not read by this package, or read and established by neither node. It fails closed: a permission
 *   with it grants nothing, a prohibition with it always forbids.
 */
export type Enforcement = (typeof ENFORCEMENTS)[number];

/** From the best to the worst: a rule is as good as the worst of its parts. */
export const ENFORCEMENTS = [
  'enforced-by-provider',
  'enforced-by-consumer',
  'evidence-only',
  'not-understood',
] as const;

export interface PartReport {
  readonly part: 'action' | 'constraint' | 'refinement' | 'duty' | 'policy';
  /** What it says, in words. */
  readonly text: string;
  readonly enforcement: Enforcement;
}

export interface RuleEnforcement {
  readonly kind: RuleKind;
  readonly id?: string;
  readonly action: string;
  readonly enforcement: Enforcement;
  readonly parts: readonly PartReport[];
}

export interface EnforceabilityReport {
  /** The worst of all rules. */
  readonly enforcement: Enforcement;
  readonly rules: readonly RuleEnforcement[];
  readonly policyDigest: string;
}

/**
 * Says of every rule, condition and duty of a policy who can enforce it: before an offer is published, and before one
 * is accepted. A function of its arguments.
 *
 * @param capabilities what the two nodes can do. @default two Foedus nodes of this version
 * @param options the same that parsePolicy was given
 */
export function enforceability(
  policy: Policy,
  capabilities: Capabilities = FOEDUS_NODES,
  language: Language = 'en',
  options: PolicyOptions = {},
): EnforceabilityReport {
  const { operand } = createVocabulary(options.profiles);
  const context = { policy, capabilities, language, operand };
  const { permissions, prohibitions } = compile(policy, options);
  const ofPolicy: PartReport[] = policy.problems.map((text) => ({
    part: 'policy',
    text,
    enforcement: 'not-understood',
  }));
  const report = (rule: Rule, problems: readonly string[]): RuleEnforcement => {
    const parts = [...partsOf(rule, problems, context), ...ofPolicy];
    return {
      kind: rule.kind,
      ...(rule.id === undefined ? {} : { id: rule.id }),
      action: rule.action,
      enforcement: worst(parts.map(({ enforcement }) => enforcement)),
      parts,
    };
  };
  const rules = [
    ...policy.permissions.map((rule, index) => report(rule, permissions[index]?.problems ?? [])),
    ...policy.prohibitions.map((rule, index) => report(rule, prohibitions[index]?.problems ?? [])),
    ...policy.obligations.map((rule) => report(rule, rule.problems)),
  ];
  return {
    enforcement: worst([...rules, ...ofPolicy].map((each) => each.enforcement)),
    rules,
    policyDigest: policy.digest,
  };
}

function worst(all: readonly Enforcement[]): Enforcement {
  return ENFORCEMENTS.findLast((each) => all.includes(each)) ?? 'enforced-by-provider';
}

interface Context {
  readonly policy: Policy;
  readonly capabilities: Capabilities;
  readonly language: Language;
  readonly operand: Vocabulary['operand'];
}

function partsOf(
  rule: Rule,
  problems: readonly string[],
  context: Context,
  /** Whether some node weighs the rule that a duty belongs to. */
  weighedAbove = true,
): PartReport[] {
  const { policy, language } = context;
  const part = (name: PartReport['part'], text: string, enforcement: Enforcement): PartReport => ({
    part: name,
    text,
    enforcement,
  });
  const isDuty = isDutyKind(rule.kind);
  const action = isDuty ? ofDuty(rule, context, weighedAbove) : by('actions', rule.action, context, 'evidence-only');
  const weighed = isDuty ? weighedAbove : action !== 'evidence-only';
  const conditions = (name: 'constraint' | 'refinement', all: readonly Condition[]): PartReport[] =>
    all.map((each) => {
      // Where no node lets the action happen none weighs its conditions either.
      const open = !weighed && isUnderstood(each, context);
      return part(name, conditionWords(each, policy, language), open ? 'evidence-only' : ofCondition(each, context));
    });
  const duties = [...rule.duties, ...rule.consequences, ...rule.remedies];
  return [
    part('action', dutyWords(rule, policy, language), action),
    // When a duty is due, and how it is to be done, is judged with the duty.
    ...(isDuty ? [] : conditions('constraint', rule.constraints)),
    ...(isDuty
      ? []
      : conditions('refinement', [...rule.actionRefinements, ...rule.targetRefinements, ...rule.assigneeRefinements])),
    ...duties.flatMap((duty) =>
      partsOf(duty, duty.problems, context, weighed).map((each) =>
        each.part === 'action' ? { ...each, part: 'duty' as const } : each,
      ),
    ),
    ...problems.map((text) => part('policy', text, 'not-understood')),
  ];
}

type Kind = 'actions' | 'operands' | 'duties';

function by(what: Kind, term: string, { capabilities }: Context, otherwise: Enforcement): Enforcement {
  if (capabilities.provider[what].includes(term)) return 'enforced-by-provider';
  return capabilities.consumer[what].includes(term) ? 'enforced-by-consumer' : otherwise;
}

/** What has to be done before a use, and is never known to be done, never lets the use happen. */
function ofDuty({ kind, timing, action }: Rule, context: Context, weighed: boolean): Enforcement {
  const blocks = weighed && kind === 'duty' && timing !== 'after';
  return by('duties', action, context, blocks ? 'not-understood' : 'evidence-only');
}

function isUnderstood(condition: Condition, context: Context): boolean {
  if (isLogical(condition)) return condition.operands.every((each) => isUnderstood(each, context));
  return context.operand(condition.leftOperand) !== undefined && condition.unread.length === 0;
}

function ofCondition(condition: Condition, context: Context): Enforcement {
  if (isLogical(condition)) return worst(condition.operands.map((each) => ofCondition(each, context)));
  if (!isUnderstood(condition, context)) return 'not-understood';
  const { leftOperand } = condition;
  const stated = context.capabilities.provider.statements.includes(leftOperand);
  const enforcement = by('operands', leftOperand, context, stated ? 'evidence-only' : 'not-understood');
  if (!CUTS.has(leftOperand)) return enforcement;
  // What cuts the data is done by the provider or not at all: then nothing leaves.
  const masks = masksOf(condition).every((mask) => context.capabilities.provider.masks.includes(mask));
  return enforcement === 'enforced-by-provider' && masks ? enforcement : 'not-understood';
}

/** Operands that decide what leaves, not whether. */
const CUTS: ReadonlySet<string> = new Set(
  'columns rowFilter masks minimumGroupSize aggregates rowLimit byteLimit sampling'
    .split(' ')
    .map((name) => FOEDUS + name),
);

function masksOf({ leftOperand, rightOperand }: Constraint): string[] {
  if (leftOperand !== `${FOEDUS}masks` || !isObject(rightOperand)) return [];
  return Object.values(rightOperand).map((mask) => (isObject(mask) ? String(mask['method']) : ''));
}
