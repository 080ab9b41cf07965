/**
 * Our operands on how much leaves under an agreement in all: rows, bytes. Not to be confused with rowLimit and
 * byteLimit (disclosure.ts), which cut each single use.
 */
import type { UsageState } from '../model.ts';
import { USE } from '../terms.ts';
import { onlyItem, readCount } from '../values.ts';
import { HOLDS, spent, unknown, type Operand } from './operand.ts';

/**
 * What the ledger has charged, over every use. How much a use takes is known only while it leaves, so a decision
 * permits it as long as anything is left, and the ledger refuses the draw that would pass the limit.
 */
function inAll(meter: 'rows' | 'bytes'): Operand {
  return {
    operators: ['lteq'],
    actions: [USE],
    rules: ['permission'],
    wholeRule: true,
    read(raw, _operator, dataType) {
      const limit = readCount(onlyItem(raw), dataType);
      const unmetered = unknown(`It is not known how many ${meter} have left under the agreement.`);
      const test = (_request: unknown, state: UsageState) => {
        const drawn = state.spent[meter];
        if (drawn === undefined) return unmetered;
        return drawn < limit ? HOLDS : spent(`The agreed ${meter} are spent: ${drawn} of ${limit} have left.`);
      };
      return { value: limit, words: `at most ${limit} ${meter} in all`, test, limit: { [meter]: limit } };
    },
  };
}

/** Rows that leave under the agreement, over every use. */
export const rows: Operand = inAll('rows');

/** Bytes that leave under the agreement, over every use, as they are sent. */
export const bytes: Operand = inAll('bytes');
