import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Logger } from 'pino';
import { FoedusError, statusOf } from '../errors.ts';
import { passingTrouble } from '../store/trouble.ts';
import { writeDocument } from './messages.ts';

export type ErrorType = 'CatalogError' | 'ContractNegotiationError' | 'TransferError';

/** When a peer may try again what could not be handled now, unless the error's `details.retryAfterSeconds` says it. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Answers a peer with the protocol's typed error. Whatever nobody threw on purpose becomes 500 without its message,
 * which may hold what is not for others to read. Trouble that passes is 503, so that the peer tries again.
 *
 * @param pids process ids as far as they are known; the schemas ask for both as strings
 */
export function answerError(
  context: Context,
  thrown: unknown,
  type: ErrorType,
  pids: { consumerPid?: unknown; providerPid?: unknown },
  logger: Logger,
): Response {
  const trouble = passingTrouble(thrown);
  const error = trouble ?? thrown;
  const status = statusOf(error);
  const known = error instanceof FoedusError && (status < 500 || error.code === 'unavailable');
  if (!known || trouble) logger.error({ err: error, path: context.req.path }, 'a message could not be handled');
  const text = (pid: unknown): string => (typeof pid === 'string' ? pid : '');
  const body = writeDocument(type, {
    ...(type === 'CatalogError' ? {} : { consumerPid: text(pids.consumerPid), providerPid: text(pids.providerPid) }),
    code: known ? error.code : 'internal',
    reason: known ? reasonsOf(error) : ['This connector failed to handle the message. Try again later.'],
  });
  if (status === 503) {
    const { retryAfterSeconds = RETRY_AFTER_SECONDS } = known ? error.details : {};
    context.header('Retry-After', String(retryAfterSeconds));
  }
  return context.json(body, (status === 401 ? 404 : status) as ContentfulStatusCode);
}

function reasonsOf(error: FoedusError): unknown[] {
  const { reasons } = error.details;
  return Array.isArray(reasons) && reasons.length > 0 ? reasons : [error.message];
}
