import type { Actions } from './actions.ts';
import { compileConditions, type CompiledConditions, type Compiling } from './compile-condition.ts';
import type { CompiledDuty } from './duties.ts';
import { dutyKeys } from './duty-keys.ts';
import { grantOf, limitsOfRule, type Grant } from './grants.ts';
import {
  isLogical,
  type Condition,
  type ConflictStrategy,
  type DutyKind,
  type Limits,
  type Meter,
  type Policy,
  type PolicyType,
  type Rule,
} from './model.ts';
import type { Lookup, Test } from './operands/operand.ts';
import { noMetricsNamed } from './operands/training.ts';
import type { DutyMode, PolicyOptions, References } from './options.ts';
import { ANY_ACTION } from './parse-rule.ts';
import { createScope, createLookup, type Scope } from './scope.ts';
import { displayTerm, nounOf, TRAIN } from './terms.ts';
import { createVocabulary, type Vocabulary } from './vocabulary.ts';
import { listed, shown } from './wording.ts';

export type { Grant } from './grants.ts';

export interface CompiledRule {
  readonly kind: Rule['kind'];
  readonly id: string | undefined;
  /** As written. */
  readonly action: string;
  /** Who may, or may not; undefined: everybody. */
  readonly assignee: string | undefined;
  readonly scope: Scope;
  readonly problems: readonly string[];
  readonly tests: readonly Test[];
  /** The conditions in words. */
  readonly words: readonly string[];
  /** What is said where the rule is active. */
  readonly sentence: string;
  readonly grant: Grant;
  readonly limits: Limits;
  readonly duties: readonly CompiledDuty[];
  readonly remedies: readonly CompiledDuty[];
  /** What the history has of the rule's own action. */
  readonly exercised: Lookup;
}

/** A policy ready for decisions: made once by compile, used by decide and limitsOf. */
export interface CompiledPolicy {
  readonly digest: string;
  readonly digests: readonly string[];
  readonly type: PolicyType;
  readonly target: string | undefined;
  readonly problems: readonly string[];
  readonly permissions: readonly CompiledRule[];
  readonly prohibitions: readonly CompiledRule[];
  readonly obligations: readonly CompiledDuty[];
  readonly strategy: ConflictStrategy;
  /** Permissions and prohibitions of related actions, as places in the two lists: they conflict where both are met. */
  readonly conflicts: readonly (readonly [permission: number, prohibition: number])[];
  readonly actions: Actions;
  readonly dutyMode: DutyMode;
  readonly elapsedFrom: 'first-use' | 'agreement';
  /** See PolicyOptions.steps. */
  readonly steps: number;
}

const MOST_STEPS = 1_000_000;

/**
 * Turns every constraint into a closure. Never throws for what a policy may contain: what cannot be checked becomes a
 * problem of its rule, which then fails closed. Constraints are read again here, so a Policy from elsewhere than
 * parsePolicy is safe too.
 *
 * @param options the same that parsePolicy was given
 * @throws Error for options with a profile that contradicts ODRL
 */
export function compile(policy: Policy, options: PolicyOptions = {}): CompiledPolicy {
  const vocabulary = createVocabulary(options.profiles);
  const problems = new Set(policy.problems);
  const owed = owedIn(policy, vocabulary);
  const setting: Setting = { policy, vocabulary, references: options.references, owed, keys: dutyKeys(policy) };
  const permissions = policy.permissions.map((rule) => compileRule(rule, setting));
  const prohibitions = policy.prohibitions.map((rule) => compileRule(rule, setting));
  // What somebody is obliged to and nobody understands is not for us to skip.
  const compiling = compilingInto(problems, setting);
  const obligations = policy.obligations.map((duty) => compileDuty(duty, policy.assignee, policy.target, compiling));
  const [first = 'invalid'] = policy.conflicts;
  return {
    digest: policy.digest,
    digests: [policy.digest, ...(policy.inheritedDigests ?? [])],
    type: policy.type,
    target: policy.target,
    problems: [...problems],
    permissions,
    prohibitions,
    obligations,
    // Section 2.10, requirement 4: several strategies are as good as none.
    strategy: policy.conflicts.length > 1 ? 'invalid' : first,
    conflicts: permissions.flatMap((permission, at) =>
      prohibitions.flatMap((prohibition, other) =>
        related(permission.scope.action, prohibition.scope.action, vocabulary.actions) ? [[at, other] as const] : [],
      ),
    ),
    actions: vocabulary.actions,
    dutyMode: options.dutyMode ?? 'precondition',
    elapsedFrom: options.elapsedFrom ?? 'first-use',
    steps: options.steps ?? MOST_STEPS,
  };
}

/**
 * Whether what one rule permits and another prohibits contradict each other (ODRL 2.2 section 2.4): one action
 * includes the other, or what is permitted implies what is prohibited.
 */
function related(permitted: string, prohibited: string, actions: Actions): boolean {
  if (permitted === ANY_ACTION || prohibited === ANY_ACTION) return true;
  if (actions.grants(permitted, prohibited) || actions.includes(prohibited, permitted)) return true;
  return actions.impliedBy(permitted).some((implied) => actions.includes(prohibited, implied));
}

/**
 * Everything in a policy that this node cannot check, one sentence each, in the order of the rules. A node should
 * publish or ask for a policy only where this is empty: rules with problems grant nothing.
 */
export function problemsOf(policy: Policy, options: PolicyOptions = {}): readonly string[] {
  const compiled = compile(policy, options);
  const { problems, permissions, prohibitions } = compiled;
  const ofRules = [...permissions, ...prohibitions].flatMap((rule) => rule.problems);
  return [...new Set([...problems, ...ofRules, ...contradictionsIn(compiled)])];
}

/** Rules that contradict each other whatever the request: a policy with a pair of them is void from the beginning. */
function contradictionsIn({ strategy, conflicts, permissions, prohibitions }: CompiledPolicy): string[] {
  if (strategy !== 'invalid') return [];
  return conflicts.flatMap(([at, other]) => {
    const [permission, prohibition] = [permissions[at], prohibitions[other]];
    if (permission === undefined || prohibition === undefined || !isUnconditional(prohibition)) return [];
    const { scope } = prohibition;
    const forAll = scope.assignee === undefined || scope.assignee === permission.scope.assignee;
    const onAll = scope.target === undefined || scope.target === permission.scope.target;
    return forAll && onAll ? [contradiction(permission.action, prohibition.action)] : [];
  });
}

function isUnconditional({ tests, scope, problems }: CompiledRule): boolean {
  const refined = [scope.actionRefinements, scope.assigneeRefinements, scope.targetRefinements].flat();
  return tests.length === 0 && refined.length === 0 && problems.length === 0;
}

/** What is said where a permission and a prohibition contradict each other and no strategy says which wins. */
export function contradiction(permitted: string, prohibited: string): string {
  return `The policy is void: it permits ${nounOf(permitted)} and forbids ${nounOf(prohibited)}, and does not say which of the two wins.`;
}

/** The IRIs that a policy wants looked up (`rightOperandReference`), for an operator to allow. */
export function referencesOf(policy: Policy): readonly string[] {
  const found = new Set<string>();
  const visit = (condition: Condition): void => {
    if (isLogical(condition)) condition.operands.forEach(visit);
    else condition.references?.forEach((iri) => found.add(iri));
  };
  const rules = (rule: Rule): void => {
    [rule.constraints, rule.actionRefinements, rule.targetRefinements, rule.assigneeRefinements].flat().forEach(visit);
    [rule.duties, rule.consequences, rule.remedies].flat().forEach(rules);
  };
  [policy.permissions, policy.prohibitions, policy.obligations].flat().forEach(rules);
  return [...found];
}

/** What a rule says in itself, whatever kind it is. */
interface Compiled {
  readonly action: string;
  readonly constraints: CompiledConditions;
  readonly actionRefinements: CompiledConditions;
  readonly targetRefinements: CompiledConditions;
  readonly assigneeRefinements: CompiledConditions;
}

function compileParts(rule: Rule, compiling: Compiling): Compiled {
  rule.problems.forEach(compiling.problem);
  const action = rule.action === ANY_ACTION ? ANY_ACTION : compiling.vocabulary.actions.resolve(rule.action);
  if (action === undefined && rule.action !== '') {
    compiling.problem(`The action ${shown(displayTerm(rule.action))} is not known to this node.`);
  }
  if (action === undefined && rule.action === '' && rule.problems.length === 0) {
    compiling.problem('The action of the rule is not known to this node.');
  }
  if (rule.unread.length > 0 && rule.problems.length === 0) {
    compiling.problem(`A ${rule.kind} with ${listed(rule.unread.map(({ term }) => term))} is not supported.`);
  }
  const conditions = (of: readonly Condition[]) => compileConditions(of, rule, compiling);
  return {
    action: action ?? rule.action,
    constraints: conditions(rule.constraints),
    actionRefinements: conditions(rule.actionRefinements),
    targetRefinements: conditions(rule.targetRefinements),
    assigneeRefinements: conditions(rule.assigneeRefinements),
  };
}

/** What all rules of a policy are compiled with. */
interface Setting {
  readonly policy: Policy;
  readonly vocabulary: Vocabulary;
  readonly references: References | undefined;
  readonly owed: ReadonlySet<string>;
  readonly keys: ReadonlyMap<Rule, string>;
}

interface CompilingRule extends Compiling {
  /** See createLookup. */
  readonly owed: ReadonlySet<string>;
  readonly keys: ReadonlyMap<Rule, string>;
}

function compilingInto(problems: Set<string>, { vocabulary, references, owed, keys }: Setting): CompilingRule {
  return { vocabulary, references, owed, keys, problem: (sentence) => void problems.add(sentence) };
}

/** Canonical actions of all duties, obligations, consequences and remedies. */
function owedIn(policy: Policy, { actions }: Vocabulary): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (duty: Rule): void => {
    const action = actions.resolve(duty.action);
    if (action !== undefined) found.add(action);
    duty.consequences.forEach(visit);
  };
  policy.obligations.forEach(visit);
  for (const rule of [...policy.permissions, ...policy.prohibitions]) [...rule.duties, ...rule.remedies].forEach(visit);
  return found;
}

function compileRule(rule: Rule, setting: Setting): CompiledRule {
  const { policy, vocabulary } = setting;
  const problems = new Set<string>();
  const compiling = compilingInto(problems, setting);
  const parts = compileParts(rule, compiling);
  const assignee = rule.assignee ?? policy.assignee;
  const target = rule.target ?? policy.target;
  if (rule.kind === 'permission' && policy.type === 'Agreement' && assignee === undefined) {
    problems.add('The agreement does not say with whom it is (assignee).');
  }
  const reads = [...parts.constraints.reads, ...parts.actionRefinements.reads];
  const grant = grantOf(
    reads.flatMap(({ cut }) => cut ?? []),
    problems,
  );
  const duties = (of: readonly Rule[]) => of.map((duty) => compileDuty(duty, undefined, target, compiling));
  const compiledDuties = duties(rule.duties);
  const remedies = duties(rule.remedies);
  const words = [...parts.constraints.words, ...parts.actionRefinements.words];
  const scope = createScope(rule, parts, assignee, target, vocabulary.actions);
  const lacksMetrics =
    rule.kind === 'permission' && scope.covers(TRAIN) && !reads.some(({ namesMetrics }) => namesMetrics);
  return {
    kind: rule.kind,
    id: rule.id,
    action: rule.action,
    assignee,
    scope,
    problems: [...problems],
    tests: [...parts.constraints.tests, ...(lacksMetrics ? [noMetricsNamed] : [])],
    words,
    sentence: sentenceOf(rule, words),
    grant,
    limits: limitsOfRule(reads),
    duties: compiledDuties,
    remedies,
    exercised: createLookup(scope, setting.owed),
  };
}

function sentenceOf(rule: Rule, words: readonly string[]): string {
  const permitted = rule.kind === 'permission';
  const conditions = words.length === 0 ? '' : `${permitted ? ', and all is met: ' : ' when '}${words.join('; ')}`;
  return `The agreement ${permitted ? 'permits' : 'forbids'} ${nounOf(rule.action)}${conditions}.`;
}

/** Parties that say who performs a duty, where the duty is not the assignee's. */
const PERFORMERS = ['compensatingParty', 'attributingParty', 'informingParty', 'consentedParty'];

function compileDuty(
  duty: Rule,
  assignee: string | undefined,
  target: string | undefined,
  outer: CompilingRule,
): CompiledDuty {
  const name = shown(displayTerm(duty.action));
  const compiling: Compiling = {
    ...outer,
    problem: (sentence) =>
      outer.problem(`The ${duty.kind} to ${name || 'do something'} cannot be checked: ${sentence}`),
  };
  const parts = compileParts(duty, compiling);
  if (parts.assigneeRefinements.tests.length > 0) compiling.problem('A refined assignee is not supported there.');
  const kind = duty.kind as DutyKind;
  const performer = PERFORMERS.map((role) => duty.parties[role]).find((party) => party !== undefined);
  const by = duty.assignee ?? performer ?? assignee;
  const on = duty.target ?? (kind === 'obligation' ? target : undefined);
  return {
    kind,
    id: duty.id,
    key: outer.keys.get(duty) ?? '',
    name: duty.action,
    action: parts.action,
    timing: duty.timing ?? 'before',
    by,
    target: on,
    parties: Object.fromEntries(Object.entries(duty.parties).filter(([role]) => !PERFORMERS.includes(role))),
    refinements: parts.actionRefinements,
    targetRefinements: parts.targetRefinements.tests,
    constraints: parts.constraints,
    consequences: duty.consequences.map((consequence) => compileDuty(consequence, by, target, outer)),
    actions: outer.vocabulary.actions,
    exercised: createLookup(createScope(duty, parts, by, on, outer.vocabulary.actions), outer.owed),
  };
}

const UNLIMITED: Limits = { uses: null, rounds: null, epsilon: null, delta: null, rows: null, bytes: null };
const NOTHING: Limits = { uses: 0, rounds: 0, epsilon: 0, delta: null, rows: 0, bytes: 0 };

/**
 * The limits that a policy sets for one action. With several permissions for it, each limit is that of the most
 * generous one: an account shows what can be spent at most, every single charge carries the limit it counts against.
 */
export function limitsOf(compiled: CompiledPolicy, action: string): Limits {
  const { actions } = compiled;
  const wanted = actions.resolve(action);
  if (wanted === undefined || compiled.problems.length > 0) return NOTHING;
  const usable = compiled.permissions.filter(
    ({ scope, problems }) =>
      problems.length === 0 && (scope.action === ANY_ACTION || actions.grants(scope.action, wanted)),
  );
  if (usable.length === 0) return NOTHING;
  const most = (meter: Meter): number | null => {
    const limits = usable.map((rule) => rule.limits[meter]);
    return limits.includes(null) ? null : Math.max(...limits.map(Number));
  };
  const epsilon = most('epsilon');
  const budget = usable.find((rule) => rule.limits.epsilon === epsilon) ?? { limits: UNLIMITED };
  return {
    uses: most('uses'),
    rounds: most('rounds'),
    epsilon,
    delta: epsilon === null ? null : budget.limits.delta,
    rows: most('rows'),
    bytes: most('bytes'),
  };
}
