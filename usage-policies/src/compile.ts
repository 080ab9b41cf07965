import { isLogical, type Limits, type Mask, type Policy, type PolicyType, type Rule, type RowFilter } from './model.ts';
import { examine } from './operands/examine.ts';
import type { Cut, ReadConstraint, Test } from './operands/operand.ts';
import { KNOWN_ACTIONS, displayTerm, normaliseTerm } from './terms.ts';
import { listed, shown } from './wording.ts';

/** What a permission lets out of the data set. */
export interface Grant {
  readonly columns: 'all' | readonly string[];
  readonly masks: Readonly<Record<string, Mask>>;
  readonly rowFilter: RowFilter | null;
}

export interface CompiledRule {
  readonly kind: Rule['kind'];
  readonly action: string;
  /** Who may, or may not; undefined: everybody. */
  readonly assignee: string | undefined;
  readonly problems: readonly string[];
  readonly tests: readonly Test[];
  /** The conditions in words. */
  readonly words: readonly string[];
  readonly grant: Grant;
  readonly limits: Limits;
}

/** A policy ready for decisions: made once by compile, used by decide and limitsOf. */
export interface CompiledPolicy {
  readonly digest: string;
  readonly type: PolicyType;
  readonly problems: readonly string[];
  readonly permissions: readonly CompiledRule[];
  readonly prohibitions: readonly CompiledRule[];
}

/**
 * Turns every constraint into a closure. Never throws: what cannot be checked becomes a problem of its rule, which
 * then fails closed. Constraints are read again here, so a Policy from elsewhere than parsePolicy is safe too.
 */
export function compile(policy: Policy): CompiledPolicy {
  return {
    digest: policy.digest,
    type: policy.type,
    problems: policy.problems,
    permissions: policy.permissions.map((rule) => compileRule(rule, policy)),
    prohibitions: policy.prohibitions.map((rule) => compileRule(rule, policy)),
  };
}

/**
 * Everything in a policy that this node cannot check, one sentence each, in the order of the rules. A node should
 * publish or ask for a policy only where this is empty: rules with problems grant nothing.
 */
export function problemsOf(policy: Policy): readonly string[] {
  const { problems, permissions, prohibitions } = compile(policy);
  return [...new Set([...problems, ...[...permissions, ...prohibitions].flatMap((rule) => rule.problems)])];
}

function compileRule(rule: Rule, policy: Policy): CompiledRule {
  const problems = new Set(rule.problems);
  if (!KNOWN_ACTIONS.includes(rule.action)) {
    problems.add(`The action ${shown(displayTerm(rule.action)) || 'of the rule'} is not known to this node.`);
  }
  const constraints = rule.constraints.filter((each) => !isLogical(each));
  if (constraints.length < rule.constraints.length) problems.add('A logical constraint is not supported.');
  const unread = [rule, ...constraints].flatMap((part) => part.unread);
  if (unread.length > 0 && rule.problems.length === 0) {
    problems.add(`A ${rule.kind} with ${listed(unread.map(({ term }) => term))} is not supported.`);
  }
  const read: ReadConstraint[] = [];
  for (const constraint of constraints) {
    const examined = examine(constraint, rule);
    if (examined.read === undefined) problems.add(examined.problem);
    else read.push(examined.read);
  }
  const assignee = rule.assignee ?? policy.assignee;
  if (rule.kind === 'permission' && policy.type === 'Agreement' && assignee === undefined) {
    problems.add('The agreement does not say with whom it is (assignee).');
  }
  const grant = grantOf(
    read.flatMap(({ cut }) => cut ?? []),
    problems,
  );
  return {
    kind: rule.kind,
    action: rule.action,
    assignee,
    problems: [...problems],
    tests: read.map(({ test }) => test),
    words: read.map(({ words }) => words),
    grant,
    limits: limitsOfRule(read),
  };
}

/** All cuts at once: columns that every constraint grants, all filters, all masks. */
function grantOf(cuts: readonly Cut[], problems: Set<string>): Grant {
  let columns: 'all' | readonly string[] = 'all';
  const filters: RowFilter[] = [];
  const masks = Object.create(null) as Record<string, Mask>;
  for (const cut of cuts) {
    if (cut.columns !== undefined) {
      const granted: readonly string[] = cut.columns;
      columns = columns === 'all' ? granted : columns.filter((column) => granted.includes(column));
    }
    if (cut.rowFilter !== undefined) filters.push(cut.rowFilter);
    for (const [column, mask] of Object.entries(cut.masks ?? {})) {
      const other = masks[column];
      if (other !== undefined && !sameMask(other, mask)) {
        problems.add(`Column ${shown(column)} has two different masks.`);
      }
      masks[column] = mask;
    }
  }
  if (columns !== 'all') {
    if (columns.length === 0) problems.add('The lists of granted columns have no column in common.');
    // Most likely a misspelt name, and then the column that was meant would leave unmasked.
    const stray = Object.keys(masks).filter((column) => !columns.includes(column));
    if (stray.length > 0) problems.add(`A mask is set on ${listed(stray)}, which the agreement does not grant.`);
  }
  const [first = null] = filters;
  return { columns, masks, rowFilter: filters.length > 1 ? { and: filters } : first };
}

function sameMask(a: Mask, b: Mask): boolean {
  if (a.method === 'constant') return b.method === 'constant' && a.value === b.value;
  return a.method === b.method;
}

const UNLIMITED: Limits = { uses: null, rounds: null, epsilon: null, delta: null };
const NOTHING: Limits = { uses: 0, rounds: 0, epsilon: 0, delta: null };

function limitsOfRule(read: readonly ReadConstraint[]): Limits {
  const least = (values: readonly (number | undefined)[]): number | null => {
    const given = values.filter((value) => value !== undefined);
    return given.length === 0 ? null : Math.min(...given);
  };
  return {
    uses: least(read.map(({ limit }) => limit?.uses)),
    rounds: least(read.map(({ limit }) => limit?.rounds)),
    // Two budgets at two δ: what is within the smaller ε at the smaller δ is within both.
    epsilon: least(read.map(({ limit }) => limit?.budget?.epsilon)),
    delta: least(read.map(({ limit }) => limit?.budget?.delta)),
  };
}

/**
 * The limits that a policy sets for one action. With several permissions for it, each limit is that of the most
 * generous one: an account shows what can be spent at most, every single charge carries the limit it counts against.
 */
export function limitsOf(compiled: CompiledPolicy, action: string): Limits {
  const wanted = normaliseTerm(action);
  const usable = compiled.permissions.filter((rule) => rule.action === wanted && rule.problems.length === 0);
  if (usable.length === 0 || compiled.problems.length > 0) return NOTHING;
  const most = (meter: 'uses' | 'rounds' | 'epsilon'): number | null => {
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
  };
}
