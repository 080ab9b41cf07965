/**
 * What an operand is: how its value is read, what it tests in a request, what it grants and which limit it sets.
 * One entry a constraint operand; a term without an entry is unknown, and its rule fails closed.
 */
import type { Mask, RowFilter, RuleKind, UsageRequest, UsageState } from '../model.ts';

/** `unknown`: the request does not say what would decide it. Then a permission does not hold and a prohibition does. */
export type Verdict =
  | { readonly outcome: 'holds' }
  | { readonly outcome: 'fails'; readonly reason: string; readonly spent?: true }
  | { readonly outcome: 'unknown'; readonly reason: string };

export type Test = (request: UsageRequest, state: UsageState) => Verdict;

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
    readonly budget?: { readonly epsilon: number; readonly delta: number };
  };
}

export interface Operand {
  readonly operators: readonly string[];
  /** Actions whose requests say what the operand is about. In a rule for another action it would test nothing. */
  readonly actions: readonly string[];
  readonly rules: readonly RuleKind[];
  /** The order of a list in its value means nothing. */
  readonly unordered?: true;
  /** @throws Unreadable */
  read(raw: unknown, operator: string, dataType: string | undefined): ReadConstraint;
}
