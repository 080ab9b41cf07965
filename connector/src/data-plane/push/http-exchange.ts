import { checkServerIdentity, rootCertificates, type PeerCertificate } from 'node:tls';
import type { Readable } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import { FoedusError } from '../../errors.ts';
import { certificateOf, participantOf } from '../../identity/certificate.ts';
import type { Identity } from '../../identity/index.ts';
import { LARGEST_ANSWER, LONGEST_ANSWER } from './answer-body.ts';
import type { Outbound } from './outbound.ts';

const TIMEOUT = 60_000;

export interface Answer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** The beginning of the body. */
  readonly text: string;
}

/** Calls one receiver over https. Redirects are answers like others: nobody follows them. */
export interface HttpExchange extends AsyncDisposable {
  /** @throws FoedusError `unavailable`, `wrong-peer`, `not-permitted`; the reason of `signal` where it aborts */
  call(request: {
    method: 'OPTIONS' | 'POST' | 'PUT' | 'HEAD' | 'PATCH' | 'DELETE';
    url: URL;
    headers: Readonly<Record<string, string>>;
    body?: Uint8Array | Readable;
    signal?: AbortSignal;
  }): Promise<Answer>;
}

/**
 * The receiver is believed by the certificate authorities of the system, or by those of the data space; a participant's
 * certificate must be the counterparty's. It is shown ours where it asks.
 */
export function createHttpExchange(options: {
  identity: Pick<Identity, 'tls'>;
  outbound: Outbound;
  counterPartyId: string;
}): HttpExchange {
  const { identity, outbound, counterPartyId } = options;
  const agent = new Agent({
    connect: {
      key: identity.tls.key,
      cert: identity.tls.cert,
      ca: [...rootCertificates, identity.tls.ca],
      lookup: outbound.lookup,
      minVersion: 'TLSv1.2',
      timeout: 10_000,
      // A resumed session skips checkServerIdentity.
      maxCachedSessions: 0,
      checkServerIdentity: (host: string, certificate: PeerCertificate) =>
        checkServerIdentity(host, certificate) ?? otherParticipant(certificate, counterPartyId),
    },
    headersTimeout: TIMEOUT,
    bodyTimeout: TIMEOUT,
    maxHeaderSize: 32 * 1024,
    connections: 1,
  });
  return {
    async call({ method, url, headers, body, signal }) {
      let response: Dispatcher.ResponseData;
      try {
        response = await agent.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method,
          headers,
          body: body ?? null,
          ...(signal && { signal }),
        });
        const text = await beginningOf(response.body);
        return {
          status: response.statusCode,
          header: (name) => {
            const value = response.headers[name];
            return Array.isArray(value) ? value[0] : value;
          },
          text,
        };
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        throw explain(error, url);
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

async function beginningOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => body.destroy(new Error('the answer does not end')), LONGEST_ANSWER);
  try {
    for await (const chunk of body) {
      chunks.push(chunk as Buffer);
      size += (chunk as Buffer).length;
      // Leaving the loop ends the body, and the connection with it.
      if (size >= LARGEST_ANSWER) break;
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).subarray(0, LARGEST_ANSWER).toString('utf8');
}

/** A certificate that names a participant names the right one; others are those of plain servers. */
function otherParticipant(certificate: PeerCertificate, expected: string): Error | undefined {
  let named: string;
  try {
    named = participantOf(certificateOf(certificate.raw.toString('base64')));
  } catch {
    return undefined;
  }
  if (named === expected) return undefined;
  return new FoedusError('wrong-peer', `At the address of the push is ${named}, not ${expected}.`);
}

function explain(error: unknown, { origin }: URL): FoedusError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof FoedusError) return cause;
  const code = (error as { code?: unknown }).code;
  return new FoedusError('unavailable', `No answer from ${origin}${typeof code === 'string' ? ` (${code})` : ''}.`, {
    cause: error,
  });
}

/** What an answer outside of 200 to 299 means for a push. Its text is the receiver's: only its status is told on. */
export function refusedBy({ status }: Answer, url: URL): FoedusError {
  const where = `The receiver at ${url.origin} answered ${status}`;
  if (status >= 500 || [408, 409, 423, 425, 429].includes(status)) return new FoedusError('unavailable', `${where}.`);
  if (status >= 300 && status < 400) return new FoedusError('refused-redirect', `${where}, a redirect: not followed.`);
  if (status === 404 || status === 410) return new FoedusError('gone', `${where}: it does not take this upload.`);
  return new FoedusError('not-permitted', `${where}: it does not take the data.`);
}
