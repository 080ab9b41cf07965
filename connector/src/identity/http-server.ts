import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { FoedusError } from '../errors.ts';

/** A listening server. */
export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  /** For instance `https://localhost:7101`, without a slash at the end. */
  readonly url: string;
  /** Takes no new requests, gives running ones a moment to end, then closes every connection. Idempotent. */
  close(): Promise<void>;
}

/** Limits of both servers, in milliseconds. Bodies may take long: an update waits for its turn by back-pressure. */
export const serverTimeouts = {
  headersTimeout: 15_000,
  requestTimeout: 900_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
} as const;

/** How long `close` lets running requests go on, in milliseconds. */
const GRACE = 2_000;

/** What a TLS connection runs over: Node keeps it to itself. */
const transports = new WeakMap<Socket, Socket>();

/**
 * Ends a connection of `listen` by a reset: the other side gets an error, and what it has not received yet, megabytes
 * that may wait in the buffers of the operating system, is dropped.
 */
export function resetConnection(socket: Socket): void {
  const transport = transports.get(socket) ?? socket;
  if (!transport.destroyed) transport.resetAndDestroy();
  socket.destroy();
}

/**
 * Listens, and knows how to stop in bounded time.
 *
 * @throws FoedusError `unavailable` when the port is taken or not allowed
 */
export async function listen(
  server: Server,
  { scheme, host, port }: { scheme: 'http' | 'https'; host: string; port: number },
): Promise<HttpServer> {
  // Connections that never sent a request (or never finished TLS) are unknown to closeAllConnections.
  const sockets = new Set<Socket>();
  const underTls = new Map<string, Socket>();
  const endsOf = ({ remoteAddress, remotePort, localPort }: Socket) => `${remoteAddress} ${remotePort} ${localPort}`;
  server.on('connection', (socket: Socket) => {
    const ends = endsOf(socket);
    sockets.add(socket);
    underTls.set(ends, socket);
    socket.once('close', () => {
      sockets.delete(socket);
      if (underTls.get(ends) === socket) underTls.delete(ends);
    });
  });
  server.on('secureConnection', (socket: Socket) => {
    const transport = underTls.get(endsOf(socket));
    if (transport !== undefined) transports.set(socket, transport);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'EADDRINUSE' ? 'another program listens there already' : cause.message;
    throw new FoedusError(
      'unavailable',
      `Cannot listen on ${host}, port ${port}: ${why}. Choose another port or stop the other program.`,
      { cause },
    );
  });
  const actual = (server.address() as AddressInfo).port;
  let closed: Promise<void> | undefined;
  // A connection that is kept alive after its last response would hold `close` up: Node does not end it by itself.
  server.on('request', (_request, response: ServerResponse) => {
    response.once('close', () => {
      if (closed) setImmediate(() => server.closeIdleConnections());
    });
  });
  const close = (): Promise<void> => {
    closed ??= new Promise((resolve) => {
      const force = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, GRACE);
      server.close(() => {
        clearTimeout(force);
        resolve();
      });
      server.closeIdleConnections();
      // A connection that was opened for later and never carried anything is not idle in Node's books.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    });
    return closed;
  };
  const name = ['127.0.0.1', '::1', '0.0.0.0', '::', 'localhost'].includes(host) ? 'localhost' : host;
  const authority = name.includes(':') ? `[${name}]` : name;
  return { port: actual, url: `${scheme}://${authority}:${actual}`, close, [Symbol.asyncDispose]: close };
}
