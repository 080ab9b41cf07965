/** Options of `foedus privacy`: numbers as typed, and errors that name the option and say what it may be. */
import { FoedusError } from '@foedus/connector/errors';
import { z } from 'zod';

const NOT_A_NUMBER = 'is not a number';

/** @param range both ends are allowed */
export const numberWithin = (range: { readonly from: number; readonly to: number }) =>
  z.coerce.number({ error: NOT_A_NUMBER }).min(range.from, least(range.from)).max(range.to, most(range.to));

/** @param range both ends are allowed */
export const wholeWithin = (range: { readonly from: number; readonly to: number }) =>
  z.coerce
    .number({ error: NOT_A_NUMBER })
    .int('is not a whole number')
    .min(range.from, least(range.from))
    .max(range.to, most(range.to));

/** More than 0. */
export const positiveUpTo = (to: number) =>
  z.coerce.number({ error: NOT_A_NUMBER }).positive('must be more than 0').max(to, most(to));

/** A probability that is neither 0 nor 1. */
export const properDelta = () =>
  z.coerce.number({ error: NOT_A_NUMBER }).gt(0, 'must be more than 0').lt(1, 'must be less than 1');

const least = (value: number): string => `must be ${value} or more`;
const most = (value: number): string => `must be ${value} or less`;

/** @throws FoedusError `bad-request` that names every option that is wrong */
export function readOptions<Schema extends z.ZodType>(schema: Schema, options: unknown): z.output<Schema> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const flag = (name: PropertyKey | undefined): string =>
    `--${String(name).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const lines = parsed.error.issues.map(({ path, message }) => `  ${flag(path[0])}: ${message}`);
  throw new FoedusError('bad-request', `The plan cannot be made from these values.\n${lines.join('\n')}`);
}

/** ε and δ as people write them: `ε = 3 at δ = 1e-5` */
export const budgetWords = ({ epsilon, delta }: { readonly epsilon: number; readonly delta: number }): string =>
  `ε = ${epsilon} at δ = ${deltaWords(delta)}`;

export const deltaWords = (delta: number): string => (delta < 0.01 ? delta.toExponential() : String(delta));
