/** What keeps web pages of others from using this API through the operator's browser. */
import type { MiddlewareHandler } from 'hono';

const loopbackName = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * DNS rebinding: a page of another site may get its own name to mean 127.0.0.1, but its requests still carry that name.
 * Only requests to a loopback name get in.
 */
export const loopbackHostOnly: MiddlewareHandler = async (c, next) => {
  if (loopbackName.test(c.req.header('host') ?? '')) return await next();
  return c.json(
    {
      code: 'not-permitted',
      message: 'This API answers to localhost, 127.0.0.1 and [::1] only. Use one of these names.',
    },
    403,
  );
};

/** Cross-site requests: a form cannot send JSON, and a script of another site may not without being allowed to. */
export const jsonOnly: MiddlewareHandler = async (c, next) => {
  const type = c.req.header('content-type') ?? '';
  if (/^application\/json\s*(?:;|$)/i.test(type)) return await next();
  return c.json({ code: 'bad-request', message: 'Send the body with content-type: application/json.' }, 415);
};
