import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { z } from 'zod';
import { FoedusError } from '../../errors.ts';
import { HEAD_HEADER, readHeadHeader, writeHeadHeader } from '../../ledger/head-header.ts';
import { refusedBy, type Answer, type HttpExchange } from './http-exchange.ts';
import type { HttpTarget } from './push-target.ts';
import type { Part, Receiver, ReceiverOptions } from './receiver.ts';

const PART_BYTES = 4 * 1024 * 1024;

const storedSchema = z.object({ location: z.url() }).or(z.object({ whole: z.literal(true) }));

/**
 * A receiver at an https address. Where it answers OPTIONS with `Upload-Limit`, the upload is resumed after a cut at
 * the offset that it names (draft-ietf-httpbis-resumable-upload, the subset in docs/push.md); else, or where the
 * address names a method, everything goes in one request, from the beginning at each attempt.
 */
export function createHttpReceiver(target: HttpTarget, exchange: HttpExchange, options: ReceiverOptions): Receiver {
  const { transferId, mediaType, store, signal, heads } = options;
  const { url, headers } = target;
  let location: URL | undefined;
  let single: { body: PassThrough; answer: Promise<Answer> } | undefined;

  const call = async (request: Omit<Parameters<HttpExchange['call']>[0], 'headers'> & { headers?: object }) => {
    const { headers: own, ...rest } = request;
    return await exchange.call({ signal, ...rest, headers: { ...headers, ...own } });
  };
  const create = async (): Promise<void> => {
    const stored = storedSchema.optional().parse(store.get(transferId)?.receiver);
    if (stored !== undefined) {
      if ('location' in stored) location = new URL(stored.location);
      return;
    }
    const offered = target.method === undefined ? await call({ method: 'OPTIONS', url }) : undefined;
    if (offered?.header('upload-limit') === undefined) return store.setReceiver(transferId, { whole: true });
    const held = offered.header(HEAD_HEADER);
    if (held !== undefined) await heads.present(readHeadHeader(held));
    const answer = await call({
      method: 'POST',
      url,
      headers: { 'upload-complete': '?0', 'content-type': mediaType, 'content-length': '0' },
    });
    if (answer.status !== 201 && answer.status !== 200) throw refusedBy(answer, url);
    const found = URL.parse(answer.header('location') ?? '', url.href);
    // The upload is where the data address said that it is: nobody sends this node elsewhere.
    if (found?.origin !== url.origin) {
      throw new FoedusError(
        'refused-redirect',
        `The receiver at ${url.origin} names no place of its own to upload to.`,
      );
    }
    store.setReceiver(transferId, { location: found.href });
    location = found;
  };
  const sendWhole = async (part: Part): Promise<void> => {
    if (single === undefined) {
      const body = new PassThrough({ highWaterMark: PART_BYTES });
      const answer = call({ method: target.method ?? 'POST', url, headers: { 'content-type': mediaType }, body });
      // Whoever waits for it gets to know.
      answer.catch((error: Error) => body.destroy(error));
      single = { body, answer };
    }
    const { body, answer } = single;
    if (part.last) body.end(part.bytes);
    else if (!body.write(part.bytes)) await Promise.race([once(body, 'drain', { signal }), answer]);
    if (!part.last) return;
    const answered = await answer;
    if (answered.status < 200 || answered.status > 299) throw refusedBy(answered, url);
  };

  return {
    partBytes: PART_BYTES,
    async open() {
      await create();
      if (location === undefined) return { bytes: 0, complete: false };
      const answer = await call({ method: 'HEAD', url: location });
      if (answer.status < 200 || answer.status > 299) throw refusedBy(answer, location);
      const offset = answer.header('upload-offset') ?? '';
      if (!/^\d{1,15}$/.test(offset)) {
        throw new FoedusError('bad-request', `The receiver at ${url.origin} does not say how much it has.`);
      }
      return { bytes: Number(offset), complete: answer.header('upload-complete') === '?1' };
    },
    async send(part) {
      if (location === undefined) return await sendWhole(part);
      const answer = await call({
        method: 'PATCH',
        url: location,
        headers: {
          'content-type': 'application/partial-upload',
          'content-length': String(part.bytes.length),
          'upload-offset': String(part.offset),
          'upload-complete': part.last ? '?1' : '?0',
          [HEAD_HEADER]: writeHeadHeader(await heads.signed()),
        },
        body: part.bytes,
      });
      if (answer.status < 200 || answer.status > 299) throw refusedBy(answer, location);
    },
    async discard() {
      if (location !== undefined) {
        await exchange.call({ method: 'DELETE', url: location, headers, signal: AbortSignal.timeout(5_000) });
      }
    },
    async [Symbol.asyncDispose]() {
      single?.body.destroy();
      await exchange[Symbol.asyncDispose]();
    },
  };
}
