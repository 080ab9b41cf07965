import type { Criterion, Field, Operator } from './filter.ts';

/** A condition on a row `a` of the table `asset`. Every value is a named parameter; the text depends on the shape only. */
export interface Condition {
  readonly sql: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const SINGLE: Record<Exclude<Field, 'format'>, string> = {
  id: 'a.id',
  title: "a.body ->> 'title'",
  description: "a.body ->> 'description'",
};

/** `!=` holds also where there is no value: none is equal. */
const COMPARISONS: Record<Operator, (left: string, parameter: string) => string> = {
  '=': (left, parameter) => `${left} = ${parameter}`,
  '!=': (left, parameter) => `${left} IS NOT ${parameter}`,
  '<': (left, parameter) => `${left} < ${parameter}`,
  '<=': (left, parameter) => `${left} <= ${parameter}`,
  '>': (left, parameter) => `${left} > ${parameter}`,
  '>=': (left, parameter) => `${left} >= ${parameter}`,
  in: (left, parameter) => `${left} IN (SELECT value FROM json_each(${parameter}))`,
  // SQLite's LIKE knows no case; its GLOB does.
  like: (left, parameter) => `${left} GLOB ${parameter}`,
  ilike: (left, parameter) => `${left} LIKE ${parameter} ESCAPE '\\'`,
};

/** All criteria in one condition; `1` where there are none. */
export function conditionOf(criteria: readonly Criterion[]): Condition {
  const parameters: Record<string, string> = {};
  const conditions = criteria.map((criterion, index) => {
    const name = `filter${index}`;
    parameters[name] = parameterOf(criterion);
    return comparison(criterion, `:${name}`);
  });
  return { sql: ['1', ...conditions].join(' AND '), parameters };
}

function comparison({ field, operator }: Criterion, parameter: string): string {
  if (field !== 'format') return COMPARISONS[operator](`(${SINGLE[field]})`, parameter);
  // A data set has several formats: a criterion asks for one that fits, `!=` that there is none.
  const some = operator === '!=' ? COMPARISONS['='] : COMPARISONS[operator];
  const found = `EXISTS (SELECT 1 FROM json_each(a.body, '$.formats') f WHERE ${some('f.value', parameter)})`;
  return operator === '!=' ? `NOT ${found}` : found;
}

function parameterOf({ operator, value }: Criterion): string {
  if (operator === 'in') return JSON.stringify(value);
  if (operator === 'like') return globOf(value);
  if (operator !== 'ilike') return value;
  return value.replace(/\\[%_\\]|\\/g, (found) => (found.length === 2 ? found : '\\\\'));
}

/** The pattern of LIKE as one of GLOB: `%` any text, `_` any one character, `\` before one of them or itself: no wildcard. */
function globOf(pattern: string): string {
  return pattern.replace(/\\[%_\\]|[%_*?[]/g, (found) => {
    if (found === '%') return '*';
    if (found === '_') return '?';
    return found.length === 2 ? found.slice(1) : `[${found}]`;
  });
}
