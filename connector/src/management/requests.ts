import type { Context } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { FoedusError, problemOf } from '../errors.ts';
import type { Changes } from '../protocol/changes.ts';
import { readJson } from '../protocol/json-body.ts';
import { faults } from '../protocol/messages.ts';

/** Longest that a long poll is held open, in seconds. */
const LONGEST_WAIT = 60;

/** Reads an operator's JSON. @throws FoedusError `bad-request`, `too-large` */
export async function bodyOf<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await readJson(c.req.raw));
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', `The request does not fit: ${faults(parsed.error).join('; ')}`);
}

/** The body of a PUT: its id must be the one of the path. */
export async function itemOf<T extends { id: string }>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const item = await bodyOf(c, schema);
  if (item.id === c.req.param('id')) return item;
  throw new FoedusError(
    'bad-request',
    `The body's id is ${item.id}, the path's ${c.req.param('id')}: they must agree.`,
  );
}

/** Answers an operator with a problem; logs what nobody threw on purpose. */
export function answerProblem(c: Context, error: Error, logger: Logger): Response {
  if (!(error instanceof FoedusError)) logger.error({ err: error, path: c.req.path }, 'a request could not be handled');
  const { status, body } = problemOf(error);
  return c.json(body, status);
}

const waitSchema = z.coerce.number().min(0).max(LONGEST_WAIT).default(0);

/** `?wait=` in seconds. @throws FoedusError `bad-request` */
export function waitOf(c: Context): number {
  const parsed = waitSchema.safeParse(c.req.query('wait'));
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', `wait: must be a number of seconds from 0 to ${LONGEST_WAIT}`);
}

/**
 * Holds a request open until `read` gives something that is `ready`, or the time is over, or the caller has left.
 *
 * @returns what `read` gave last
 */
export async function longPoll<T>(
  c: Context,
  { changes, topic, read, ready }: { changes: Changes; topic: string; read: () => T; ready: (value: T) => boolean },
): Promise<T> {
  const deadline = performance.now() + waitOf(c) * 1000;
  const { signal } = c.req.raw;
  for (;;) {
    const value = read();
    const left = deadline - performance.now();
    if (ready(value) || left <= 0 || signal.aborted || changes.stopping.aborted) return value;
    await changes.wait(topic, left, signal);
  }
}
