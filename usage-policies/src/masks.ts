import { z } from 'zod';
import { readColumnName } from './column-names.ts';
import type { Mask } from './model.ts';
import { Unreadable, pathKey } from './policy-error.ts';
import { fromZod } from './row-filter.ts';
import { isObject } from './values.ts';

const maskSchema = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('null') }),
  z.strictObject({ method: z.literal('constant'), value: z.string().max(1000) }),
  z.strictObject({ method: z.literal('hash') }),
  z.strictObject({
    method: z.literal('truncate'),
    unit: z.enum(['hour', 'day', 'week', 'month', 'quarter', 'year']).optional(),
    step: z.number().positive().optional(),
  }),
  z.strictObject({
    method: z.literal('generalise'),
    parents: z
      .record(z.string().max(1000), z.string().max(1000))
      .refine((parents) => Object.keys(parents).length > 0, 'a hierarchy has at least one value'),
    levels: z.int().positive().max(20).optional(),
  }),
]);

/**
 * Reads masks by column name. The object returned has no prototype, so a lookup of any column name finds a mask or
 * nothing.
 *
 * @throws Unreadable with the place inside the value
 */
export function readMasks(raw: unknown): Record<string, Mask> {
  if (!isObject(raw)) throw new Unreadable('masks are an object: column name → mask');
  const names = Object.keys(raw);
  if (names.length === 0) throw new Unreadable('masks name at least one column');
  if (names.length > 1000) throw new Unreadable('masks name at most 1000 columns');
  const masks = Object.create(null) as Record<string, Mask>;
  for (const name of names) {
    const at = pathKey(name);
    const parsed = maskSchema.safeParse(raw[name]);
    if (!parsed.success) throw fromZod(parsed.error, at);
    masks[readColumnName(name, at)] = toMask(parsed.data, at);
  }
  return masks;
}

function toMask(read: z.infer<typeof maskSchema>, at: string): Mask {
  if (read.method === 'generalise') {
    const { method, parents, levels } = read;
    return { method, parents, ...(levels !== undefined && { levels }) };
  }
  if (read.method !== 'truncate') return read;
  const { method, unit, step } = read;
  if (unit !== undefined && step === undefined) return { method, unit };
  if (step !== undefined && unit === undefined) return { method, step };
  throw new Unreadable('truncate takes a unit of time or a step, one of the two', at);
}

/** `replaced by a keyed hash`, for sentences. */
export function describeMask(mask: Mask): string {
  if (mask.method === 'null') return 'emptied';
  if (mask.method === 'hash') return 'replaced by a keyed hash';
  if (mask.method === 'constant') return 'replaced by a constant';
  if (mask.method === 'generalise') return 'replaced by something wider';
  return `cut to ${'unit' in mask ? `its ${mask.unit}` : `steps of ${mask.step}`}`;
}
