import type { Context } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { FoedusError, problemOf } from '../errors.ts';
import type { Changes } from '../protocol/changes.ts';
import { readJson, type JsonLimits } from '../protocol/json-body.ts';
import { faults } from '../protocol/messages.ts';
import { passingTrouble } from '../store/trouble.ts';

/** Longest that a long poll is held open, in seconds. */
const LONGEST_WAIT = 60;

/** Query parameter of a long poll. */
export const waitSchema = z.coerce
  .number()
  .min(0)
  .max(LONGEST_WAIT)
  .default(0)
  .describe('How long the answer may be held back until there is something to tell, in seconds.');

/** One value or several with commas between, each one of `values`. */
export function oneOrMore<const Value extends string>(values: readonly Value[]) {
  return z.preprocess(
    (text) => (typeof text === 'string' ? text.split(',') : text),
    z.array(z.enum(values)).min(1).max(50),
  );
}

/** Reads an operator's JSON; no body at all is read as an empty object. @throws FoedusError `bad-request`, `too-large` */
export async function bodyOf<T>(c: Context, schema: z.ZodType<T>, limits?: JsonLimits): Promise<T> {
  const { raw } = c.req;
  const empty = raw.body === null || c.req.header('content-length') === '0';
  const parsed = schema.safeParse(empty ? {} : await readJson(raw, limits));
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', `The request does not fit: ${faults(parsed.error).join('; ')}`);
}

/** Reads the query; a parameter that the schema does not know is an error, so that no typing error goes unnoticed. */
export function queryOf<T>(c: Context, schema: z.ZodType<T>): T {
  const given = Object.entries(c.req.queries()).map(([name, values]) => [name, values.join(',')] as const);
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the query'}: ${message}`);
  throw new FoedusError('bad-request', `${what.join('; ')}. The API's description is at /docs.`);
}

/** @returns `item`, whose id must be the one of the path. @throws FoedusError `bad-request` */
export function sameId<T extends { readonly id: string }>(item: T, id: string): T {
  if (item.id === id) return item;
  throw new FoedusError('bad-request', `The body's id is ${item.id}, the path's ${id}: they must agree.`);
}

/** Answers an operator with a problem; logs what nobody threw on purpose. */
export function answerProblem(c: Context, error: Error, logger: Logger): Response {
  if (!(error instanceof FoedusError)) logger.error({ err: error, path: c.req.path }, 'a request could not be handled');
  const { status, body } = problemOf(passingTrouble(error) ?? error);
  return c.json(body, status);
}

/**
 * Holds a request open until `read` gives something that is `ready`, or the time is over, or the caller has left.
 *
 * @param wait seconds
 * @returns what `read` gave last
 */
export async function longPoll<T>(
  c: Context,
  {
    wait,
    changes,
    topic,
    read,
    ready,
  }: { wait: number; changes: Changes; topic: string; read: () => T; ready: (value: T) => boolean },
): Promise<T> {
  const deadline = performance.now() + wait * 1000;
  const { signal } = c.req.raw;
  for (;;) {
    const value = read();
    const left = deadline - performance.now();
    if (ready(value) || left <= 0 || signal.aborted || changes.stopping.aborted) return value;
    await changes.wait(topic, left, signal);
  }
}
