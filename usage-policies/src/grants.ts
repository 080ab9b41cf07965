/** What a permission lets out of the data set, and up to which limits. */
import { canonicalForm } from './digest.ts';
import type { Disclosure, Limits, Mask, RowFilter } from './model.ts';
import { strictest } from './operands/disclosure.ts';
import type { Cut, ReadConstraint } from './operands/operand.ts';
import { listed, shown } from './wording.ts';

/** What a permission lets out of the data set. */
export interface Grant {
  readonly columns: 'all' | readonly string[];
  readonly masks: Readonly<Record<string, Mask>>;
  readonly rowFilter: RowFilter | null;
  readonly disclosure: Disclosure;
}

/** All cuts at once: columns that every constraint grants, all filters, all masks. */
export function grantOf(cuts: readonly Cut[], problems: Set<string>): Grant {
  let columns: 'all' | readonly string[] = 'all';
  const filters: RowFilter[] = [];
  const masks = Object.create(null) as Record<string, Mask>;
  let disclosure: Disclosure = {};
  for (const cut of cuts) {
    const strict = strictest(disclosure, cut.disclosure ?? {});
    if (strict === undefined) problems.add('The lists of allowed aggregates have nothing in common.');
    else disclosure = strict;
    if (cut.columns !== undefined) {
      const granted: readonly string[] = cut.columns;
      columns = columns === 'all' ? granted : columns.filter((column) => granted.includes(column));
    }
    if (cut.rowFilter !== undefined) filters.push(cut.rowFilter);
    for (const [column, mask] of Object.entries(cut.masks ?? {})) {
      const other = masks[column];
      if (other !== undefined && !sameMask(other, mask)) {
        problems.add(`Column ${shown(column)} has two different masks.`);
      }
      masks[column] = mask;
    }
  }
  if (columns !== 'all') {
    if (columns.length === 0) problems.add('The lists of granted columns have no column in common.');
    // Most likely a misspelt name, and then the column that was meant would leave unmasked.
    const stray = Object.keys(masks).filter((column) => !columns.includes(column));
    if (stray.length > 0) problems.add(`A mask is set on ${listed(stray)}, which the agreement does not grant.`);
  }
  const [first = null] = filters;
  return { columns, masks, rowFilter: filters.length > 1 ? { and: filters } : first, disclosure };
}

function sameMask(a: Mask, b: Mask): boolean {
  return canonicalForm(a) === canonicalForm(b);
}

/** The strictest of the limits that the constraints of one permission set. */
export function limitsOfRule(read: readonly ReadConstraint[]): Limits {
  const least = (values: readonly (number | undefined)[]): number | null => {
    const given = values.filter((value) => value !== undefined);
    return given.length === 0 ? null : Math.min(...given);
  };
  return {
    uses: least(read.map(({ limit }) => limit?.uses)),
    rounds: least(read.map(({ limit }) => limit?.rounds)),
    // Two budgets at two δ: what is within the smaller ε at the smaller δ is within both.
    epsilon: least(read.map(({ limit }) => limit?.budget?.epsilon)),
    delta: least(read.map(({ limit }) => limit?.budget?.delta)),
    rows: least(read.map(({ limit }) => limit?.rows)),
    bytes: least(read.map(({ limit }) => limit?.bytes)),
  };
}
