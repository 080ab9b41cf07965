import type { Grant } from '../compile.ts';
import { canonicalForm } from '../digest.ts';
import type { Disclosure, Mask } from '../model.ts';
import { filterImplies } from './row-filters.ts';

/** Whether whatever leaves by `a` could leave by `b` as well: no other columns or rows, and nothing less masked. */
export function grantsNoMore(a: Grant, b: Grant): boolean {
  const granted = b.columns;
  const columns = granted === 'all' || (a.columns !== 'all' && a.columns.every((column) => granted.includes(column)));
  const masked = Object.entries(b.masks).every(([column, mask]) => {
    if (a.columns !== 'all' && !a.columns.includes(column)) return true;
    const other = a.masks[column];
    return other !== undefined && hidesAsMuch(other, mask);
  });
  const rows = b.rowFilter === null || (a.rowFilter !== null && filterImplies(a.rowFilter, b.rowFilter));
  return columns && masked && rows && disclosesNoMore(a.disclosure, b.disclosure);
}

function hidesAsMuch(mask: Mask, than: Mask): boolean {
  return mask.method === 'null' || canonicalForm(mask) === canonicalForm(than);
}

function disclosesNoMore(a: Disclosure, b: Disclosure): boolean {
  const atMost = (part: 'limit' | 'byteLimit'): boolean => {
    const [given, wanted] = [a[part] ?? Number.POSITIVE_INFINITY, b[part] ?? Number.POSITIVE_INFINITY];
    return given <= wanted;
  };
  const functions = b.aggregates;
  return (
    atMost('limit') &&
    atMost('byteLimit') &&
    // A smaller sample may be of other rows.
    ((b.sampling ?? 1) === 1 || a.sampling === b.sampling) &&
    (a.minimumGroupSize ?? 0) >= (b.minimumGroupSize ?? 0) &&
    (!functions || a.aggregates?.every((each) => functions.includes(each)) === true)
  );
}
