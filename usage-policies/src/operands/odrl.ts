/** ODRL's own operands: purpose, dateTime, count. */
import type { UsageRequest } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { ACCESS, TRAIN, USE } from '../terms.ts';
import { itemsOf, onlyItem, readCount, readInstant, readText } from '../values.ts';
import { listed, shown } from '../wording.ts';
import { HOLDS, fails, spent, unknown, type Operand, type Test } from './operand.ts';

/**
 * The purpose that the user states. Purposes are compared as IRIs, character by character: `isA` holds for the listed
 * purposes themselves and does not yet know narrower ones.
 */
export const purpose: Operand = {
  operators: ['eq', 'neq', 'isA', 'isAnyOf', 'isNoneOf'],
  actions: [USE, TRAIN],
  rules: ['permission', 'prohibition'],
  unordered: true,
  read(raw, operator, dataType) {
    const single = operator === 'eq' || operator === 'neq';
    const purposes = single
      ? [readText(onlyItem(raw), dataType)]
      : [...new Set(itemsOf(raw).map((item) => readText(item, dataType)))];
    if (purposes.length === 0) throw new Unreadable('at least one purpose is expected');
    const excluded = operator === 'neq' || operator === 'isNoneOf';
    const names = listed(purposes);

    const test: Test = ({ purpose: stated }) => {
      if (stated === undefined || stated === '') {
        return unknown(`No purpose was stated; the agreement is about ${excluded ? 'any purpose but ' : ''}${names}.`);
      }
      if (purposes.includes(stated) !== excluded) return HOLDS;
      return fails(
        excluded
          ? `Purpose ${shown(stated)} is excluded: the agreement allows any but ${names}.`
          : `Purpose ${shown(stated)} is not agreed: the agreement allows ${names}.`,
      );
    };
    const words = `the purpose is ${excluded ? 'none of' : purposes.length > 1 ? 'one of' : ''} ${names}`;
    return { value: single ? purposes[0] : purposes, words: words.replace('  ', ' '), test };
  },
};

const COMPARISONS: Readonly<
  Record<string, { compare: (at: number, limit: number) => boolean; words: string; refusal: string }>
> = {
  lt: { compare: (at, limit) => at < limit, words: 'before', refusal: 'The agreement ended on' },
  lteq: { compare: (at, limit) => at <= limit, words: 'up to', refusal: 'The agreement ended on' },
  gt: { compare: (at, limit) => at > limit, words: 'after', refusal: 'The agreement begins only after' },
  gteq: { compare: (at, limit) => at >= limit, words: 'from', refusal: 'The agreement begins on' },
  eq: { compare: (at, limit) => at === limit, words: 'exactly', refusal: 'The agreement is for one moment only,' },
  neq: { compare: (at, limit) => at !== limit, words: 'not exactly', refusal: 'The agreement excludes the moment' },
};

/** The moment of the use, by this node's clock, against an xsd:dateTime with a zone. */
export const dateTime: Operand = {
  operators: Object.keys(COMPARISONS),
  actions: [USE, TRAIN, ACCESS],
  rules: ['permission', 'prohibition'],
  read(raw, operator, dataType) {
    const limit = readInstant(onlyItem(raw), dataType);
    const comparison = COMPARISONS[operator];
    if (comparison === undefined) throw new Unreadable(`operator ${shown(operator)} is not supported`);
    const test: Test = ({ at }) => {
      const now = at.getTime();
      if (Number.isNaN(now)) return unknown('The time of the use is not known.');
      if (comparison.compare(now, limit.time)) return HOLDS;
      return fails(`${comparison.refusal} ${limit.text}.`);
    };
    return { value: limit.text, words: `the time is ${comparison.words} ${limit.text}`, test };
  },
};

/** Uses in all, this one included, against what the ledger has charged. */
export const count: Operand = {
  operators: ['lteq', 'lt'],
  actions: [USE],
  rules: ['permission'],
  read(raw, operator, dataType) {
    const value = readCount(onlyItem(raw), dataType);
    const limit = operator === 'lt' ? value - 1 : value;
    const test = (_: UsageRequest, state: { spent: { uses: number } }) =>
      state.spent.uses + 1 <= limit
        ? HOLDS
        : spent(`The agreed number of uses is spent: ${state.spent.uses} of ${Math.max(limit, 0)} are charged.`);
    return { value, words: `at most ${Math.max(limit, 0)} uses in all`, test, limit: { uses: Math.max(limit, 0) } };
  },
};
