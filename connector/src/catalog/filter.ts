import { FoedusError } from '../errors.ts';
import { compactTerm, isObject } from '../protocol/terms.ts';

/**
 * The filter of a catalog request: docs/catalog-filter.md. Read here, executed by filter-sql.ts.
 *
 * Criteria are those that users of EDC know, and EDC's whole QuerySpec is understood too: its connectors send one with
 * every catalog request, whether their users have a filter or not.
 */

export const fields = ['id', 'title', 'description', 'format'] as const;
export type Field = (typeof fields)[number];

export const operators = ['=', '!=', '<', '<=', '>', '>=', 'in', 'like', 'ilike'] as const;
export type Operator = (typeof operators)[number];

/** `value` is a list for `in`, else one text. */
export type Criterion =
  | { readonly field: Field; readonly operator: Exclude<Operator, 'in'>; readonly value: string }
  | { readonly field: Field; readonly operator: 'in'; readonly value: readonly string[] };

export interface CatalogFilter {
  /** All of them must hold. */
  readonly criteria: readonly Criterion[];
  /** Data sets to skip before the first page. */
  readonly offset: number;
  /** Data sets a page at most, where the caller wants fewer than this node gives. */
  readonly limit: number | undefined;
}

const LIMITS = { criteria: 20, values: 100, text: 2_048, offset: 1_000_000, faults: 20 } as const;

const EDC = ['https://w3id.org/edc/v0.0.1/ns/', 'edc:'];
const NAMES = new Map<string, Field>([
  ['id', 'id'],
  ['@id', 'id'],
  ['title', 'title'],
  ['name', 'title'],
  ['description', 'description'],
  ['format', 'format'],
]);
const QUERY_TERMS = ['filterExpression', 'offset', 'limit', 'sortField', 'sortOrder'] as const;

/**
 * @param filter the message's `filter` as it came: absent, one object or an array of them
 * @throws FoedusError `bad-request`; `details.reasons` names everything that is not understood with its JSON path
 */
export function readFilter(filter: unknown): CatalogFilter {
  const faults: string[] = [];
  const read = { criteria: [] as Criterion[], offset: 0, limit: undefined as number | undefined };
  const list = Array.isArray(filter);
  const items: unknown[] = list ? filter : filter === undefined || filter === null ? [] : [filter];
  for (const [index, item] of items.entries()) {
    if (faults.length >= LIMITS.faults) break;
    readItem(item, list ? `$.filter[${index}]` : '$.filter', read, faults);
  }
  if (read.criteria.length > LIMITS.criteria) faults.push(`$.filter: has more than ${LIMITS.criteria} criteria`);
  if (faults.length === 0) return read;
  const reasons = faults.slice(0, LIMITS.faults);
  throw new FoedusError('bad-request', `This filter is not understood: ${reasons.join('; ')}`, {
    details: { reasons },
  });
}

function readItem(
  item: unknown,
  path: string,
  read: { criteria: Criterion[]; offset: number; limit: number | undefined },
  faults: string[],
): void {
  if (!isObject(item)) {
    faults.push(`${path}: must be an object with operandLeft, operator and operandRight`);
    return;
  }
  const terms = termsOf(item);
  if (terms.has('operandLeft') || terms.has('operator') || terms.has('operandRight')) {
    const criterion = readCriterion(terms, path, faults);
    if (criterion) read.criteria.push(criterion);
    return;
  }
  refuseOthers(terms, QUERY_TERMS, path, faults);
  const { value, path: at } = entry(terms, 'filterExpression', path);
  const expressions = several(value ?? []);
  const list = Array.isArray(expressions);
  for (const [index, expression] of (list ? expressions : [expressions]).entries()) {
    if (faults.length >= LIMITS.faults) return;
    const here = list ? `${at}[${index}]` : at;
    if (!isObject(expression)) faults.push(`${here}: must be an object with operandLeft, operator and operandRight`);
    else {
      const criterion = readCriterion(termsOf(expression), here, faults);
      if (criterion) read.criteria.push(criterion);
    }
  }
  read.offset = readWhole(terms, 'offset', path, 0, LIMITS.offset, faults) ?? read.offset;
  read.limit = readWhole(terms, 'limit', path, 1, Number.MAX_SAFE_INTEGER, faults) ?? read.limit;
  const sortField = entry(terms, 'sortField', path);
  if (sortField.value !== undefined && NAMES.get(nameOf(single(sortField.value))) !== 'id') {
    faults.push(`${sortField.path}: a catalog is in the order of id, and of nothing else`);
  }
  const sortOrder = entry(terms, 'sortOrder', path);
  if (sortOrder.value !== undefined && single(sortOrder.value) !== 'ASC')
    faults.push(`${sortOrder.path}: must be "ASC"`);
}

type Terms = ReadonlyMap<string, { readonly key: string; readonly value: unknown }>;

/** The members of an object under their short names; keywords of JSON-LD say nothing here. */
function termsOf(object: Record<string, unknown>): Terms {
  return new Map(
    Object.entries(object)
      .filter(([key, value]) => !key.startsWith('@') && value !== null)
      .map(([key, value]) => [shortName(key), { key, value }]),
  );
}

function readCriterion(terms: Terms, path: string, faults: string[]): Criterion | undefined {
  const before = faults.length;
  refuseOthers(terms, ['operandLeft', 'operator', 'operandRight'], path, faults);
  const left = entry(terms, 'operandLeft', path);
  const field = NAMES.get(nameOf(single(left.value)));
  if (field === undefined) faults.push(`${left.path}: must be one of ${fields.join(', ')}`);
  const asked = entry(terms, 'operator', path);
  const spelled = single(asked.value);
  const operator = operators.find((candidate) => typeof spelled === 'string' && candidate === spelled.toLowerCase());
  if (operator === undefined) faults.push(`${asked.path}: must be one of ${operators.join(' ')}`);
  const right = entry(terms, 'operandRight', path);
  const text = (value: unknown, at: string): void => {
    if (typeof value !== 'string' || value.length > LIMITS.text || value.includes('\0')) {
      faults.push(`${at}: must be a text of at most ${LIMITS.text} characters, none of them NUL`);
    }
  };
  const value = operator === 'in' ? several(right.value) : single(right.value);
  if (operator !== 'in') text(value, right.path);
  else if (!Array.isArray(value) || value.length > LIMITS.values) {
    faults.push(`${right.path}: must be a list of at most ${LIMITS.values} texts`);
  } else for (const [index, item] of value.entries()) text(item, `${right.path}[${index}]`);
  if (faults.length > before) return undefined;
  return { field, operator, value } as Criterion;
}

/** What it says about `term`, and where: under the name that the sender has used, if it did. */
function entry(terms: Terms, term: string, path: string): { value: unknown; path: string } {
  const found = terms.get(term);
  return { value: found?.value, path: step(path, found?.key ?? term) };
}

function readWhole(
  terms: Terms,
  term: string,
  path: string,
  least: number,
  most: number,
  faults: string[],
): number | undefined {
  const { value: written, path: at } = entry(terms, term, path);
  const value = single(written);
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most) return Number(value);
  faults.push(`${at}: must be a whole number from ${least} to ${most}`);
  return undefined;
}

function refuseOthers(terms: Terms, known: readonly string[], path: string, faults: string[]): void {
  for (const [term, { key }] of terms) {
    if (!known.includes(term)) faults.push(`${step(path, key.slice(0, 100))}: is not understood`);
  }
}

function step(path: string, key: string): string {
  return /^\w+$/.test(key) ? `${path}.${key}` : `${path}['${key}']`;
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? shortName(value) : '';
}

function shortName(term: string): string {
  const prefix = EDC.find((start) => term.startsWith(start));
  return prefix === undefined ? compactTerm(term) : term.slice(prefix.length);
}

/** One value without what JSON-LD may wrap it in. */
function single(value: unknown): unknown {
  if (Array.isArray(value) && value.length === 1 && isObject(value[0])) return single(value[0]);
  if (!isObject(value)) return value;
  if ('@value' in value) return value['@value'];
  return '@id' in value && Object.keys(value).length === 1 ? value['@id'] : value;
}

/** A list without what JSON-LD may wrap it in; anything else unchanged. */
function several(value: unknown): unknown {
  const [only, ...others] = Array.isArray(value) ? value : [value];
  if (others.length === 0 && isObject(only) && Array.isArray(only['@list'])) return only['@list'].map(single);
  return Array.isArray(value) ? value.map(single) : value;
}
