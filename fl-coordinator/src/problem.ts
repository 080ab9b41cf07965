/** What the coordinator's two HTTP APIs answer errors with. */
import { type Problem, problemOf } from '@foedus/connector/errors';
import { FoedusError } from '@foedus/connector/errors';
import { InvalidUpdateError } from '@foedus/fl-core';
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import { z } from 'zod';

type Status = ReturnType<typeof problemOf>['status'] | 429;

/** Codes that only the round protocol has. */
const ownStatus: Readonly<Record<string, Status>> = {
  'round-over': 409,
  'not-enrolled': 409,
  'dropped-out': 409,
  'older-head': 409,
  'too-many-requests': 429,
};

function answerTo(error: unknown): { readonly status: Status; readonly body: Problem } {
  if (error instanceof InvalidUpdateError)
    return problemOf(new FoedusError(error.code, error.message, { cause: error }));
  const { status, body } = problemOf(error);
  return { status: ownStatus[body.code] ?? status, body };
}

/** For Hono's `onError`: problems as JSON; what nobody threw on purpose goes to the log. */
export function answerErrors(logger: Logger): (error: Error, c: Context) => Response {
  return (error, c) => {
    const { status, body } = answerTo(error);
    if (status === 500) logger.error({ err: error, path: c.req.path }, 'A request failed');
    const retryAfter = body.details?.['retryAfterSeconds'];
    if (typeof retryAfter === 'number') c.header('Retry-After', retryAfter.toString());
    return c.json(body, status);
  };
}

export const answerNotFound = (c: Context): Response =>
  c.json({ code: 'not-found', message: `There is nothing at ${c.req.method} ${c.req.path}.` }, 404);

/** @param maxBytes more is refused before it is read to its end */
export function limitBody(maxBytes: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: maxBytes,
    onError: (c) => c.json({ code: 'too-large', message: `At most ${maxBytes} bytes are accepted here.` }, 413),
  });
}

/** @throws FoedusError `bad-request` for anything that is not JSON of this shape; an empty body counts as `{}` */
export async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const text = await c.req.text();
  let json: unknown;
  try {
    json = text === '' ? {} : JSON.parse(text);
  } catch (cause) {
    throw new FoedusError('bad-request', 'The body is not JSON.', { cause });
  }
  return checked(json, schema, 'The body is not valid.');
}

/** @throws FoedusError `bad-request` with `what` and the schema's words */
export function checked<T>(value: unknown, schema: z.ZodType<T>, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', `${what} ${z.prettifyError(parsed.error)}`);
}
