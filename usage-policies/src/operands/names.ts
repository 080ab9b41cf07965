/** Operands whose values are names or IRIs: purpose, spatial, recipient and many more. */
import { all, any, isPartOf } from '../membership.ts';
import type { Truth, UsageRequest, UsageState } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { isKindOf, purposeIri } from '../purposes.ts';
import { displayTerm } from '../terms.ts';
import { itemsOf, onlyItem, readText } from '../values.ts';
import { listed, shown } from '../wording.ts';
import { nameIn, valuesOf } from './known-values.ts';
import { HOLDS, fails, spend, unknown, type Evaluation, type Operand, type Test, type Verdict } from './operand.ts';

/** What a set-based operator says of the values that are there and the values that are asked for. */
type Relation = (
  values: readonly string[],
  wanted: readonly string[],
  state: UsageState,
  evaluation: Evaluation,
) => Truth;

const truth = (holds: boolean): Truth => (holds ? 'holds' : 'fails');
const negation: Readonly<Record<Truth, Truth>> = { holds: 'fails', fails: 'holds', unknown: 'unknown' };

const equal: Relation = (values, wanted) =>
  truth(values.every((value) => wanted.includes(value)) && wanted.every((value) => values.includes(value)));
const overlap: Relation = (values, wanted) => truth(values.some((value) => wanted.includes(value)));

/** By its type as far as a description tells it (`@type`). */
const isA: Relation = (values, wanted, state) =>
  all(
    values.map((value) =>
      any(
        wanted.map((kind): Truth => {
          if (value === kind) return 'holds';
          const types = Object.hasOwn(state.descriptions ?? {}, value)
            ? state.descriptions?.[value]?.['@type']
            : undefined;
          if (types === undefined) return 'unknown';
          return truth(Array.isArray(types) ? types.includes(kind) : types === kind);
        }),
      ),
    ),
  );

/** Every value is in the list, or part of something in it. */
const partOf: Relation = (values, wanted, state, evaluation) =>
  all(values.map((value) => any(wanted.map((whole) => isPartOf(value, whole, state, evaluation, 'unknown')))));

/** ODRL's operators over names (Vocabulary section 4.13). */
const RELATIONS: Readonly<Record<string, Relation>> = {
  eq: equal,
  neq: (...sides) => negation[equal(...sides)],
  isA,
  isAnyOf: overlap,
  isNoneOf: (...sides) => negation[overlap(...sides)],
  isAllOf: (values, wanted) => truth(wanted.every((value) => values.includes(value))),
  isPartOf: partOf,
  hasPart: (values, wanted, state, evaluation) =>
    all(wanted.map((part) => any(values.map((whole) => isPartOf(part, whole, state, evaluation, 'unknown'))))),
};

/** In words, before the names; `several` is said of more than one. */
const WORDS: Readonly<Record<string, { one: string; several: string }>> = {
  eq: { one: 'is', several: 'is exactly' },
  neq: { one: 'is not', several: 'is not exactly' },
  isA: { one: 'is a kind of', several: 'is a kind of one of' },
  isAnyOf: { one: 'is', several: 'is one of' },
  isNoneOf: { one: 'is not', several: 'is none of' },
  isAllOf: { one: 'includes', several: 'includes all of' },
  isPartOf: { one: 'is part of', several: 'is part of' },
  hasPart: { one: 'has the part', several: 'has all the parts' },
};

interface Naming {
  /** Left operand, normalised. */
  readonly name: string;
  /** Another way to say which kind is which. */
  readonly relations?: Readonly<Record<string, Relation>>;
  /** The one spelling of a name. */
  readonly spelling?: (name: string) => string;
  readonly actions?: readonly string[];
  readonly words?: (operator: string, wanted: readonly string[]) => string;
  readonly refusal?: (operator: string, values: readonly string[], wanted: readonly string[]) => string;
  readonly unstated?: (operator: string, wanted: readonly string[]) => string;
}

/** An operand over names. */
export function named({ name, relations = RELATIONS, spelling, actions, ...saying }: Naming): Operand {
  const title = displayTerm(name);
  const wordsOf = (operator: string, wanted: readonly string[]): string => {
    const words = WORDS[operator] ?? { one: operator, several: operator };
    return `${shown(title)} ${wanted.length === 1 ? words.one : words.several} ${listed(wanted)}`;
  };
  return {
    operators: Object.keys(relations),
    actions: actions ?? 'any',
    rules: 'any',
    unordered: true,
    read(raw, operator, dataType) {
      const relation = relations[operator];
      if (relation === undefined) throw new Unreadable(`operator ${shown(operator)} is not supported`);
      const single = operator === 'eq' || operator === 'neq';
      const wanted = single
        ? [readText(onlyItem(raw), dataType)]
        : [...new Set(itemsOf(raw).map((item) => readText(item, dataType)))];
      if (wanted.length === 0) throw new Unreadable(`at least one ${shown(title)} is expected`);
      const compared = spelling === undefined ? wanted : wanted.map(spelling);
      const words = saying.words?.(operator, wanted) ?? wordsOf(operator, wanted);

      const test: Test = (request: UsageRequest, state, evaluation): Verdict => {
        const given = valuesOf(request, name);
        const values = given?.map(nameIn).filter((value) => value !== undefined);
        if (given === undefined || values === undefined || values.length !== given.length) {
          return unknown(saying.unstated?.(operator, wanted) ?? `It is not said what ${shown(title)} is: ${words}.`);
        }
        spend(evaluation, values.length * compared.length);
        const outcome = relation(spelling === undefined ? values : values.map(spelling), compared, state, evaluation);
        if (outcome === 'holds') return HOLDS;
        if (outcome === 'unknown') {
          return unknown(`It is not known whether ${shown(title)}, which is ${listed(values)}, is right: ${words}.`);
        }
        return fails(
          saying.refusal?.(operator, values, wanted) ??
            `${shown(title)} is ${listed(values)}; the agreement is for when ${words}.`,
        );
      };
      return { value: single ? wanted[0] : wanted, words, test };
    },
  };
}

const PURPOSES: Readonly<Record<string, Relation>> = {
  ...RELATIONS,
  isA: (values, wanted) =>
    all(
      values.map((value) =>
        any(
          wanted.map((kind): Truth => {
            const is = isKindOf(value, kind);
            return is === undefined ? 'unknown' : truth(is);
          }),
        ),
      ),
    ),
};

const EXCLUDING: ReadonlySet<string> = new Set(['neq', 'isNoneOf']);

/**
 * The purpose that the user states. `isA` holds for a purpose and for all kinds of it in the W3C Data Privacy
 * Vocabulary; all other operators compare IRIs to the letter.
 */
export function purposeOperand(actions: readonly string[]): Operand {
  return named({
    name: 'purpose',
    relations: PURPOSES,
    spelling: purposeIri,
    actions,
    words: (operator, wanted) => {
      const several = wanted.length > 1;
      if (operator === 'isA') return `the purpose is a kind of ${several ? 'one of ' : ''}${listed(wanted)}`;
      if (EXCLUDING.has(operator)) return `the purpose is none of ${listed(wanted)}`;
      if (operator === 'isAllOf' || operator === 'hasPart') return `the purposes include ${listed(wanted)}`;
      return `the purpose is ${several ? 'one of ' : ''}${listed(wanted)}`;
    },
    unstated: (operator, wanted) =>
      `No purpose was stated; the agreement is about ${EXCLUDING.has(operator) ? 'any purpose but ' : ''}${listed(wanted)}.`,
    refusal: (operator, values, wanted) =>
      EXCLUDING.has(operator)
        ? `Purpose ${listed(values)} is excluded: the agreement allows any but ${listed(wanted)}.`
        : `Purpose ${listed(values)} is not agreed: the agreement allows ${listed(wanted)}.`,
  });
}
