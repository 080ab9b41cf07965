import { z } from 'zod';
import { FoedusError } from '../errors.ts';

const LARGEST_COLUMNS = 1_000;

const columnName = z.string().min(1, 'a column name is empty').max(500, 'a column name is longer than 500 characters');
const querySchema = z.strictObject({
  columns: z
    .array(columnName)
    .max(LARGEST_COLUMNS, `more than ${LARGEST_COLUMNS} columns`)
    .refine((names) => new Set(names).size === names.length, 'a column is named twice')
    .optional(),
  purpose: z.string().min(1, 'the purpose is empty').max(2048, 'the purpose is longer than 2048 characters').optional(),
});

/** What a consumer asks for in the query of its GET. */
export type PullQuery = z.infer<typeof querySchema>;

/**
 * Reads `?columns=a,b&purpose=IRI`. Both may be left out: then all granted columns, and no purpose.
 * `columns` may be given more than once; a name with a comma in it cannot be asked for by name.
 *
 * @throws FoedusError `bad-request`, also for a parameter that this node does not know
 */
export function parsePullQuery(query: Record<string, string[]>): PullQuery {
  const { columns, purpose, ...unknown } = query;
  const stranger = Object.keys(unknown)[0];
  if (stranger !== undefined) {
    throw new FoedusError(
      'bad-request',
      `The parameter ${JSON.stringify(stranger.slice(0, 100))} is not known. Use columns and purpose.`,
    );
  }
  if (purpose !== undefined && purpose.length !== 1) {
    throw new FoedusError('bad-request', 'The parameter purpose is given more than once. Give one purpose.');
  }
  const result = querySchema.safeParse({
    ...(columns && { columns: columns.flatMap((list) => list.split(',')) }),
    ...(purpose && { purpose: purpose[0] }),
  });
  if (result.success) return result.data;
  throw new FoedusError('bad-request', `The request does not fit: ${result.error.issues[0]?.message ?? 'unreadable'}.`);
}
