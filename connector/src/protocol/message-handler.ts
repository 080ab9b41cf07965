import type { Context, Handler } from 'hono';
import type { Logger } from 'pino';
import { callerOf } from '../identity/index.ts';
import { readJson } from './json-body.ts';
import type { Incoming } from './receive.ts';
import { compactTerms, isObject } from './terms.ts';
import { answerError, type ErrorType } from './typed-errors.ts';

type Answer = Record<string, unknown>;

/** Makes route handlers that read a peer's message and answer with a document or the protocol's typed error. */
export function messageHandlers(type: ErrorType, logger: Logger) {
  return {
    /** @param id `:id` of the path; empty where there is none */
    post:
      (status: 200 | 201, work: (incoming: Incoming, id: string) => Answer | Promise<Answer>): Handler =>
      async (c) => {
        let body: unknown;
        try {
          const caller = callerOf(c);
          body = await readJson(c.req.raw);
          return c.json(await work({ caller, body }, c.req.param('id') ?? ''), status);
        } catch (error) {
          return answerError(c, error, type, pidsOf(body), logger);
        }
      },
    get:
      (work: (caller: string, id: string) => Answer): Handler =>
      (c: Context) => {
        try {
          return c.json(work(callerOf(c), c.req.param('id') ?? ''));
        } catch (error) {
          return answerError(c, error, type, {}, logger);
        }
      },
  };
}

function pidsOf(body: unknown): { consumerPid?: unknown; providerPid?: unknown } {
  const compact = compactTerms(body);
  return isObject(compact) ? compact : {};
}
