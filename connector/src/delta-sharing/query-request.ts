import { z } from 'zod';
import { FoedusError } from '../errors.ts';

/** What a query of a table asks for, as far as it changes the answer. */
export interface TableQuery {
  /** At most so many rows; 0: none at all. */
  readonly limit?: number;
}

const hint = z.string().max(100_000);

// Newer clients say more (page sizes, refresh tokens): what is not known is passed over, as the protocol asks.
const querySchema = z.object({
  predicateHints: z.array(hint).max(1_000).nullish(),
  jsonPredicateHints: hint.nullish(),
  limitHint: z.int().min(0).nullish(),
  version: z.unknown().optional(),
  timestamp: z.unknown().optional(),
  startingVersion: z.unknown().optional(),
  endingVersion: z.unknown().optional(),
});

const HISTORY = ['version', 'timestamp', 'startingVersion', 'endingVersion'] as const;

/**
 * Reads the body of `POST …/query`. Hints may only narrow: the predicates, which clients apply themselves, are passed
 * over, and so is a limit beside them, since the rows that it counts are those that the predicates leave.
 *
 * @throws FoedusError `bad-request`, also for a version: an agreement has the data as it is now, without a history
 */
export function readTableQuery(body: unknown): TableQuery {
  const parsed = querySchema.safeParse(body);
  if (!parsed.success) {
    const what = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the body'}: ${message}`);
    throw new FoedusError('bad-request', `The query does not fit: ${what.join('; ').slice(0, 500)}.`);
  }
  const { predicateHints, jsonPredicateHints, limitHint, ...rest } = parsed.data;
  const asked = HISTORY.find((name) => rest[name] !== undefined && rest[name] !== null);
  if (asked !== undefined) throw noHistory(asked);
  const predicates = (predicateHints?.length ?? 0) > 0 || Boolean(jsonPredicateHints);
  if (limitHint === undefined || limitHint === null || (predicates && limitHint > 0)) return {};
  return { limit: limitHint };
}

/** For whatever asks for another version than the one that there is. */
export function noHistory(parameter: string): FoedusError {
  return new FoedusError(
    'bad-request',
    `${parameter}: tables under an agreement have no versions and no change feed. Ask without it for the data as it is now.`,
  );
}

const pageSchema = z.object({
  maxResults: z.coerce.number().int().min(0).max(1_000_000).optional(),
  pageToken: z
    .string()
    .regex(/^\d{0,6}$/)
    .optional(),
});

/**
 * A page of a list: `maxResults` items from where `pageToken` points.
 *
 * @throws FoedusError `bad-request`
 */
export function pageOf<T>(
  items: readonly T[],
  query: Record<string, string | undefined>,
): { items: readonly T[]; nextPageToken?: string } {
  const parsed = pageSchema.safeParse({ maxResults: query['maxResults'], pageToken: query['pageToken'] });
  if (!parsed.success) {
    throw new FoedusError('bad-request', 'maxResults is a whole number, and pageToken the one of the page before.');
  }
  const { maxResults = items.length, pageToken = '' } = parsed.data;
  const from = Number(pageToken);
  const to = from + maxResults;
  return { items: items.slice(from, to), ...(to < items.length && { nextPageToken: String(to) }) };
}
