import { createAdaptorServer } from '@hono/node-server';
import type { Hono, MiddlewareHandler } from 'hono';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Server } from 'node:http';
import { isIPv4 } from 'node:net';
import { FoedusError } from '../errors.ts';
import { listen, serverTimeouts, type HttpServer } from './http-server.ts';
import { traceServer } from './tracing.ts';

/**
 * Serves this organisation's own operator: plain HTTP, on the loopback interface.
 *
 * @param options `host` is `127.0.0.1` (or another loopback address); `port` 0 takes a free one
 * @throws FoedusError `bad-config` for a host that is not loopback (without `allowRemote`), `unavailable` when the port cannot be had
 */
export async function serveOperators(options: {
  host: string;
  port: number;
  /** Listens beyond loopback: only where nobody but this organisation reaches the network. @default false */
  allowRemote?: boolean;
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever variables the app's own routes use
  app: Hono<any>;
}): Promise<HttpServer> {
  const { host, port, app, allowRemote = false } = options;
  if (!allowRemote && !isLoopback(host)) {
    throw new FoedusError(
      'bad-config',
      `The operator's API is plain HTTP and listens on loopback only, not on ${host}. Use 127.0.0.1, and a tunnel or a reverse proxy with TLS to reach it from elsewhere.`,
    );
  }
  const server = createAdaptorServer({
    fetch: traceServer((request, env) => app.fetch(request, env)),
    serverOptions: serverTimeouts,
  }) as Server;
  return await listen(server, { scheme: 'http', host, port });
}

/** Whether `host` is an address that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Lets a request through that carries `Authorization: Bearer <token>`; 401 otherwise. Compares in constant time. */
export function bearerAuth(token: string): MiddlewareHandler {
  const fingerprint = (text: string) => createHash('sha256').update(text).digest();
  const expected = fingerprint(token);
  return async (c, next) => {
    const given = /^Bearer ([^\s]{1,1000})$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(fingerprint(given), expected)) {
      c.header('WWW-Authenticate', 'Bearer');
      return c.json(
        {
          code: 'not-authenticated',
          message:
            'This call needs the operator\'s token as "Authorization: Bearer …"; the configured tokenFile holds it.',
        },
        401,
      );
    }
    return await next();
  };
}
