/**
 * The vocabulary of this package: policies as ODRL 2.2 has them, requests, the state of the world, and decisions.
 * Everything here is data; the functions are parsePolicy (parse.ts), compile (compile.ts) and decide (decide.ts).
 */

/** Our own terms (see profile/README.md). Written as full IRIs in messages. */
export const FOEDUS = 'https://w3id.org/foedus/policy#';

export type PolicyType = 'Set' | 'Offer' | 'Agreement';
/**
 * `obligation`: a duty of the whole policy. `duty`: of a permission. `consequence`: of a duty or obligation that was
 * not fulfilled. `remedy`: of a prohibition that was infringed.
 */
export type RuleKind = 'permission' | 'prohibition' | DutyKind;
export type DutyKind = 'obligation' | 'duty' | 'consequence' | 'remedy';

/** What becomes of a permission and a prohibition that contradict each other (ODRL 2.2 section 2.10). */
export type ConflictStrategy = 'perm' | 'prohibit' | 'invalid';

/** ODRL's operators over constraints. `andSequence` keeps its order. */
export type LogicalOperator = 'and' | 'or' | 'xone' | 'andSequence';

/** A property that this package does not understand, as it was written. A rule (or policy) that has one fails closed. */
export interface Unread {
  readonly term: string;
  readonly value: unknown;
}

/** What parsePolicy returns. */
export interface Policy {
  /** Empty where the policy has none (a template for offers). */
  readonly id: string;
  readonly type: PolicyType;
  readonly profiles: readonly string[];
  readonly assigner?: string;
  readonly assignee?: string;
  readonly target?: string;
  readonly permissions: readonly Rule[];
  readonly prohibitions: readonly Rule[];
  /** Duties of the policy itself. */
  readonly obligations: readonly Rule[];
  /** The strategies that the policy states, its own and inherited; none: ODRL's default, `invalid`. */
  readonly conflicts: readonly ConflictStrategy[];
  /** Policies whose rules are among the above (`inheritFrom`), nearest first. */
  readonly inheritsFrom: readonly string[];
  /** The digests of those policies, in the same order. Absent: of none. */
  readonly inheritedDigests?: readonly string[];
  /** Terms beside the rules that say nothing to a decision, for instance `dct:title`. */
  readonly annotations: readonly Unread[];
  readonly unread: readonly Unread[];
  /** One sentence for everything that makes the whole policy permit nothing. */
  readonly problems: readonly string[];
  /** SHA-256 of the JSON as it was read, in RFC 8785 form, hex. */
  readonly digest: string;
}

/**
 * One atomic rule: one action, at most one asset and one party in each role. A compact rule of several actions, assets
 * or parties is several of these.
 */
export interface Rule {
  readonly kind: RuleKind;
  /** The rule's own IRI, where it has one: a history and a state name duties by it. */
  readonly id?: string;
  /** Normalised: ODRL actions by their short name (`use`), all others as full IRI. */
  readonly action: string;
  /** What narrows the action. All must hold. */
  readonly actionRefinements: readonly Condition[];
  /** An asset or a collection of them; absent: the policy's, or any where that has none either. */
  readonly target?: string;
  /** What the members of the target that are meant fulfil. All must hold. */
  readonly targetRefinements: readonly Condition[];
  /** Absent: the policy's. */
  readonly assigner?: string;
  /** A party or a collection of them; absent: the policy's, or anybody where that has none either. */
  readonly assignee?: string;
  readonly assigneeRefinements: readonly Condition[];
  /** Parties in other roles by the role's name (`informedParty`): documented, needed for no decision. */
  readonly parties: Readonly<Record<string, string>>;
  /** All must hold. */
  readonly constraints: readonly Condition[];
  /** Of a permission. */
  readonly duties: readonly Rule[];
  /** Of a duty or an obligation. */
  readonly consequences: readonly Rule[];
  /** Of a prohibition. */
  readonly remedies: readonly Rule[];
  /** Of a duty: whether it is due before the use or arises from it (delete, inform). Absent for other rules. */
  readonly timing?: DutyTiming;
  readonly unread: readonly Unread[];
  /** One sentence for everything that cannot be checked: a permission with one grants nothing, a prohibition forbids. */
  readonly problems: readonly string[];
}

export type DutyTiming = 'before' | 'after';

export type Condition = Constraint | LogicalConstraint;

export interface LogicalConstraint {
  readonly id?: string;
  readonly logical: LogicalOperator;
  readonly operands: readonly Condition[];
}

/** Tells the two kinds of conditions apart. */
export function isLogical(condition: Condition): condition is LogicalConstraint {
  return 'logical' in condition;
}

export interface Constraint {
  readonly id?: string;
  /** Normalised: ODRL operands by their short name (`dateTime`), ours and others as full IRI. */
  readonly leftOperand: string;
  readonly operator: string;
  /** Normalised for operands that this package knows (operands/); as written for all others. */
  readonly rightOperand: unknown;
  /** Where the right operand is to be looked up (`rightOperandReference`); `rightOperand` is then what was found, or null. */
  readonly references?: readonly string[];
  /** Of the right operand: the IRI of a currency or a measure. */
  readonly unit?: string;
  /** The value that the left operand starts from (`status`). */
  readonly status?: number;
  /** How often what it asks for has to be true anew: xsd:duration, from a term such as `freq:annual`. */
  readonly frequency?: string;
  readonly unread: readonly Unread[];
}

/** What the caller is, by the name of the claim: `participantId`. Whoever executes the filter looks it up. */
export interface Claim {
  readonly claim: string;
}

/** A comparison over a column, or a conjunction or disjunction: what a `rowFilter` grants. */
export type RowFilter =
  | {
      readonly column: string;
      readonly operator: 'eq' | 'neq' | 'lt' | 'lteq' | 'gt' | 'gteq';
      readonly value: string | number | boolean | Claim;
    }
  | { readonly column: string; readonly operator: 'isAnyOf'; readonly value: readonly (string | number)[] }
  | { readonly and: readonly RowFilter[] }
  | { readonly or: readonly RowFilter[] };

/** What becomes of a column's values before they leave. */
export type Mask =
  | { readonly method: 'null' }
  | { readonly method: 'constant'; readonly value: string }
  /** Keyed hash: stable within an agreement, unlinkable between agreements. */
  | { readonly method: 'hash' }
  /** Dates and times: the beginning of their unit, UTC; weeks begin on Monday. */
  | { readonly method: 'truncate'; readonly unit: TimeUnit }
  /** Numbers: the largest multiple of `step` that is not more. */
  | { readonly method: 'truncate'; readonly step: number }
  /** Values by their ancestor so many levels up in a hierarchy (value → parent); a value without a parent is emptied. */
  | { readonly method: 'generalise'; readonly parents: Readonly<Record<string, string>>; readonly levels?: number };

export type TimeUnit = 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year';

/** Functions of the rows of a group. */
export type AggregateFunction = 'count' | 'sum' | 'avg' | 'min' | 'max';

/** Limits on what leaves, beside columns, rows and masks. Absent or null: no such limit. */
export interface Disclosure {
  /** Only aggregates of groups leave, each of at least so many rows, and no row itself. */
  readonly minimumGroupSize?: number | null;
  /** Only these functions of groups of rows leave, and no row itself. */
  readonly aggregates?: readonly AggregateFunction[] | null;
  /** Rows of one use. */
  readonly limit?: number | null;
  /** Bytes of one use, as they are sent. */
  readonly byteLimit?: number | null;
  /** Share of the rows that leaves, more than 0 and at most 1: the same rows at every use. */
  readonly sampling?: number | null;
}

/**
 * How the data must be cut: executed inside the scan, never after it. Column names are compared exactly, case
 * included. Whoever executes a plan must refuse it when the data set lacks a column that the plan names anywhere: a
 * mask or filter on a misspelt column would otherwise do nothing. It must refuse what it does not know or cannot do.
 */
export interface Plan extends Disclosure {
  /** Columns that leave, in the order of the request or of the policy; `'all'` only where no rule names columns. */
  readonly columns: 'all' | readonly string[];
  /** Has no prototype: a column may be called `constructor`. */
  readonly masks: Readonly<Record<string, Mask>>;
  /** Rows that leave; null: every row. Several filters are joined by `and`. */
  readonly rowFilter: RowFilter | null;
  /** Further columns that the permission names, though the request does not ask for them: they must be there too. */
  readonly named?: readonly string[];
}

/** `rows` and `bytes` are drawn while they leave, all others charged when the use is permitted. */
export type Meter = 'uses' | 'rounds' | 'epsilon' | 'rows' | 'bytes';

/** What a permitted use costs, and the limit it counts against (null: metered, not limited). */
export interface Charge {
  readonly meter: Meter;
  readonly amount: number;
  readonly limit: number | null;
}

/**
 * What an operand is in a request or an event: a text or IRI, a number, a moment. With a unit where the policy's
 * constraint has one. Durations are texts (`P3M`).
 */
export type Value = string | number | boolean | Date | { readonly value: string | number; readonly unit: string };

/** By operand, short name or IRI: `{ spatial: 'http://ontologi.es/place/DE', resolution: 600 }`. */
export type Values = Readonly<Record<string, Value | readonly Value[]>>;

/** What privacy is about: one row, or all that an organisation has, and so each of its rows too. */
export type PrivacyUnit = 'record' | 'organisation';

/** A use that somebody asks for. */
export interface UsageRequest {
  readonly action: string;
  readonly assignee: string;
  readonly at: Date;
  /** The asset; absent: that of the policy. */
  readonly target?: string;
  readonly purpose?: string;
  /** What else is known of the use, for constraints and refinements of the action. */
  readonly values?: Values;
  /** Columns asked for; absent: all that the policy grants. */
  readonly columns?: readonly string[];
  readonly training?: {
    readonly round: number;
    readonly planHash: string;
    readonly cohort: number;
    readonly privacyLoss: { readonly epsilon: number; readonly delta: number } | null;
    readonly metrics: readonly string[];
    /** SHA-256 of the model, hex. Absent: not said. */
    readonly modelHash?: string;
    /** Whether updates are summed under masks, so that nobody sees a single one. Absent: not said. */
    readonly secureAggregation?: boolean;
    /** What the noise of this release hides; null: there is none. Absent: not said. */
    readonly privacyUnit?: PrivacyUnit | null;
    /** What leaves are `metrics` of a model on own held-out rows, and no update: it loses ε and is no round. */
    readonly evaluation?: boolean;
  };
}

/** Something that somebody did: a use, or what a duty asks for. */
export interface UsageEvent {
  readonly action: string;
  readonly by: string;
  readonly at: Date;
  /** When it ended, for `meteredTime`. */
  readonly until?: Date;
  readonly target?: string;
  /** The IRI of the one rule that it was done for; absent: it counts for every rule that it fits. */
  readonly rule?: string;
  /** How it was done, for refinements: `{ payAmount: { value: 5, unit: 'http://dbpedia.org/resource/Euro' } }`. */
  readonly values?: Values;
}

/**
 * `not-set`: due, and neither fulfilled nor violated yet. `inactive`: its constraints ask nothing of anybody now.
 */
export type DutyState = 'fulfilled' | 'violated' | 'not-set' | 'inactive';

/** What is charged under an agreement so far. */
export type Spent = Readonly<Record<'uses' | 'rounds' | 'epsilon', number>> & {
  readonly [Drawn in 'rows' | 'bytes']?: number;
};

/** What is known when the decision is made. Everything but `spent` is for policies that ask for it. */
export interface UsageState {
  /** From the ledger; reserved counts as spent. Without `rows` or `bytes` no limit on them in all is kept to. */
  readonly spent: Spent;
  /** What was done under the policy so far, in any order. Absent: not known, which no decision takes for `nothing`. */
  readonly history?: readonly UsageEvent[];
  /** When the agreement was made, for `elapsedTime` and `delayPeriod`. */
  readonly agreedAt?: Date;
  /** Direct memberships (`partOf`) of assets and parties: IRI of the member → IRIs of its collections. */
  readonly memberships?: Readonly<Record<string, readonly string[]>>;
  /** What is known of assets and parties, for refinements of collections: IRI → operand → value. */
  readonly descriptions?: Readonly<Record<string, Values>>;
  /** Events with a duration, for the operand `event`: IRI or name → when. No end: it goes on. */
  readonly events?: Readonly<Record<string, { readonly from: Date; readonly to?: Date }>>;
  /** States of duties that somebody else has established, by the duty's IRI or key. They win over the history. */
  readonly duties?: Readonly<Record<string, 'fulfilled' | 'violated' | 'not-set'>>;
}

/** Whether a condition is met; `unknown`: neither request nor state say what would decide it. */
export type Truth = 'holds' | 'fails' | 'unknown';

/** What a rule was weighed by. Activation asks for all of them. */
export interface Premises {
  readonly action: Truth;
  readonly assignee: Truth;
  readonly target: Truth;
  readonly constraints: Truth;
  /** Of a permission: whether its duties let it through. */
  readonly duties: Truth;
}

/** What became of a prohibition that somebody has acted against. */
export type Infringement = 'infringed' | 'remedied';

export interface RuleReport {
  readonly kind: 'permission' | 'prohibition';
  readonly id?: string;
  readonly action: string;
  /** A permission grants, a prohibition forbids, when active. */
  readonly active: boolean;
  readonly premises: Premises;
  /** Of a prohibition, where the history shows that this user has acted against it. */
  readonly infringement?: Infringement;
  /** One sentence in plain words for every constraint that decided it. */
  readonly reasons: readonly string[];
}

/** A duty, obligation, consequence or remedy as it stands at the moment of the request. */
export interface DutyReport {
  readonly kind: DutyKind;
  readonly id?: string;
  /** Names it within its policy, with or without an IRI (owedDuties). */
  readonly key: string;
  readonly action: string;
  readonly timing: DutyTiming;
  readonly state: DutyState;
  /** Who has to: the duty's assignee, or else the rule's. */
  readonly by?: string;
  readonly target?: string;
  readonly reason: string;
}

export interface Decision {
  readonly permit: boolean;
  /** True when the only thing in the way is a spent budget (count, rounds, ε, rows, bytes). */
  readonly exhausted: boolean;
  /** True when a permission and a prohibition contradict each other and the policy is void by its strategy. */
  readonly void: boolean;
  readonly rules: readonly RuleReport[];
  /** Plain words: why not, or what was granted. */
  readonly reasons: readonly string[];
  /** Present exactly when permitted. */
  readonly plan: Plan | null;
  readonly charges: readonly Charge[];
  /** Duties of the rules that concern this request, and all obligations, with their consequences and remedies. */
  readonly duties: readonly DutyReport[];
  /** SHA-256 of the policy in RFC 8785 canonical form, hex. */
  readonly policyDigest: string;
  /** The digests of all policies that took part: this one's, then those of the policies it inherits from. */
  readonly policyDigests: readonly string[];
}

/**
 * The limits a policy sets for one action, whatever the request: for a ledger's account. null: not limited (for
 * `delta`: no privacy budget). Where nothing permits the action at all, every limit is 0.
 */
export interface Limits {
  readonly uses: number | null;
  readonly rounds: number | null;
  readonly epsilon: number | null;
  readonly delta: number | null;
  readonly rows: number | null;
  readonly bytes: number | null;
}
