import { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Agent, fetch as undiciFetch } from 'undici';
import { FoedusError } from '../errors.ts';
import { participantOf } from './certificate.ts';
import type { Identity } from './identity.ts';
import { traceClient } from './tracing.ts';

export interface PeerRequest extends RequestInit {
  /** Participant id that the server's certificate must name. */
  expect?: string;
  /** How long to wait for the response's headers, in milliseconds. @default 60000 */
  timeoutMs?: number;
}

/** Calls other participants over mutual TLS 1.3. Connections are kept and used again. */
export interface PeerClient extends AsyncDisposable {
  /**
   * Like the global fetch, for https only and without following redirects. The caller's signal ends it at any time.
   *
   * @throws FoedusError `wrong-peer` when the server is not the expected participant, `unavailable` when no connection
   *   or no answer in time came about (worth another try), `refused-redirect`, `bad-request` for an address without TLS
   */
  fetch(url: string | URL, init?: PeerRequest): Promise<Response>;
}

/** Connections to more expected peers than this are closed, the least recently used ones first. */
const MAX_AGENTS = 256;

/** Makes a client that authenticates itself as `identity`. Disposing it aborts what is under way. */
export function createPeerClient(identity: Identity): PeerClient {
  // One pool for each expected peer: a connection that was opened to anybody is never used where somebody is expected.
  const agents = new Map<string | undefined, Agent>();
  const agentFor = (expected: string | undefined): Agent => {
    const agent = agents.get(expected) ?? createAgent(identity, expected);
    agents.delete(expected);
    agents.set(expected, agent);
    if (agents.size > MAX_AGENTS) {
      const [oldest, unused] = agents.entries().next().value!;
      agents.delete(oldest);
      void unused.close();
    }
    return agent;
  };

  const send = async (target: URL, headers: Headers, request: PeerRequest): Promise<Response> => {
    const { expect, timeoutMs = 60_000, signal, ...init } = request;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    try {
      const response = await undiciFetch(target, {
        ...(init as object),
        ...(init.body instanceof ReadableStream ? { duplex: 'half' as const } : {}),
        headers: [...headers],
        redirect: 'manual',
        dispatcher: agentFor(expect),
        signal: signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal,
      });
      if (response.status >= 300 && response.status < 400 && response.status !== 304) {
        await response.body?.cancel();
        throw new FoedusError('refused-redirect', `${target.origin} answered with a redirect, which is not followed.`);
      }
      return response;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (timeout.signal.aborted) {
        throw new FoedusError('unavailable', `${target.origin} did not answer within ${timeoutMs / 1000} s.`);
      }
      throw explain(error, target);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    fetch: async (url, init = {}) => {
      const target = new URL(url);
      if (target.protocol !== 'https:') {
        throw new FoedusError('bad-request', `Other participants are called over https only, not ${target.protocol}`);
      }
      const headers = new Headers(init.headers);
      return await traceClient(init.method ?? 'GET', target, headers, () => send(target, headers, init));
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      agents.clear();
    },
  };
}

function createAgent(identity: Identity, expected: string | undefined): Agent {
  return new Agent({
    connect: {
      ...identity.tls,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      timeout: 10_000,
      // A resumed TLS session skips checkServerIdentity: every connection shows its certificate.
      maxCachedSessions: 0,
      checkServerIdentity: (host: string, certificate: PeerCertificate) =>
        checkServerIdentity(host, certificate) ?? checkPeer(certificate, expected),
    },
    keepAliveTimeout: 30_000,
    keepAliveMaxTimeout: 60_000,
    headersTimeout: 0, // timeoutMs of each request decides
    bodyTimeout: 120_000,
  });
}

function checkPeer(certificate: PeerCertificate, expected: string | undefined): Error | undefined {
  try {
    const found = participantOf(new X509Certificate(certificate.raw));
    if (expected === undefined || found === expected) return undefined;
    return new FoedusError('wrong-peer', `The server is ${found}, not ${expected}. Is the address right?`);
  } catch (error) {
    return error as Error;
  }
}

/** fetch wraps what happened on the socket in one or two errors of its own. */
function explain(error: unknown, target: URL): FoedusError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof FoedusError) {
      return cause.code === 'bad-certificate' ? new FoedusError('wrong-peer', cause.message, { cause }) : cause;
    }
  }
  const cause = ((error as Error).cause ?? error) as Error & { code?: string };
  const code = cause.code ?? '';
  const why = /CERT|SIGNATURE|ISSUER/.test(code)
    ? `its certificate is not accepted here (${code})`
    : /ECONNRESET|UND_ERR_SOCKET|SSL|TLS/.test(code)
      ? `it closed the connection (${code}); perhaps it does not accept our certificate`
      : code || cause.message;
  return new FoedusError('unavailable', `No answer from ${target.origin}: ${why}.`, { cause: error });
}
