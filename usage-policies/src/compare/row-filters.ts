import { canonicalForm } from '../digest.ts';
import type { RowFilter } from '../model.ts';

type Comparison = Extract<RowFilter, { column: string }>;

/**
 * Whether every row that `given` lets through is one that `wanted` lets through. Errs to the side of false: compared
 * are equal parts, `and` and `or`, and comparisons of one column with numbers or listed values.
 */
export function filterImplies(given: RowFilter, wanted: RowFilter): boolean {
  if ('and' in wanted) return wanted.and.every((part) => filterImplies(given, part));
  if ('or' in given) return given.or.every((part) => filterImplies(part, wanted));
  if ('or' in wanted && wanted.or.some((part) => filterImplies(given, part))) return true;
  if ('and' in given && given.and.some((part) => filterImplies(part, wanted))) return true;
  if (canonicalForm(given) === canonicalForm(wanted)) return true;
  return 'column' in given && 'column' in wanted && given.column === wanted.column && comparisonImplies(given, wanted);
}

function comparisonImplies(given: Comparison, wanted: Comparison): boolean {
  const listed: readonly unknown[] | undefined =
    given.operator === 'isAnyOf' ? given.value : given.operator === 'eq' ? [given.value] : undefined;
  if (listed !== undefined) {
    // What a claim is, is known only when the filter is executed.
    return listed.every((value) => typeof value !== 'object' && fulfils(value, wanted));
  }
  // Only numbers: texts are ordered by the data base's collation, which this package does not know.
  const [from, to] = [given.value, wanted.value];
  if (typeof from !== 'number' || typeof to !== 'number') return false;
  switch (`${given.operator} ${wanted.operator}`) {
    case 'lt lt':
    case 'lteq lteq':
    case 'lt lteq':
      return from <= to;
    case 'lteq lt':
      return from < to;
    case 'gt gt':
    case 'gteq gteq':
    case 'gt gteq':
      return from >= to;
    case 'gteq gt':
      return from > to;
    default:
      return false;
  }
}

/** Whether a column that equals `value` fulfils a comparison. */
function fulfils(value: unknown, wanted: Comparison): boolean {
  // What a claim of the caller is, is not known here.
  if (typeof value === 'object') return false;
  if (wanted.operator === 'eq') return value === wanted.value;
  if (wanted.operator === 'isAnyOf') return wanted.value.some((each) => each === value);
  // Two texts may be one number to a column of numbers.
  if (typeof value !== 'number' || typeof wanted.value !== 'number') return false;
  if (wanted.operator === 'neq') return value !== wanted.value;
  if (wanted.operator === 'lt') return value < wanted.value;
  if (wanted.operator === 'lteq') return value <= wanted.value;
  return wanted.operator === 'gt' ? value > wanted.value : value >= wanted.value;
}
