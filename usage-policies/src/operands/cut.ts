/** Our operands that cut the data: columns, rowFilter, masks. */
import { readColumnName } from '../column-names.ts';
import { describeMask, readMasks } from '../masks.ts';
import { Unreadable } from '../policy-error.ts';
import { describeRowFilter, readRowFilter } from '../row-filter.ts';
import { TRAIN, USE } from '../terms.ts';
import { isObject, itemsOf, onlyItem, readText } from '../values.ts';
import { listed, shown } from '../wording.ts';
import { HOLDS, fails, unknown, type Operand, type Test } from './operand.ts';

/**
 * Columns that may be read. A use that names no columns gets all of these; a training must name its columns, since
 * the trainer reads the data set itself and would otherwise read columns that nobody checked.
 */
export const columns: Operand = {
  operators: ['isPartOf'],
  actions: [USE, TRAIN],
  rules: ['permission'],
  wholeRule: true,
  unordered: true,
  read(raw, _operator, dataType) {
    const granted = [...new Set(itemsOf(raw).map((item) => readColumnName(readText(item, dataType))))];
    if (granted.length === 0) throw new Unreadable('at least one column is expected');
    const set = new Set(granted);
    const names = listed(granted);
    const test: Test = ({ action, columns: wanted }) => {
      if (wanted === undefined) {
        if (action !== TRAIN) return HOLDS;
        return unknown(`The training does not say which columns it reads: the agreement grants ${names}.`);
      }
      const refused = wanted.filter((column) => !set.has(column));
      if (refused.length === 0) return HOLDS;
      return fails(
        refused.length === 1
          ? `Column ${listed(refused)} is not granted: the agreement grants ${names}.`
          : `Columns ${listed(refused)} are not granted: the agreement grants ${names}.`,
      );
    };
    return { value: granted, words: `only columns ${names}`, test, cut: { columns: granted } };
  },
};

/** `{"@type": "@json", "@value": x}` is how JSON-LD carries plain JSON through. */
function plainJson(raw: unknown): unknown {
  const item = onlyItem(raw);
  return isObject(item) && Object.keys(item).length === 2 && item['@type'] === '@json' ? item['@value'] : item;
}

const always: Test = () => HOLDS;

/** Rows that leave. Uses only: no trainer cuts its rows by an agreement yet, so a training with it is refused. */
export const rowFilter: Operand = {
  operators: ['eq'],
  actions: [USE],
  rules: ['permission'],
  wholeRule: true,
  read(raw) {
    const filter = readRowFilter(plainJson(raw));
    return {
      value: filter,
      words: `only rows where ${shown(describeRowFilter(filter))}`,
      test: always,
      cut: { rowFilter: filter },
    };
  },
};

/** What becomes of columns before they leave. Uses only, as rowFilter. */
export const masks: Operand = {
  operators: ['eq'],
  actions: [USE],
  rules: ['permission'],
  wholeRule: true,
  read(raw) {
    const byColumn = readMasks(plainJson(raw));
    const words = Object.entries(byColumn).map(([column, mask]) => `${shown(column)} ${describeMask(mask)}`);
    return { value: byColumn, words: `with ${listed(words)}`, test: always, cut: { masks: byColumn } };
  },
};
