import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import { createServer } from 'node:https';
import type { Server } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { FoedusError } from '../errors.ts';
import { certificateOf, participantOf } from './certificate.ts';
import { listen, serverTimeouts, type HttpServer } from './http-server.ts';
import type { Identity } from './identity.ts';
import { traceServer } from './tracing.ts';

/**
 * Serves other participants: TLS 1.3 with a client certificate from a trust anchor, or no connection at all.
 *
 * @param options `port` 0 takes a free one
 * @throws FoedusError `unavailable` when the port cannot be had
 */
export async function servePeers(options: {
  identity: Identity;
  host: string;
  port: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever variables the app's own routes use
  app: Hono<any>;
}): Promise<HttpServer> {
  const { identity, host, port, app } = options;
  const server = createAdaptorServer({
    fetch: traceServer((request, env) => app.fetch(request, env)),
    createServer,
    serverOptions: {
      ...identity.tls,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: 10_000,
      ...serverTimeouts,
    },
  }) as Server;
  return await listen(server, { scheme: 'https', host, port });
}

const callers = new WeakMap<TLSSocket, { readonly participantId: string; readonly validTo: Date }>();

/**
 * The participant on the other end of the connection, as its verified certificate names it.
 *
 * @throws FoedusError `not-authenticated` without such a certificate
 */
export function callerOf(c: Context): string {
  const socket = (c.env as Partial<HttpBindings> | undefined)?.incoming?.socket as TLSSocket | undefined;
  const caller = socket && (callers.get(socket) ?? authenticate(socket));
  if (!caller || caller.validTo < new Date()) {
    throw new FoedusError(
      'not-authenticated',
      'The caller is not known: this call needs mutual TLS with a valid certificate that names one participant.',
    );
  }
  return caller.participantId;
}

function authenticate(socket: TLSSocket): { participantId: string; validTo: Date } | undefined {
  if (!socket.encrypted || !socket.authorized) return undefined;
  const shown = socket.getPeerX509Certificate();
  if (!shown) return undefined;
  try {
    const certificate = certificateOf(shown.raw.toString('base64'));
    const caller = { participantId: participantOf(certificate), validTo: certificate.validToDate };
    callers.set(socket, caller);
    return caller;
  } catch (cause) {
    throw new FoedusError('not-authenticated', (cause as Error).message, { cause });
  }
}
