import { compile } from '../compile.ts';
import { isLogical, type Condition, type Constraint, type Policy, type Rule } from '../model.ts';
import { OPERANDS } from '../operands/index.ts';
import { Unreadable } from '../policy-error.ts';
import { displayTerm } from '../terms.ts';
import { ACTION_WORDS } from './actions.ts';
import type { Language } from './languages.ts';
import { SUBJECTS, ourSentence } from './operands.ts';
import { OPERATOR_WORDS } from './operators.ts';
import { HEADINGS, PHRASES, ROLES, fill } from './phrases.ts';
import { list, quoted, value } from './values.ts';

/**
 * A policy in plain words, for those who have to sign it: made from the same model that decisions are made from, and
 * complete. Nothing of a rule is left out or cut short; what this node does not understand is shown as it was written,
 * with what follows from it. Every text of others stands between quotation marks, or is one word or IRI.
 *
 * @returns lines; those that belong to the one above are indented by two more spaces
 */
export function explain(policy: Policy, language: Language): string[] {
  const say = (phrase: keyof typeof PHRASES, values: Readonly<Record<string, string>> = {}): string =>
    fill(PHRASES[phrase][language], values);
  const names = (items: readonly string[]): string => list(items.map(quoted), language);
  const { permissions, prohibitions } = compile(policy);
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
    ...(policy.prohibitions.length > 0 && policy.permissions.length > 0 ? [say(conflictPhrase(policy))] : []),
    say('restIsDenied'),
  ];
}

function numbered(number: number, [first = '', ...rest]: readonly string[]): string[] {
  const label = `${number}. `;
  return [label + first, ...rest.map((line) => ' '.repeat(label.length) + line)];
}

function conflictPhrase({ conflicts }: Policy): keyof typeof PHRASES {
  const [only, ...others] = new Set(conflicts);
  if (only === undefined || others.length > 0 || only === 'invalid') return 'conflictVoids';
  return only === 'perm' ? 'permWins' : 'prohibitWins';
}

interface Context {
  readonly policy: Policy;
  readonly language: Language;
  readonly say: (phrase: keyof typeof PHRASES, values?: Readonly<Record<string, string>>) => string;
  /** Who the rule above is for. */
  readonly who?: string;
}

function ruleLines(rule: Rule, problems: readonly string[], context: Context): string[] {
  const { policy, language, say } = context;
  const party = rule.assignee ?? policy.assignee;
  const anyone = say(policy.type === 'Offer' ? 'whoeverAccepts' : 'anybody');
  const who = party === undefined ? (context.who ?? anyone) : quoted(party);
  const target = rule.target ?? policy.target;
  const asset = target === undefined ? say('theData') : quoted(target);
  const inner = { ...context, who };

  const sections = [
    section(say('inThisWay'), rule.actionRefinements, inner),
    section(say('ofTarget', { x: asset }), rule.targetRefinements, inner),
    section(say('ofAssignee', { x: who }), rule.assigneeRefinements, inner),
    section(say('ifAll'), rule.constraints, inner),
  ].flat();
  const roles = Object.entries({ ...(rule.assigner !== undefined && { assigner: rule.assigner }), ...rule.parties });
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
  const first = say(leadOf(rule), { who, what: actionWords(rule.action, asset, language) });
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
  const words = Object.hasOwn(ACTION_WORDS, action) ? ACTION_WORDS[action]?.[language] : undefined;
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
  const { leftOperand, operator, rightOperand, references = [], unit, status, unread } = constraint;
  const written = rightOperand === null && references.length > 0 ? [] : [value(rightOperand, language)];
  const looked = references.map((each) => say('reference', { x: quoted(each) }));
  const right = list([...written, ...looked], language);
  return [
    ourWords(constraint, language) ?? `${subjectWords(leftOperand, operator, language)} ${right}`,
    ...(unit === undefined ? [] : [say('unit', { x: quoted(unit) })]),
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
