import { policyDigest } from './digest.ts';
import { checkContext, eachOf, fieldsOf, nameOf, typesOf, type Field } from './fields.ts';
import { DEFAULT_LIMITS, checkJson, type PolicyLimits } from './json-limits.ts';
import type { Policy, PolicyType, Rule, RuleKind, Unread } from './model.ts';
import { readRule, saysNothing, type Shared } from './parse-rule.ts';
import { PolicyError } from './policy-error.ts';
import { KNOWN_PROFILES, displayTerm, isAnnotation, normaliseTerm } from './terms.ts';
import { shown, shownValue } from './wording.ts';

/** Terms that are read, or that no decision depends on. */
const READ = new Set(['@id', '@type', '@context', 'profile', 'permission', 'prohibition', 'timestamp']);
const POLICY_TYPES: readonly string[] = ['Set', 'Offer', 'Agreement'] satisfies PolicyType[];

/**
 * Reads a policy as the Dataspace Protocol and ODRL write it: terms compact, prefixed or as full IRI; one rule,
 * constraint or value, or an array of them; values plain or as `{"@value"}` and `{"@id"}`.
 *
 * Whatever it does not understand and might change what a rule means stays in the model (`unread`, `problems`), and
 * the rule fails closed: such a permission grants nothing, such a prohibition forbids. Use problemsOf to refuse a
 * policy with such terms at publication.
 *
 * @param json parsed JSON; never changed, never kept
 * @throws PolicyError `bad-policy` for what is no policy or has a wrong value of our own terms, `too-large` beyond
 *   the limits; `path` says where
 */
export function parsePolicy(json: unknown, limits: Partial<PolicyLimits> = {}): Policy {
  const within = { ...DEFAULT_LIMITS, ...limits };
  checkJson(json, within);
  const fields = fieldsOf(json, '$', 'a policy');
  checkContext(fields.get('@context'));
  const type = readType(fields.get('@type'));

  const unread: Unread[] = [];
  const annotations: Unread[] = [];
  const problems: string[] = [];
  const leave = (term: string, value: unknown, sentence: string) => {
    unread.push({ term, value });
    problems.push(sentence);
  };

  const party = (term: keyof Shared): string | undefined => {
    const field = fields.get(term);
    if (field === undefined) return undefined;
    const name = nameOf(field.value);
    if (name === undefined) {
      leave(term, field.value, `The policy's ${term}, ${shownValue(field.value)}, says more than one name.`);
    }
    return name;
  };
  const shared: Shared = { assigner: party('assigner'), assignee: party('assignee'), target: party('target') };

  const profiles = eachOf(fields.get('profile')).map(({ value, path }) => {
    const profile = nameOf(value);
    if (profile === undefined) throw new PolicyError(path, 'a profile is an IRI');
    if (!KNOWN_PROFILES.has(profile)) problems.push(`The profile ${shown(profile)} is not known to this node.`);
    return profile;
  });

  for (const [term, { value }] of fields) {
    if (READ.has(term) || term in shared || saysNothing(term, value)) continue;
    // Prohibitions win here in any case, so saying so changes nothing.
    const prohibitionsWin = term === 'conflict' && normaliseTerm(nameOf(value) ?? '') === 'prohibit';
    if (prohibitionsWin || isAnnotation(term)) annotations.push({ term, value });
    else leave(term, value, `The property ${shown(displayTerm(term))} of a policy is not supported.`);
  }

  const id = readId(fields.get('@id'), type);
  const rulesOf = (kind: RuleKind): Rule[] =>
    eachOf(fields.get(kind)).flatMap((field) => readRule(field, kind, shared, within.constraintsPerRule));
  refuseManyRules(fields, within.rules);
  const permissions = rulesOf('permission');
  const prohibitions = rulesOf('prohibition');
  if (permissions.length + prohibitions.length > within.rules) throw tooManyRules(within.rules);

  return {
    id,
    type,
    profiles,
    ...(shared.assigner === undefined ? {} : { assigner: shared.assigner }),
    ...(shared.assignee === undefined ? {} : { assignee: shared.assignee }),
    ...(shared.target === undefined ? {} : { target: shared.target }),
    permissions,
    prohibitions,
    obligations: [],
    conflicts: [],
    inheritsFrom: [],
    annotations,
    unread,
    problems,
    digest: policyDigest(json),
  };
}

/** Before any rule is read: the actions of a rule multiply its constraints. */
function refuseManyRules(fields: ReadonlyMap<string, Field>, limit: number): void {
  let rules = 0;
  for (const field of [...eachOf(fields.get('permission')), ...eachOf(fields.get('prohibition'))]) {
    const action = fieldsOf(field.value, field.path, 'a rule').get('action')?.value;
    rules += Array.isArray(action) ? action.length : 1;
    if (rules > limit) throw tooManyRules(limit);
  }
}

function tooManyRules(limit: number): PolicyError {
  return new PolicyError('$', `a policy has at most ${limit} rules, one for each action`, { code: 'too-large' });
}

function readType(field: Field | undefined): PolicyType {
  if (field === undefined) return 'Set';
  const types = typesOf(field, ['Policy']);
  const [type = 'Set'] = types;
  if (types.length > 1 || !POLICY_TYPES.includes(type)) {
    throw new PolicyError(field.path, `${shownValue(field.value)} is not supported: use Set, Offer or Agreement`);
  }
  return type as PolicyType;
}

function readId(field: Field | undefined, type: PolicyType): string {
  if (field === undefined) {
    if (type === 'Agreement') throw new PolicyError('$', 'an agreement has an @id');
    return '';
  }
  if (typeof field.value !== 'string' || field.value === '') throw new PolicyError(field.path, 'an @id is an IRI');
  return field.value;
}
