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
    masks[readColumnName(name, at)] = parsed.data;
  }
  return masks;
}

/** `destination (hash)`, for sentences. */
export function describeMask(mask: Mask): string {
  if (mask.method === 'null') return 'emptied';
  return mask.method === 'hash' ? 'replaced by a keyed hash' : 'replaced by a constant';
}
