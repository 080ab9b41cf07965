import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import type { Identity } from '@foedus/connector/identity';
import type { FuzzRequest } from './http-mutations.ts';

export interface WireAnswer {
  /** Absent: the connection ended without an answer. */
  readonly status?: number;
  readonly text: string;
  readonly error?: string;
}

/** Sends requests as they are, over mutual TLS on connections that are kept. */
export interface Wire extends AsyncDisposable {
  send(request: FuzzRequest): Promise<WireAnswer>;
  /** On a connection of its own, byte by byte; ends it when nothing more comes. */
  sendRaw(bytes: Buffer): Promise<WireAnswer>;
}

/** Longest that an answer may take, in milliseconds: no request of a fuzzer has to wait for anything. */
const PATIENCE = 20_000;

export function createWire(identity: Identity, root: string, connections: number): Wire {
  const { hostname, port } = new URL(root);
  const agent = new Agent({
    ...identity.tls,
    servername: hostname,
    keepAlive: true,
    maxSockets: connections,
    minVersion: 'TLSv1.3',
  });
  const attempt = ({ method, path, headers, body }: FuzzRequest): Promise<WireAnswer> =>
    new Promise((resolve) => {
      const fail = (error: Error): void => resolve({ text: '', error: error.message });
      let call: ReturnType<typeof httpsRequest>;
      try {
        const length = method === 'GET' || method === 'HEAD' ? {} : { 'content-length': body.length };
        call = httpsRequest({
          agent,
          host: hostname,
          port,
          method,
          path,
          headers: { ...headers, ...length },
          timeout: PATIENCE,
        });
      } catch {
        // What Node's own client refuses to send (a path with control characters) comes in `sendRaw`.
        resolve({ status: 400, text: '' });
        return;
      }
      call.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', fail);
      });
      call.on('timeout', () => call.destroy(new Error('no answer in time')));
      call.on('error', fail);
      call.end(method === 'GET' || method === 'HEAD' ? undefined : body);
    });
  return {
    send: async (request) => {
      const answer = await attempt(request);
      // A server may close a kept connection at any time; whoever crashes at a message does so again.
      return answer.status === undefined && answer.error === 'socket hang up' ? await attempt(request) : answer;
    },
    sendRaw: (bytes) =>
      new Promise((resolve) => {
        const socket = connect({ ...identity.tls, host: hostname, port: Number(port), minVersion: 'TLSv1.3' });
        let text = '';
        // Half a request waits for its rest: an answer that has not begun by now will not come before the server's own timeout.
        socket.setTimeout(300, () => socket.destroy());
        socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        socket.on('error', () => undefined);
        socket.on('close', () => {
          const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
          resolve({ text, ...(status === undefined ? {} : { status: Number(status) }) });
        });
        socket.write(bytes);
      }),
    [Symbol.asyncDispose]: async () => agent.destroy(),
  };
}

/** Tries to get in without being let in. @returns what the connection came to, for each way */
export async function knock(identity: Identity, root: string): Promise<Record<string, string>> {
  const { hostname, port } = new URL(root);
  const { ca, key, cert } = identity.tls;
  const get = 'GET /2025-1/catalog/datasets/x HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const outcome = (options: object): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: hostname, port: Number(port), ca, ...options });
      socket.setTimeout(5_000, () => socket.destroy(new Error('timeout')));
      socket.on('data', (chunk: Buffer) => resolve(`answered ${chunk.toString('latin1').slice(0, 12)}`));
      socket.on('error', () => resolve('refused'));
      socket.on('close', () => resolve('refused'));
      socket.write(get);
    });
  return {
    'without a certificate': await outcome({}),
    'over TLS 1.2': await outcome({ key, cert, maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' }),
  };
}
