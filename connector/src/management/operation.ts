import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { STATUS_BY_CODE } from '../errors.ts';
import type { JsonLimits } from '../protocol/json-body.ts';
import type { Access, Needed } from './access.ts';
import type { Scope } from './model.ts';
import { answerProblem, bodyOf, queryOf } from './requests.ts';

/**
 * One call of the operator's API, as data: what a router mounts, what an OpenAPI document describes, and what a test
 * goes through are the same object, so that none of them can say something else.
 */
export interface Operation {
  readonly method: 'get' | 'put' | 'post' | 'delete';
  /** With `:name` for a parameter. */
  readonly path: string;
  /** Name of the operation, unique: what generated clients call it. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** What the caller's token must allow at least; `open`: no token. */
  readonly scope: Needed | 'open';
  /** Whether a browser may ask its user for the token (HTTP Basic). Only for documents: never where anything happens. */
  readonly browsable?: boolean;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly bodyLimits?: JsonLimits;
  readonly answer: Answer<never>;
  /** Codes of the errors that only this operation has: those of every call need not be named. */
  readonly errors: readonly ErrorCode[];
  readonly handle: (call: Call<string, never, never>) => unknown;
}

export type ErrorCode = keyof typeof STATUS_BY_CODE;

type ParameterNames<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParameterNames<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;

/** A call that has been let in and validated. */
export interface Call<Path extends string, Query, Body> {
  /** Decoded. */
  readonly params: { readonly [Name in ParameterNames<Path>]: string };
  readonly query: Query;
  readonly body: Body;
  /** What the caller's token allows; undefined where none is needed. */
  readonly scope: Scope | undefined;
  readonly context: Context;
}

/** What an operation answers with when it succeeds, and how a handler's result becomes that. */
export interface Answer<T> {
  readonly status: 200 | 201 | 204;
  readonly description: string;
  readonly content:
    | { readonly kind: 'json' | 'list'; readonly schema: z.ZodType }
    | { readonly kind: 'raw'; readonly mediaType: string }
    | { readonly kind: 'none' };
  send(c: Context, value: T): Response;
}

/** Part of a list. `next`: where the rest begins, if there is any. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

/** A JSON document. */
export function json<T>(schema: z.ZodType<T>, description: string): Answer<T> {
  return {
    status: 200,
    description,
    content: { kind: 'json', schema },
    send: (c, value) => c.json(value as object),
  };
}

/** A JSON document about something new, whose address is `path` and its id. */
export function created<T extends { readonly id: string }>(
  schema: z.ZodType<T>,
  path: string,
  description: string,
): Answer<T> {
  return {
    status: 201,
    description,
    content: { kind: 'json', schema },
    send: (c, value) => c.json(value, 201, { location: `${path}/${encodeURIComponent(value.id)}` }),
  };
}

/** A JSON array, page by page: the header `Link` (RFC 8288) with `rel="next"` leads to the next one. */
export function list<T>(schema: z.ZodType<T>, description: string): Answer<Page<T>> {
  return {
    status: 200,
    description,
    content: { kind: 'list', schema },
    send: (c, { items, next }) => {
      if (next === undefined) return c.json(items);
      const url = new URL(c.req.url);
      url.searchParams.set('after', next);
      return c.json(items, 200, { link: `<${url.pathname}${url.search}>; rel="next"` });
    },
  };
}

/** No body. */
export function nothing(description: string): Answer<void> {
  return { status: 204, description, content: { kind: 'none' }, send: (c) => c.body(null, 204) };
}

/** Whatever the handler made. */
export function raw(mediaType: string, description: string): Answer<Response> {
  return { status: 200, description, content: { kind: 'raw', mediaType }, send: (_c, response) => response };
}

type Described = Omit<Operation, 'path' | 'query' | 'body' | 'answer' | 'handle'>;

/** Declares an operation; the types of parameters, query, body and answer follow from their schemas. */
export function operation<
  const Path extends string,
  Result,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  declared: Described & {
    readonly path: Path;
    readonly query?: Query;
    readonly body?: Body;
    readonly answer: Answer<Result>;
    readonly handle: (
      call: Call<
        Path,
        Query extends z.ZodType ? z.output<Query> : undefined,
        Body extends z.ZodType ? z.output<Body> : undefined
      >,
    ) => Result | Promise<Result>;
  },
): Operation {
  return declared as unknown as Operation;
}

/**
 * Routes for a table of operations. Each is let in by its scope, its query and body are read by its schemas, and every
 * error is answered with a problem.
 */
export function mount(operations: readonly Operation[], { access, logger }: { access: Access; logger: Logger }): Hono {
  const app = new Hono({ strict: false });
  app.onError((error, c) => answerProblem(c, error, logger));
  for (const { method, path, scope, query, body, bodyLimits, answer, handle, browsable = false } of operations) {
    app.on(method, path, async (c) => {
      const allowed = scope === 'open' ? undefined : access.admit(c, scope, { browsable });
      const call = {
        params: c.req.param(),
        query: query && queryOf(c, query),
        body: body && (await bodyOf(c, body, bodyLimits)),
        scope: allowed,
        context: c,
      };
      return answer.send(c, (await handle(call as unknown as Call<string, never, never>)) as never);
    });
  }
  return app;
}
