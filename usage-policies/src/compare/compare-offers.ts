import { canonicalForm } from '../digest.ts';
import type { Policy, Rule, RuleKind } from '../model.ts';
import type { PolicyOptions } from '../options.ts';
import { exclude } from './conditions.ts';
import {
  forbidsAsMuch,
  includesDuties,
  leavesNoMore,
  mayMeet,
  permitsNoMore,
  place,
  ruleForm,
  type PlacedPolicy,
  type PlacedRule,
} from './rules.ts';

/**
 * What B asks of the provider, compared with A. `less`: whatever B permits, A permits too, and the other way round
 * could not be shown. `more`: the other way round. `different`: neither could be shown.
 */
export type Ask = 'same' | 'less' | 'more' | 'different';

export interface RuleComparison {
  readonly kind: RuleKind;
  readonly action: string;
  /** Position among the rules of this kind; null: there is none. */
  readonly inA: number | null;
  readonly inB: number | null;
  readonly ask: Ask;
}

export interface OfferComparison {
  readonly ask: Ask;
  readonly rules: readonly RuleComparison[];
}

/**
 * Does offer B ask for more or less than offer A, in all and by rule? From the provider's point of view: a wider
 * permission, a missing prohibition, or a missing duty of the consumer asks for more; so does a new duty of the
 * provider.
 *
 * Sound: `less` and `same` are proven from the rules alone, for every request and every state of the ledger. Not
 * complete: two rules that mean the same in other words may be `different`. Rules that this node cannot check are
 * `same` when they are written alike, otherwise `different`.
 *
 * @param options the same that parsePolicy was given
 */
export function compareOffers(a: Policy, b: Policy, options: PolicyOptions = {}): OfferComparison {
  const [placedA, placedB] = [place(a, options), place(b, options)];
  const ask = identical(a, b) ? 'same' : askOf(asksNoMore(placedB, placedA), asksNoMore(placedA, placedB));
  return {
    ask,
    rules: [
      ...pairs('permission', placedA.permissions, placedB.permissions, permitsNoMore),
      ...pairs('prohibition', placedA.prohibitions, placedB.prohibitions, forbidsAsMuch),
      ...obligations(a, b),
    ],
  };
}

/** B's word for it: `no more` than A in one or both directions. */
function askOf(bNoMore: boolean, aNoMore: boolean): Ask {
  if (bNoMore) return aNoMore ? 'same' : 'less';
  return aNoMore ? 'more' : 'different';
}

/** The same rules to the letter, those included that nobody understands. */
function identical(a: Policy, b: Policy): boolean {
  const form = ({ permissions, prohibitions, obligations: duties, profiles, conflicts, unread, problems }: Policy) =>
    canonicalForm({
      permissions: permissions.map(ruleForm),
      prohibitions: prohibitions.map(ruleForm),
      obligations: duties.map(ruleForm),
      profiles,
      conflicts,
      unread,
      problems,
    });
  return form(a) === form(b) && partiesFit(a, b) && partiesFit(b, a);
}

/** An offer names no consumer: what only one of the two says is taken as meant. */
function partiesFit(a: Policy, b: Policy): boolean {
  return (['assigner', 'assignee', 'target'] as const).every(
    (each) => a[each] === undefined || b[each] === undefined || a[each] === b[each],
  );
}

/** Whether `a` permits nothing that `b` does not permit, and asks nothing of the provider that `b` does not ask. */
export function asksNoMore(a: PlacedPolicy, b: PlacedPolicy): boolean {
  if (a.policy.problems.length > 0 || b.policy.problems.length > 0 || !partiesFit(a.policy, b.policy)) return false;
  return (
    a.permissions.every((permission) => covered(permission, b.permissions)) &&
    prohibitionsKept(a, b) &&
    includesDuties(a.policy.obligations, b.policy.obligations) &&
    providerOwesNoMore(a, b)
  );
}

/**
 * Whether some permission of `others` grants all of `permission`, and none before it would be active in its place and
 * grant less: the first active permission is the one that counts.
 */
function covered(permission: PlacedRule, others: readonly PlacedRule[]): boolean {
  for (const other of others) {
    if (permitsNoMore(permission, other)) return true;
    if (mayMeet(permission, other) && !leavesNoMore(permission, other)) return false;
  }
  return false;
}

function prohibitionsKept(a: PlacedPolicy, b: PlacedPolicy): boolean {
  if (b.prohibitions.length === 0) return true;
  if (b.strategy === 'perm') return b.prohibitions.every(({ checked }) => checked);
  if (a.strategy === 'perm') return false;
  const kept = b.prohibitions.every((prohibition) => a.prohibitions.some((each) => forbidsAsMuch(each, prohibition)));
  return kept && (b.strategy === 'prohibit' || b.contradictions.every((pair) => voidsToo(a, b, pair)));
}

/** Whether `a` is void wherever a permission and a prohibition of `b` void that one, whatever else is asked for. */
function voidsToo(a: PlacedPolicy, b: PlacedPolicy, [at, other]: readonly [number, number]): boolean {
  const [permission, prohibition] = [b.permissions[at], b.prohibitions[other]];
  if (permission === undefined || prohibition === undefined) return false;
  if (exclude(permission.rule.constraints, prohibition.rule.constraints)) return true;
  // The prohibition is kept by `a` as well: where it forbids all that `a` permits, `a` permits nothing either.
  if (a.permissions.every((each) => each.checked && each.actions.includes(prohibition.action, each.action)))
    return true;
  if (a.strategy !== 'invalid') return false;
  return a.contradictions.some(([atA, otherA]) => {
    const [permissionA, prohibitionA] = [a.permissions[atA], a.prohibitions[otherA]];
    return (
      permissionA !== undefined &&
      prohibitionA !== undefined &&
      permitsNoMore(permission, permissionA) &&
      forbidsAsMuch(prohibitionA, prohibition)
    );
  });
}

/** Duties that `a` has beyond those of `b` are the consumer's. */
function providerOwesNoMore(a: PlacedPolicy, b: PlacedPolicy): boolean {
  const known = new Set(allDuties(b.policy).map(ruleForm));
  return allDuties(a.policy).every((duty) => known.has(ruleForm(duty)) || isConsumers(duty, a.policy));
}

function allDuties(policy: Policy): Rule[] {
  const below = (rule: Rule): Rule[] =>
    [...rule.duties, ...rule.consequences, ...rule.remedies].flatMap((each) => [each, ...below(each)]);
  const rules = [...policy.permissions, ...policy.prohibitions, ...policy.obligations];
  return [...policy.obligations, ...rules.flatMap(below)];
}

/** Roles in which somebody else than the assignee performs a duty. */
const PERFORMERS = ['compensatingParty', 'attributingParty', 'informingParty', 'consentedParty'];

function isConsumers({ assignee, parties }: Rule, policy: Policy): boolean {
  const named = [assignee, ...PERFORMERS.map((role) => parties[role])].filter((party) => party !== undefined);
  return named.every((party) => party === policy.assignee && party !== policy.assigner);
}

/** Each rule of A with the one of B that is closest to it, then those that only one of the two has. */
function pairs(
  kind: 'permission' | 'prohibition',
  a: readonly PlacedRule[],
  b: readonly PlacedRule[],
  asksNoMoreThan: (x: PlacedRule, y: PlacedRule) => boolean,
): RuleComparison[] {
  const askBetween = (x: PlacedRule, y: PlacedRule): Ask =>
    ruleForm(x.rule) === ruleForm(y.rule) ? 'same' : askOf(asksNoMoreThan(y, x), asksNoMoreThan(x, y));
  const free = new Set(b.keys());
  const matches = new Map<number, { at: number; ask: Ask }>();
  for (const wanted of ['same', 'less', 'more', 'different'] as const) {
    for (const [index, rule] of a.entries()) {
      if (matches.has(index)) continue;
      const at = [...free].find((each) => {
        const other = b[each];
        return other !== undefined && other.rule.action === rule.rule.action && askBetween(rule, other) === wanted;
      });
      if (at === undefined) continue;
      free.delete(at);
      matches.set(index, { at, ask: wanted });
    }
  }
  // A permission that only B has asks for more; a prohibition that only B has takes something away.
  const [onlyA, onlyB] = kind === 'permission' ? (['less', 'more'] as const) : (['more', 'less'] as const);
  return [
    ...a.map(({ rule: { action } }, inA): RuleComparison => {
      const match = matches.get(inA);
      return { kind, action, inA, inB: match?.at ?? null, ask: match?.ask ?? onlyA };
    }),
    ...[...free].map((inB): RuleComparison => ({
      kind,
      action: b[inB]?.rule.action ?? '',
      inA: null,
      inB,
      ask: onlyB,
    })),
  ];
}

function obligations(a: Policy, b: Policy): RuleComparison[] {
  const positions = new Map(b.obligations.map((rule, index) => [ruleForm(rule), index]));
  const known = new Set(a.obligations.map(ruleForm));
  return [
    ...a.obligations.map((rule, inA): RuleComparison => {
      const inB = positions.get(ruleForm(rule)) ?? null;
      const missing = isConsumers(rule, a) ? 'more' : 'less';
      return { kind: 'obligation', action: rule.action, inA, inB, ask: inB === null ? missing : 'same' };
    }),
    ...b.obligations.flatMap((rule, inB): RuleComparison[] => {
      if (known.has(ruleForm(rule))) return [];
      return [{ kind: 'obligation', action: rule.action, inA: null, inB, ask: isConsumers(rule, b) ? 'less' : 'more' }];
    }),
  ];
}
