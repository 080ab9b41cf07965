/** What a node understands beside ODRL's and our own terms: profiles that its operator has set up. */
import { ODRL, createActions, type ActionDefinition, type Actions } from './actions.ts';
import { OPERANDS, profileOperand, type OperandDefinition } from './operands/index.ts';
import type { Operand } from './operands/operand.ts';
import { normaliseTerm } from './terms.ts';

/** An ODRL profile: terms of its own, by name or IRI. A profile without any says that its policies are plain ODRL. */
export interface Profile {
  readonly actions?: Readonly<Record<string, ActionDefinition>>;
  /** Operands whose values come with the request (`values`). */
  readonly operands?: Readonly<Record<string, OperandDefinition>>;
}

export interface Vocabulary {
  readonly actions: Actions;
  readonly operand: (name: string) => Operand | undefined;
  readonly knowsProfile: (iri: string) => boolean;
}

/** ODRL's terms, ours and those of the IDS code list. */
const PLAIN: Vocabulary = {
  actions: ODRL,
  operand: (name) => OPERANDS.get(name),
  knowsProfile: () => false,
};

/**
 * The vocabulary with the terms of profiles added. The terms of ODRL keep their meaning.
 *
 * @throws Error for a profile that defines a term which is defined already, or includes an action in itself
 */
export function createVocabulary(profiles: Readonly<Record<string, Profile>> | undefined): Vocabulary {
  if (profiles === undefined) return PLAIN;
  const definitions = Object.values(profiles);
  const actions = createActions(Object.assign({}, ...definitions.map((profile) => profile.actions ?? {})));
  const operands = new Map<string, Operand>();
  for (const [name, definition] of definitions.flatMap((profile) => Object.entries(profile.operands ?? {}))) {
    const term = normaliseTerm(name);
    if (OPERANDS.has(term)) throw new Error(`the operand ${name} is defined already: a profile cannot change it`);
    operands.set(term, profileOperand(term, definition));
  }
  return {
    actions,
    operand: (name) => OPERANDS.get(name) ?? operands.get(name),
    knowsProfile: (iri) => Object.hasOwn(profiles, iri),
  };
}
