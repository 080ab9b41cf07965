/**
 * The vocabulary of this package: policies as ODRL 2.2 has them, requests, the state of the world, and decisions.
 * Everything here is data; the functions are parsePolicy (parse.ts), compile (compile.ts) and decide (decide.ts).
 */

/** Our own terms (see profile/README.md). Written as full IRIs in messages. */
export const FOEDUS = 'https://w3id.org/foedus/policy#';

export type PolicyType = 'Set' | 'Offer' | 'Agreement';
export type RuleKind = 'permission' | 'prohibition';

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
  /** Terms beside the rules that say nothing to a decision, for instance `dct:title`. */
  readonly annotations: readonly Unread[];
  readonly unread: readonly Unread[];
  /** One sentence for everything that makes the whole policy permit nothing. */
  readonly problems: readonly string[];
  /** SHA-256 of the JSON as it was read, in RFC 8785 form, hex. */
  readonly digest: string;
}

export interface Rule {
  readonly kind: RuleKind;
  /** Normalised: ODRL actions by their short name (`use`), all others as full IRI. */
  readonly action: string;
  readonly assignee?: string;
  readonly constraints: readonly Constraint[];
  readonly unread: readonly Unread[];
  /** One sentence for everything that cannot be checked: a permission with one grants nothing, a prohibition forbids. */
  readonly problems: readonly string[];
}

export interface Constraint {
  /** Normalised: ODRL operands by their short name (`dateTime`), ours and others as full IRI. */
  readonly leftOperand: string;
  readonly operator: string;
  /** Normalised for operands that this package knows (operands/); as written for all others. */
  readonly rightOperand: unknown;
  readonly unread: readonly Unread[];
}

/** A comparison over a column, or a conjunction or disjunction: what a `rowFilter` grants. */
export type RowFilter =
  | {
      readonly column: string;
      readonly operator: 'eq' | 'neq' | 'lt' | 'lteq' | 'gt' | 'gteq';
      readonly value: string | number | boolean;
    }
  | { readonly column: string; readonly operator: 'isAnyOf'; readonly value: readonly (string | number)[] }
  | { readonly and: readonly RowFilter[] }
  | { readonly or: readonly RowFilter[] };

/** What becomes of a column's values before they leave. */
export type Mask =
  | { readonly method: 'null' }
  | { readonly method: 'constant'; readonly value: string }
  /** Keyed hash: stable within an agreement, unlinkable between agreements. */
  | { readonly method: 'hash' };

/**
 * How the data must be cut: executed inside the scan, never after it. Column names are compared exactly, case
 * included. Whoever executes a plan must refuse it when the data set lacks a column that the plan names anywhere: a
 * mask or filter on a misspelt column would otherwise do nothing.
 */
export interface Plan {
  /** Columns that leave, in the order of the request or of the policy; `'all'` only where no rule names columns. */
  readonly columns: 'all' | readonly string[];
  /** Has no prototype: a column may be called `constructor`. */
  readonly masks: Readonly<Record<string, Mask>>;
  /** Rows that leave; null: every row. Several filters are joined by `and`. */
  readonly rowFilter: RowFilter | null;
}

export type Meter = 'uses' | 'rounds' | 'epsilon';

/** What a permitted use costs, and the limit it counts against (null: metered, not limited). */
export interface Charge {
  readonly meter: Meter;
  readonly amount: number;
  readonly limit: number | null;
}

/** A use that somebody asks for. */
export interface UsageRequest {
  readonly action: string;
  readonly assignee: string;
  readonly at: Date;
  readonly purpose?: string;
  /** Columns asked for; absent: all that the policy grants. */
  readonly columns?: readonly string[];
  readonly training?: {
    readonly round: number;
    readonly planHash: string;
    readonly cohort: number;
    readonly privacyLoss: { readonly epsilon: number; readonly delta: number } | null;
    readonly metrics: readonly string[];
  };
}

/** What the ledger knows when the decision is made; reserved counts as spent. */
export interface UsageState {
  readonly spent: Readonly<Record<Meter, number>>;
}

export interface RuleReport {
  readonly kind: RuleKind;
  readonly action: string;
  /** A permission grants, a prohibition forbids, when active. */
  readonly active: boolean;
  /** One sentence in plain words for every constraint that decided it. */
  readonly reasons: readonly string[];
}

export interface Decision {
  readonly permit: boolean;
  /** True when the only thing in the way is a spent budget (count, rounds, ε). */
  readonly exhausted: boolean;
  readonly rules: readonly RuleReport[];
  /** Plain words: why not, or what was granted. */
  readonly reasons: readonly string[];
  /** Present exactly when permitted. */
  readonly plan: Plan | null;
  readonly charges: readonly Charge[];
  /** SHA-256 of the policy in RFC 8785 canonical form, hex. */
  readonly policyDigest: string;
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
}
