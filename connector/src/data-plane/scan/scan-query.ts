import type { Dialect, Expression, SourceColumn } from './dialect.ts';
import type { MaskingKey } from '../column/masking-key.ts';
import { quotedName } from '../column/carried-type.ts';
import {
  denied,
  filteredColumns,
  type Aggregate,
  type AggregateFunction,
  type Claims,
  type Filter,
  type GrantedPlan,
  type Mask,
  type Narrowing,
  type ScanPlan,
  type TimeUnit,
} from './scan-plan.ts';

/** The text of a query and the columns that its result has. Its parameters were bound through the dialect. */
export interface ScanText<T> {
  readonly sql: string;
  readonly columns: readonly { readonly name: string; readonly type: T }[];
}

const OPERATORS = { eq: '=', neq: '<>', lt: '<', lteq: '<=', gt: '>', gteq: '>=' } as const;

/**
 * Builds the query that executes a plan inside the scan of one data set.
 *
 * The plan is only executed whole: a column it names that the data set does not have, a comparison that does not fit
 * the column's type, a mask that does not fit it, or a type that cannot be sent denies the use. What the consumer asks
 * for narrows the plan and never widens it: its filter is joined to the policy's by AND, and may compare only columns
 * that it may read as they are, since which rows come would tell of the others.
 *
 * @param columns the data set's real columns
 * @throws FoedusError `not-permitted`, naming the column
 */
export function scanQuery<C extends SourceColumn, T>(
  columns: readonly C[],
  { granted, asked, claims }: ScanPlan,
  key: MaskingKey,
  dialect: Dialect<C, T>,
): ScanText<T> {
  refuseUnknownParts(granted);
  const resolve = resolver(columns);
  const masks = new Map(Object.entries(granted.masks));
  // A mask that finds nothing to mask means that the policy was written for another data set: the value it was to
  // hide may now be in a column of another name.
  for (const name of [...masks.keys(), ...(granted.named ?? [])]) resolve(name);
  const kept = granted.columns === 'all' ? columns : [...new Set(granted.columns)].map(resolve);
  if (kept.length === 0) throw denied('The agreement grants no column of the data set.');
  const readable = new Set(kept.map(({ name }) => name));
  checkFilterOf(asked, readable, masks);

  const joins: string[] = [];
  const shown = (column: C): Expression<T> => {
    const mask = masks.get(column.name);
    return mask === undefined ? asItIs(column, dialect) : masked(column, mask, key, dialect, joins);
  };
  const conditions = [granted.rowFilter, asked.filter ?? null].flatMap((filter) =>
    filter === null ? [] : [condition(filter, resolve, claims, dialect)],
  );
  const sampling = granted.sampling ?? null;
  if (sampling !== null) conditions.push(dialect.sample(share(sampling), key));
  const groupSize = granted.minimumGroupSize ?? null;
  const allowed = granted.aggregates ?? null;
  let selected: { name: string; expression: Expression<T> }[];
  let tail = '';
  if (asked.aggregate === undefined) {
    if (groupSize !== null || allowed !== null) {
      throw denied('The agreement lets no single rows leave, only aggregates. Ask with the parameter aggregate.');
    }
    selected = chosen(kept, asked, resolve, readable).map((column) => {
      const expression = shown(column);
      return { name: column.name, expression: expression.ofRows ?? expression };
    });
  } else {
    const grouped = aggregated(asked.aggregate, allowed, resolve, readable, masks, shown, dialect);
    selected = grouped.selected;
    if (grouped.groups > 0) tail = ` GROUP BY ${Array.from({ length: grouped.groups }, (_, i) => i + 1).join(', ')}`;
    if (groupSize !== null) tail += ` HAVING count(*) >= ${whole(groupSize)}`;
  }
  const limits = [granted.limit ?? null, asked.limit ?? null].filter((limit) => limit !== null).map(whole);
  if (limits.length > 0) tail += ` LIMIT ${Math.min(...limits)}`;
  const list = selected.map(({ name, expression }) => `${expression.sql} AS ${quoted(name)}`).join(', ');
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return {
    sql: `SELECT ${list} FROM ${dialect.from} AS data${joins.join('')}${where}${tail}`,
    columns: selected.map(({ name, expression }) => ({ name, type: expression.type })),
  };
}

/** The parts of a plan that this query carries out. */
const CARRIED_OUT: ReadonlySet<string> = new Set([
  'columns',
  'masks',
  'rowFilter',
  'minimumGroupSize',
  'aggregates',
  'limit',
  // Counted where the bytes leave.
  'byteLimit',
  'sampling',
  'named',
] satisfies (keyof GrantedPlan)[]);

/** A plan may say more than this scan does: rows cut by half of it must not leave. */
function refuseUnknownParts(granted: GrantedPlan): void {
  const unknown = Object.entries(granted).flatMap(([part, value]) =>
    CARRIED_OUT.has(part) || value === null || value === undefined ? [] : [part],
  );
  if (unknown.length === 0) return;
  throw denied(
    `The agreement asks for ${unknown.join(', ')}, which this node cannot carry out yet. Agree on terms without it.`,
  );
}

function resolver<C extends SourceColumn>(columns: readonly C[]): (name: string) => C {
  const byName = new Map(columns.map((column) => [column.name, column]));
  return (name) => {
    const column = byName.get(name);
    if (column !== undefined) return column;
    throw denied(`The data set has no column "${name}" any more, which the agreement or the request names.`);
  };
}

function chosen<C extends SourceColumn>(
  kept: readonly C[],
  { columns }: Narrowing,
  resolve: (name: string) => C,
  readable: ReadonlySet<string>,
): readonly C[] {
  if (columns === undefined) return kept;
  return [...new Set(columns)].map((name) => granting(resolve(name), readable));
}

function granting<C extends SourceColumn>(column: C, readable: ReadonlySet<string>): C {
  if (readable.has(column.name)) return column;
  throw denied(`Column "${column.name}" is not granted.`);
}

/** Refuses a consumer's filter that would tell of values the consumer does not get. */
function checkFilterOf({ filter }: Narrowing, readable: ReadonlySet<string>, masks: ReadonlyMap<string, Mask>): void {
  for (const name of filter ? filteredColumns(filter) : []) {
    if (!readable.has(name)) throw denied(`Column "${name}" is not granted, so nothing can be filtered by it.`);
    if (masks.has(name)) {
      throw denied(
        `Column "${name}" is masked, so nothing can be filtered by it: which rows come would tell its values.`,
      );
    }
  }
}

function asItIs<C extends SourceColumn, T>(column: C, dialect: Dialect<C, T>): Expression<T> {
  const expression = dialect.asItIs(column);
  if (expression !== undefined) return expression;
  throw denied(
    `The column "${column.name}" has the type ${column.shownType}, which cannot be sent. Ask for other columns, or agree on masking it.`,
  );
}

function masked<C extends SourceColumn, T>(
  column: C,
  mask: Mask,
  key: MaskingKey,
  dialect: Dialect<C, T>,
  joins: string[],
): Expression<T> {
  const misfit = (): never => {
    throw denied(`The mask of the column "${column.name}" does not fit its type, ${column.shownType}.`);
  };
  if (mask.method === 'null') return dialect.nullOf(column);
  if (mask.method === 'constant') return dialect.constant(mask.value);
  if (mask.method === 'hash') return dialect.hash(column, key);
  if ('length' in mask) return dialect.truncateText(column, whole(mask.length)) ?? misfit();
  if ('unit' in mask || 'step' in mask) {
    const step = 'unit' in mask ? mask.unit : mask.step;
    if (typeof step === 'string') return (UNITS.has(step) && dialect.truncateTime(column, step)) || misfit();
    return (Number.isFinite(step) && step > 0 && dialect.truncateNumber(column, step)) || misfit();
  }
  if ('parents' in mask) {
    const { join, expression } = dialect.ancestor(column, `hierarchy${joins.length}`, ancestors(mask));
    joins.push(` ${join}`);
    return expression;
  }
  // A mask from a newer policy model: what cannot be masked does not leave.
  throw denied(`The mask of the column "${column.name}" is not known to this node.`);
}

const UNITS: ReadonlySet<string> = new Set(['hour', 'day', 'week', 'month', 'quarter', 'year'] satisfies TimeUnit[]);

/** Each value with its ancestor so many levels up, or the highest one that there is. */
function ancestors({ parents, levels = 1 }: Extract<Mask, { parents: unknown }>): [string, string][] {
  const parentOf = new Map(Object.entries(parents));
  return [...parentOf].map(([value, parent]) => {
    let ancestor = parent;
    for (let level = 1; level < levels; level++) ancestor = parentOf.get(ancestor) ?? ancestor;
    return [value, ancestor];
  });
}

function aggregated<C extends SourceColumn, T>(
  { groupBy, measures }: Aggregate,
  allowed: readonly string[] | null,
  resolve: (name: string) => C,
  readable: ReadonlySet<string>,
  masks: ReadonlyMap<string, Mask>,
  shown: (column: C) => Expression<T>,
  dialect: Dialect<C, T>,
): { selected: { name: string; expression: Expression<T> }[]; groups: number } {
  if (measures.length === 0) throw denied('The aggregate computes nothing. Ask for at least one measure.');
  // A masked column groups by what it is masked to.
  const groups = groupBy.map((name) => {
    const column = granting(resolve(name), readable);
    return { name, expression: shown(column) };
  });
  const computed = measures.map(({ function: measure, column: name }) => {
    if (allowed !== null && !allows(allowed, measure))
      throw denied(`The agreement does not allow the aggregate ${measure}.`);
    const column = name === undefined ? undefined : granting(resolve(name), readable);
    if (column !== undefined && masks.has(column.name)) {
      throw denied(`Column "${column.name}" is masked, so nothing can be computed from it.`);
    }
    const expression = dialect.aggregate(measure, column);
    if (expression === undefined) {
      throw denied(
        column === undefined
          ? `The aggregate ${measure} needs a column.`
          : `The aggregate ${measure} does not fit the column "${column.name}", of type ${column.shownType}.`,
      );
    }
    return { name: column === undefined ? measure : `${measure}_${column.name}`, expression };
  });
  const selected = [...groups, ...computed];
  const names = selected.map(({ name }) => name);
  if (new Set(names).size !== names.length) throw denied('The aggregate has two columns of the same name.');
  return { selected, groups: groups.length };
}

/** Policies may write the functions out. */
const LONG: Readonly<Record<AggregateFunction, string>> = {
  count: 'count',
  sum: 'sum',
  avg: 'mean',
  min: 'minimum',
  max: 'maximum',
};

function allows(allowed: readonly string[], measure: AggregateFunction): boolean {
  return allowed.includes(measure) || allowed.includes(LONG[measure]);
}

function condition<C extends SourceColumn, T>(
  filter: Filter,
  resolve: (name: string) => C,
  claims: Claims,
  dialect: Dialect<C, T>,
): string {
  if ('and' in filter) return joined('AND', filter.and, resolve, claims, dialect);
  if ('or' in filter) return joined('OR', filter.or, resolve, claims, dialect);
  const column = resolve(filter.column);
  const compare = (operator: string, value: string | number | boolean): string => {
    const compared = dialect.compare(column, operator, value);
    if (compared !== undefined) return compared;
    throw denied(
      `The column "${column.name}", of type ${column.shownType}, is compared with ${JSON.stringify(value)}: that does not fit.`,
    );
  };
  if (filter.operator === 'isAnyOf') {
    if (filter.value.length === 0) return dialect.never;
    return `(${filter.value.map((value) => compare('=', value)).join(' OR ')})`;
  }
  const value = typeof filter.value === 'object' ? claimed(filter.value.claim, claims) : filter.value;
  return `(${compare(OPERATORS[filter.operator], value)})`;
}

/** A filter by a claim that the caller does not have grants no row: that is refused, not answered with nothing. */
function claimed(name: string, claims: Claims): string | number | boolean {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (value !== undefined) return value;
  throw denied(`The agreement's row filter compares with the claim "${name}", which the caller does not have.`);
}

function joined<C extends SourceColumn, T>(
  word: 'AND' | 'OR',
  filters: readonly Filter[],
  resolve: (name: string) => C,
  claims: Claims,
  dialect: Dialect<C, T>,
): string {
  // An empty conjunction would be true for every row: nobody means to grant that by writing nothing.
  if (filters.length === 0) throw denied("The agreement's row filter has an empty condition, so it grants no row.");
  return `(${filters.map((filter) => condition(filter, resolve, claims, dialect)).join(` ${word} `)})`;
}

/** The only place where a name becomes part of a query. Names come from the data set's schema, not from a request. */
function quoted(name: string): string {
  if (name.includes('\0')) throw denied('A column of the data set has a name that cannot be sent.');
  return quotedName(name);
}

/** A column of the data set, never an alias of the result, whatever it is called. */
export function reference(column: SourceColumn): string {
  return `data.${quoted(column.name)}`;
}

function share(value: number): number {
  if (value > 0 && value <= 1) return value;
  throw denied('The sample that the agreement grants is no share of the rows.');
}

function whole(count: number): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw denied('A limit or group size of the agreement is no whole number.');
}
