/** Policy templates: offers with named gaps, as JSON files (../library). */
import { z } from 'zod';
import { DEFAULT_LIMITS, checkJson } from './json-limits.ts';
import { checkedOffer, type OfferJson } from './offers.ts';
import { PolicyError, pathKey } from './policy-error.ts';
import { isObject } from './values.ts';
import { listed } from './wording.ts';

const decimal = z.number().nonnegative();

/** What a parameter takes, and how it is written into the policy: numbers as text, since DSP allows no bare numbers. */
const PARAMETER_TYPES = {
  /** One IRI or name. */
  name: z.string().min(1),
  /** IRIs or names, at least one. */
  names: z.array(z.string().min(1)).min(1),
  /** Names, perhaps none. */
  'names-or-none': z.array(z.string().min(1)),
  /** xsd:dateTime with a zone, or a Date. */
  'date-time': z
    .union([z.string(), z.date()])
    .transform((value) => (value instanceof Date ? value.toISOString() : value)),
  /** ISO 8601, for instance P3M. */
  duration: z.string().regex(/^P/),
  /** Masks by column name. */
  masks: z
    .record(z.string().min(1), z.record(z.string(), z.unknown()))
    .refine((masks) => Object.keys(masks).length > 0),
  'whole-number': z.int().nonnegative().transform(String),
  'decimal-number': decimal.transform(String),
} as const;

const templateSchema = z.strictObject({
  title: z.string().min(1),
  description: z.string().min(1),
  parameters: z.record(
    z.string().regex(/^[a-zA-Z]{1,50}$/),
    z.strictObject({
      type: z.enum(Object.keys(PARAMETER_TYPES) as [keyof typeof PARAMETER_TYPES]),
      description: z.string().min(1),
      example: z.unknown(),
    }),
  ),
  policy: z.record(z.string(), z.unknown()),
});

/** A template file of ../library. */
export type PolicyTemplate = z.infer<typeof templateSchema>;

/**
 * Fills a template's gaps. A gap is an object `{"$parameter": "name"}` anywhere in the template's policy.
 *
 * @param template parsed JSON of a template file
 * @param parameters exactly the parameters that the template declares
 * @returns the Offer as JSON, without `@id`
 * @throws PolicyError for a template that is none, for a missing, unknown or wrong parameter, and for an outcome that
 *   this package could not enforce
 */
export function instantiate(template: unknown, parameters: Readonly<Record<string, unknown>>): OfferJson {
  checkJson(template, DEFAULT_LIMITS);
  const parsed = templateSchema.safeParse(template);
  if (!parsed.success) throw new PolicyError('$', `the template cannot be used: ${z.prettifyError(parsed.error)}`);
  const { parameters: declared, policy } = parsed.data;
  const names = Object.keys(declared);
  const stray = Object.keys(parameters).filter((name) => !Object.hasOwn(declared, name));
  if (stray.length > 0) {
    throw new PolicyError('$.parameters', `unknown: ${listed(stray)}; the template takes ${listed(names)}`);
  }
  const values = new Map<string, unknown>();
  for (const [name, { type, description }] of Object.entries(declared)) {
    const path = `$.parameters${pathKey(name)}`;
    if (!Object.hasOwn(parameters, name)) throw new PolicyError(path, `missing (${description})`);
    const value = PARAMETER_TYPES[type].safeParse(parameters[name]);
    if (!value.success) {
      throw new PolicyError(path, `not as expected (${description}): ${z.prettifyError(value.error)}`);
    }
    values.set(name, value.data);
  }

  const used = new Set<string>();
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(fill);
    if (!isObject(value)) return value;
    const name = value['$parameter'];
    if (name === undefined) return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, fill(part)]));
    if (typeof name !== 'string' || !values.has(name) || Object.keys(value).length > 1) {
      throw new PolicyError('$.policy', `the gap ${JSON.stringify(value)} names no parameter of the template`);
    }
    used.add(name);
    return structuredClone(values.get(name));
  };
  const filled = fill(policy) as OfferJson;
  const unused = names.filter((name) => !used.has(name));
  // A limit that somebody set and that nowhere counts would be worse than none.
  if (unused.length > 0) throw new PolicyError('$.policy', `the template never uses ${listed(unused)}`);
  return checkedOffer(filled);
}
