/** Operands whose values are numbers, with or without a unit: payAmount, resolution, percentage and others. */
import { ODRL } from '../actions.ts';
import type { UsageRequest, UsageState, Value } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { displayTerm } from '../terms.ts';
import { before as earlier, readDuration } from '../time.ts';
import { itemsOf, onlyItem, readDecimal } from '../values.ts';
import { shown } from '../wording.ts';
import { amountIn, sameUnit, valuesOf } from './known-values.ts';
import { HOLDS, fails, spend, unknown, type Evaluation, type Operand, type Test } from './operand.ts';

export const NUMBER_COMPARISONS: Readonly<
  Record<string, { compare: (value: number, wanted: number) => boolean; words: string }>
> = {
  eq: { compare: (value, wanted) => value === wanted, words: '' },
  neq: { compare: (value, wanted) => value !== wanted, words: 'not ' },
  lt: { compare: (value, wanted) => value < wanted, words: 'less than ' },
  lteq: { compare: (value, wanted) => value <= wanted, words: 'at most ' },
  gt: { compare: (value, wanted) => value > wanted, words: 'more than ' },
  gteq: { compare: (value, wanted) => value >= wanted, words: 'at least ' },
};

const LISTS: Readonly<Record<string, boolean>> = { isAnyOf: true, isNoneOf: false };

interface Measuring {
  readonly name: string;
  /** An action whose events say the amount where the request does not: what was paid before counts for a use. */
  readonly from?: string;
}

/** An operand over numbers. A unit in the constraint asks for the same unit in the value, and none for none. */
export function measured({ name, from }: Measuring): Operand {
  const title = displayTerm(name);
  return {
    operators: [...Object.keys(NUMBER_COMPARISONS), ...Object.keys(LISTS)],
    actions: 'any',
    rules: 'any',
    unordered: true,
    reads: ['unit', 'frequency'],
    read(raw, operator, dataType, { unit, frequency } = {}) {
      const comparison = NUMBER_COMPARISONS[operator];
      const wanted =
        comparison === undefined
          ? [...new Set(itemsOf(raw).map((item) => readDecimal(item, dataType)))]
          : [readDecimal(onlyItem(raw), dataType)];
      const [first] = wanted;
      if (first === undefined) throw new Unreadable('at least one number is expected');
      const period = frequency === undefined ? undefined : readDuration(frequency);
      const matches = (amount: number) =>
        comparison === undefined ? wanted.includes(amount) === LISTS[operator] : comparison.compare(amount, first);
      const opening = comparison === undefined ? (LISTS[operator] === true ? 'one of ' : 'none of ') : comparison.words;
      const amount = opening + wanted.join(', ');
      const words = `${shown(title)} is ${amount}${unit === undefined ? '' : ` ${shown(unit)}`}${
        period === undefined ? '' : `, again every ${period.text}`
      }`;

      const fits = (value: Value) => {
        const found = amountIn(value);
        if (found === undefined) return undefined;
        const rightUnit =
          unit === undefined ? found.unit === undefined : found.unit !== undefined && sameUnit(unit, found.unit);
        return rightUnit ? matches(found.amount) : undefined;
      };
      const test: Test = (request, state, evaluation) => {
        const values = valuesOf(request, name);
        if (values === undefined) {
          const paid = from === undefined ? undefined : eventsOf(from, request, state, evaluation);
          if (paid === undefined) return unknown(`It is not said what ${shown(title)} is: ${words}.`);
          const enough = paid.some(
            ({ at, values: said }) =>
              (period === undefined || at.getTime() > earlier(evaluation.now, period)) &&
              (valuesOf({ ...request, values: said ?? {} }, name) ?? []).some((value) => fits(value) === true),
          );
          return enough ? HOLDS : fails(`Nothing on record fulfils it: ${words}.`);
        }
        if (period !== undefined && request.at.getTime() <= earlier(evaluation.now, period)) {
          return fails(`It was longer ago than ${period.text}: ${words}.`);
        }
        spend(evaluation, values.length * wanted.length);
        const outcomes = new Set(values.map(fits));
        if (outcomes.has(undefined)) {
          return unknown(
            `The value of ${shown(title)} is no number${unit === undefined ? ' without a unit' : ` of ${shown(unit)}`}: ${words}.`,
          );
        }
        return outcomes.has(false) ? fails(`${shown(title)} is another: the agreement is for when ${words}.`) : HOLDS;
      };
      return { value: comparison === undefined ? wanted : first, words, test };
    },
  };
}

/** What the user did of one action so far; undefined where there is no history. */
function eventsOf(action: string, request: UsageRequest, state: UsageState, evaluation: Evaluation) {
  const { history } = state;
  if (history === undefined) return undefined;
  spend(evaluation, history.length);
  return history.filter(
    (event) =>
      ODRL.resolve(event.action) === action && event.by === request.assignee && event.at.getTime() <= evaluation.now,
  );
}
