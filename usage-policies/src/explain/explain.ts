import { ODRL } from '../actions.ts';
import { compile } from '../compile.ts';
import { isLogical, type Condition, type Constraint, type Policy, type Rule } from '../model.ts';
import { OPERANDS } from '../operands/index.ts';
import type { PolicyOptions } from '../options.ts';
import { isDutyKind, isTiming } from '../parse-condition.ts';
import { Unreadable } from '../policy-error.ts';
import { displayTerm } from '../terms.ts';
import { ACTION_WORDS } from './actions.ts';
import type { Language } from './languages.ts';
import { SUBJECTS } from './operands.ts';
import { OPERATOR_WORDS } from './operators.ts';
import { ourSentence } from './our-operands.ts';
import { HEADINGS, PHRASES, ROLES, fill } from './phrases.ts';
import { list, quoted, value } from './values.ts';

/**
 * A policy in plain words, for those who have to sign it: made from the same model that decisions are made from, and
 * complete. Nothing of a rule is left out or cut short; what this node does not understand is shown as it was written,
 * with what follows from it. Every text of others stands between quotation marks, or is one word or IRI.
 *
 * @param options the same that parsePolicy was given
 * @returns lines; those that belong to the one above are indented by two more spaces
 */
export function explain(policy: Policy, language: Language, options: PolicyOptions = {}): string[] {
  const { say } = contextOf(policy, language);
  const names = (items: readonly string[]): string => list(items.map(quoted), language);
  const { permissions, prohibitions, strategy } = compile(policy, options);
  const rules: readonly (readonly [Rule, readonly string[]])[] = [
    ...policy.permissions.map((rule, index) => [rule, permissions[index]?.problems ?? []] as const),
    ...policy.prohibitions.map((rule, index) => [rule, prohibitions[index]?.problems ?? []] as const),
    ...policy.obligations.map((rule) => [rule, rule.problems] as const),
  ];
  const unread = policy.unread.map(({ term, value: written }) => `${displayTerm(term)} ${JSON.stringify(written)}`);
  return [
    fill(HEADINGS[policy.type][language], { id: policy.id === '' ? '' : ` ${quoted(policy.id)}` }),
    ...(policy.assigner === undefined ? [] : [say('provider', { x: quoted(policy.assigner) })]),
    ...(policy.assignee === undefined ? [] : [say('consumer', { x: quoted(policy.assignee) })]),
    ...(policy.target === undefined ? [] : [say('target', { x: quoted(policy.target) })]),
    ...(policy.profiles.length === 0 ? [] : [say('profile', { x: names(policy.profiles) })]),
    ...(policy.inheritsFrom.length === 0 ? [] : [say('inherits', { x: names(policy.inheritsFrom) })]),
    ...(policy.problems.length === 0 ? [] : [say('policyNotUnderstood', { x: policy.problems.join(' ') })]),
    ...unread.map((each) => say('notRead', { x: quoted(each) })),
    ...rules.flatMap(([rule, problems], index) =>
      numbered(index + 1, ruleLines(rule, problems, { policy, language, say })),
    ),
    ...(policy.prohibitions.length > 0 && policy.permissions.length > 0 ? [say(CONFLICTS[strategy])] : []),
    say('restIsDenied'),
  ];
}

/** One condition in words, on one line. */
export function conditionWords(condition: Condition, policy: Policy, language: Language): string {
  const lines = conditionLines(condition, contextOf(policy, language));
  return lines.map((line) => line.trim()).join(' ');
}

/** Who may, must not or has to do what, without conditions. */
export function dutyWords(rule: Rule, policy: Policy, language: Language): string {
  const { say } = contextOf(policy, language);
  return say(leadOf(rule), whoAndWhat(rule, contextOf(policy, language)));
}

function contextOf(policy: Policy, language: Language): Context {
  return {
    policy,
    language,
    say: (phrase, values = {}) => fill(PHRASES[phrase][language], values),
  };
}

function numbered(number: number, [first = '', ...rest]: readonly string[]): string[] {
  const label = `${number}. `;
  return [label + first, ...rest.map((line) => ' '.repeat(label.length) + line)];
}

const CONFLICTS = { perm: 'permWins', prohibit: 'prohibitWins', invalid: 'conflictVoids' } as const;

interface Context {
  readonly policy: Policy;
  readonly language: Language;
  readonly say: (phrase: keyof typeof PHRASES, values?: Readonly<Record<string, string>>) => string;
  /** Who the rule above is for. */
  readonly who?: string;
}

function ruleLines(rule: Rule, problems: readonly string[], context: Context): string[] {
  const { language, say } = context;
  const { who, what, asset } = whoAndWhat(rule, context);
  const inner = { ...context, who };

  const sections = [
    section(say('inThisWay'), rule.actionRefinements, inner),
    section(say('ofTarget', { x: asset }), rule.targetRefinements, inner),
    section(say('ofAssignee', { x: who }), rule.assigneeRefinements, inner),
    section(say(isDutyKind(rule.kind) ? 'suchThat' : 'ifAll'), constraintsOf(rule), inner),
  ].flat();
  const roles = Object.entries({
    ...(rule.assigner !== undefined && { assigner: rule.assigner }),
    ...rule.parties,
  });
  const others = roles.map(([role, iri]) => {
    const words = Object.hasOwn(ROLES, role) ? ROLES[role]?.[language] : undefined;
    return say('role', { role: words ?? quoted(role), x: quoted(iri) });
  });
  const dependent = [...rule.duties, ...rule.consequences, ...rule.remedies].flatMap((each) =>
    ruleLines(each, each.problems, inner),
  );
  const unread = rule.unread.map(({ term, value: written }) =>
    say('notRead', { x: quoted(`${displayTerm(term)} ${JSON.stringify(written)}`) }),
  );
  const first = say(leadOf(rule), { who, what });
  return [
    first + (sections.length === 0 ? '.' : ','),
    ...[
      ...sections,
      ...others,
      ...(problems.length === 0 ? [] : [say(unreadPhrase(rule), { x: problems.join(' ') })]),
      ...unread,
      ...dependent,
    ].map((line) => `  ${line}`),
  ];
}

/** That a duty is due before or after the use is said already. */
function constraintsOf({ kind, constraints }: Rule): readonly Condition[] {
  return kind === 'duty' ? constraints.filter((each) => isLogical(each) || !isTiming(each)) : constraints;
}

function whoAndWhat(rule: Rule, { policy, language, say, who: above }: Context) {
  const party = rule.assignee ?? policy.assignee;
  const anyone = say(policy.type === 'Offer' ? 'whoeverAccepts' : 'anybody');
  const target = rule.target ?? policy.target;
  const asset = target === undefined ? say('theData') : quoted(target);
  return {
    who: party === undefined ? (above ?? anyone) : quoted(party),
    what: actionWords(rule.action, asset, language),
    asset,
  };
}

function leadOf({ kind, timing }: Rule): keyof typeof PHRASES {
  if (kind === 'duty') return timing === 'after' ? 'dutyAfter' : 'dutyBefore';
  return kind;
}

function unreadPhrase({ kind }: Rule): keyof typeof PHRASES {
  if (kind === 'permission') return 'permissionUnread';
  return kind === 'prohibition' ? 'prohibitionUnread' : 'dutyUnread';
}

/** An action's words, or its name as it was written. */
function actionWords(action: string, asset: string, language: Language): string {
  const name = ODRL.resolve(action) ?? action;
  const words = Object.hasOwn(ACTION_WORDS, name) ? ACTION_WORDS[name]?.[language] : undefined;
  return words === undefined ? `${quoted(displayTerm(action))} (${asset})` : fill(words, { x: asset });
}

function section(heading: string, conditions: readonly Condition[], context: Context): string[] {
  if (conditions.length === 0) return [];
  return [heading, ...conditions.flatMap((condition) => bullet(conditionLines(condition, context)))];
}

function bullet([first = '', ...rest]: readonly string[]): string[] {
  return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
}

function conditionLines(condition: Condition, context: Context): string[] {
  if (!isLogical(condition)) return [constraintWords(condition, context)];
  return [
    context.say(condition.logical),
    ...condition.operands.flatMap((each) => bullet(conditionLines(each, context))),
  ];
}

function constraintWords(constraint: Constraint, { language, say }: Context): string {
  const { leftOperand, operator, rightOperand, references = [], unit, status, frequency, unread } = constraint;
  const written = rightOperand === null && references.length > 0 ? [] : [value(rightOperand, language)];
  const looked = references.map((each) => say('reference', { x: quoted(each) }));
  const right = list([...written, ...looked], language);
  const words = ourWords(constraint, language) ?? `${subjectWords(leftOperand, operator, language)} ${right}`;
  return [
    unit === undefined ? words : `${words} ${say('unit', { x: quoted(unit) })}`,
    ...(frequency === undefined ? [] : [say('frequency', { x: value(frequency, language) })]),
    ...(status === undefined ? [] : [say('status', { x: String(status) })]),
    ...unread.map((each) => say('notRead', { x: quoted(`${displayTerm(each.term)} ${JSON.stringify(each.value)}`) })),
  ].join('; ');
}

/** Our own operands have sentences for the value as decisions read it; where they cannot read it there is none. */
function ourWords(
  { leftOperand, operator, rightOperand, references = [] }: Constraint,
  language: Language,
): string | undefined {
  if (references.length > 0) return undefined;
  const sentence = ourSentence(leftOperand);
  const operand = OPERANDS.get(leftOperand);
  if (sentence === undefined || operand === undefined || !operand.operators.includes(operator)) return undefined;
  try {
    return sentence(operand.read(rightOperand, operator, undefined).value, language);
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function subjectWords(leftOperand: string, operator: string, language: Language): string {
  const subject = Object.hasOwn(SUBJECTS, leftOperand) ? SUBJECTS[leftOperand] : undefined;
  const verbs = OPERATOR_WORDS[subject?.kind ?? 'name'];
  const verb = Object.hasOwn(verbs, operator) ? verbs[operator]?.[language] : undefined;
  return `${subject?.[language] ?? quoted(displayTerm(leftOperand))} ${verb ?? quoted(displayTerm(operator))}`;
}
