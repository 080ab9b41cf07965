/** What whoever reads and decides by policies can set. The same options go to parsePolicy and to compile. */
import type { PolicyLimits } from './json-limits.ts';
import type { Profile } from './vocabulary.ts';

/**
 * What an unfulfilled duty does to its permission.
 *
 * - `precondition`: ODRL 2.2 section 2.6.5. A duty has to be fulfilled before the use. Duties that only a use brings
 *   about (delete, inform) are due after it.
 * - `not-violated`: the permission holds until a duty is violated. The reading of the FORCE evaluator, for duties that
 *   are to be fulfilled eventually.
 */
export type DutyMode = 'precondition' | 'not-violated';

/** Right operands that are to be looked up elsewhere (`rightOperandReference`). */
export interface References {
  /** IRIs that may be looked up. All others make their rule fail closed. */
  readonly allowed: readonly string[];
  /**
   * The value behind an allowed IRI, which the caller has got before: a text, a number, a list of them, or JSON-LD
   * values. undefined: not there, the rule fails closed.
   */
  readonly resolve: (iri: string) => unknown;
}

export interface PolicyOptions extends Partial<PolicyLimits> {
  /** ODRL profiles by their IRI. A policy that names any other permits nothing. */
  readonly profiles?: Readonly<Record<string, Profile>>;
  /** The policies that may be inherited from (`inheritFrom`), as JSON. Never fetched; undefined: not known. */
  readonly policies?: (iri: string) => unknown;
  /** @default none may be looked up */
  readonly references?: References;
  /** @default precondition */
  readonly dutyMode?: DutyMode;
  /**
   * What a rule without an action is. ODRL asks for one; the FORCE suite writes rules about every action without one.
   *
   * @default refuse
   */
  readonly ruleWithoutAction?: 'refuse' | 'any-action';
  /**
   * What starts the clock of `elapsedTime`. ODRL's vocabulary says the first use; a contract may run from the day it is
   * made (`agreedAt`).
   *
   * @default first-use
   */
  readonly elapsedFrom?: 'first-use' | 'agreement';
  /** Conditions and events that one decision may look at. @default 1000000 */
  readonly steps?: number;
}
