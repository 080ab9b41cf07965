/** What a request, an event or a description says about an operand. */
import type { UsageRequest, Value, Values } from '../model.ts';

const ODRL = 'http://www.w3.org/ns/odrl/2/';

/** The values of an operand, in whichever spelling they are given; undefined where nothing is said. */
export function valuesOf(request: UsageRequest, operand: string): readonly Value[] | undefined {
  if (operand === 'purpose' && request.purpose !== undefined && request.purpose !== '') return [request.purpose];
  const { values } = request;
  if (values === undefined) return undefined;
  const found = own(values, operand) ?? own(values, `odrl:${operand}`) ?? own(values, ODRL + operand);
  if (found === undefined || found === '') return undefined;
  if (!isList(found)) return [found];
  return found.length === 0 ? undefined : found;
}

function own(values: Values, name: string): Value | readonly Value[] | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

function isList(value: Value | readonly Value[]): value is readonly Value[] {
  return Array.isArray(value);
}

/** A value as a name: texts and IRIs; undefined for anything else. */
export function nameIn(value: Value): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A value as an amount, perhaps of a unit; undefined for what is no number. */
export function amountIn(value: Value): { readonly amount: number; readonly unit: string | undefined } | undefined {
  const measured =
    typeof value === 'object' && value !== null && !(value instanceof Date) ? value : { value, unit: undefined };
  const amount = typeof measured.value === 'string' ? decimal(measured.value) : measured.value;
  if (typeof amount !== 'number' || !Number.isFinite(amount)) return undefined;
  return { amount, unit: measured.unit };
}

/** A decimal text as a number; undefined for anything else, and for more digits than a number holds. */
export function decimal(text: string): number | undefined {
  const [, digits] = /^[+-]?(\d{1,40}(?:\.\d{1,40})?)(?:[eE][+-]?\d{1,3})?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const significant = digits.replace('.', '').replace(/^0+/, '').replace(/0+$/, '');
  if (significant.length > 15) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** Whether two IRIs name one unit: vocabularies are cited with http and with https. */
export function sameUnit(a: string, b: string): boolean {
  return a.replace(/^https?:/, '') === b.replace(/^https?:/, '');
}
