/**
 * What an operand is: how its value is read, what it tests in a request, what it grants and which limit it sets.
 * One entry a constraint operand; a term without an entry is unknown, and its rule fails closed.
 */
import type { Disclosure, Mask, RowFilter, RuleKind, UsageEvent, UsageRequest, UsageState } from '../model.ts';

/** `unknown`: the request does not say what would decide it. Then a permission does not hold and a prohibition does. */
export type Verdict =
  | { readonly outcome: 'holds' }
  | { readonly outcome: 'fails'; readonly reason: string; readonly spent?: true }
  | { readonly outcome: 'unknown'; readonly reason: string };

/** One decision in the making. */
export interface Evaluation {
  /** Milliseconds since 1970: the moment of the request, also while an earlier event is looked at. */
  readonly now: number;
  /** See PolicyOptions.elapsedFrom. */
  readonly elapsedFrom: 'first-use' | 'agreement';
  /** Steps that the decision may still take; see `spend`. */
  left: number;
  /** What the history has of the rule's own action, for counts. undefined: there is no history. */
  exercised: Lookup;
  /** What starts the clock for elapsed time: the rule's own action, or for a duty the action that it is a duty of. */
  started: Lookup;
}

export type Lookup = (
  request: UsageRequest,
  state: UsageState,
  evaluation: Evaluation,
) => readonly UsageEvent[] | undefined;

/** Thrown and caught within a decision: the policy and its history ask for more work than they may. */
export class TooManySteps extends Error {
  override readonly name: string = 'TooManySteps';
}

/** Counts work, so that no policy and no history keeps a node busy. @throws TooManySteps */
export function spend(evaluation: Evaluation, steps: number): void {
  evaluation.left -= steps;
  if (evaluation.left < 0) throw new TooManySteps();
}

export type Test = (request: UsageRequest, state: UsageState, evaluation: Evaluation) => Verdict;

export const HOLDS: Verdict = { outcome: 'holds' };

export function fails(reason: string): Verdict {
  return { outcome: 'fails', reason };
}

/** Fails for no other reason than a meter that has run up to its limit. */
export function spent(reason: string): Verdict {
  return { outcome: 'fails', reason, spent: true };
}

export function unknown(reason: string): Verdict {
  return { outcome: 'unknown', reason };
}

/** What a constraint adds to the cut of the data. */
export interface Cut {
  readonly columns?: readonly string[];
  readonly rowFilter?: RowFilter;
  readonly masks?: Readonly<Record<string, Mask>>;
  readonly disclosure?: Disclosure;
}

/** A constraint, read. */
export interface ReadConstraint {
  /** The value in its one normal form; reading it again gives the same. */
  readonly value: unknown;
  /** The condition in words, after `only if` or `when`. */
  readonly words: string;
  readonly test: Test;
  readonly cut?: Cut;
  readonly limit?: {
    readonly uses?: number;
    readonly rounds?: number;
    readonly rows?: number;
    readonly bytes?: number;
    readonly budget?: { readonly epsilon: number; readonly delta: number };
  };
  /** It says which metrics may be released. */
  readonly namesMetrics?: true;
  /** Once it fails it fails for ever, since time goes one way: what a duty is due by. */
  readonly expires?: true;
  /** A moment that a delay after this constraint is counted from (`andSequence`). */
  readonly moment?: (state: UsageState) => number | undefined;
}

/** What a constraint says beside its operands. */
export interface Site {
  readonly unit?: string | undefined;
  readonly status?: number | undefined;
  /** ISO 8601: what must be true must have become so within this time. */
  readonly frequency?: string | undefined;
}

export interface Operand {
  readonly operators: readonly string[];
  /** Actions whose requests say what the operand is about. In a rule for another action it would test nothing. */
  readonly actions: readonly string[] | 'any';
  readonly rules: readonly RuleKind[] | 'any';
  /** The order of a list in its value means nothing. */
  readonly unordered?: true;
  /** Properties beside the operands that it understands. */
  readonly reads?: readonly (keyof Site)[];
  /** What it grants holds for a whole rule: it cannot be one of several alternatives. */
  readonly wholeRule?: true;
  /** @throws Unreadable */
  read(raw: unknown, operator: string, dataType: string | undefined, site?: Site): ReadConstraint;
}
