import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { badMessage } from '../protocol/receive.ts';
import type { Criterion } from './filter.ts';

/** Where a page lies: right after, or right before, a data set's id. It may be gone meanwhile; its place is not. */
export type Anchor = { readonly after: string } | { readonly before: string };

/** What a token is good for: the same caller with the same filter. */
export interface TokenScope {
  readonly caller: string;
  readonly criteria: readonly Criterion[];
}

/**
 * Names pages in `Link` addresses. A token says everything about its page, so nothing is remembered between two
 * requests, and it carries a MAC: only what this node has handed out is taken back.
 */
export interface ContinuationTokens {
  write(anchor: Anchor, scope: TokenScope): string;
  /** @throws FoedusError `bad-request` for a token of somebody else, of another filter, or of nobody */
  read(token: string, scope: TokenScope): Anchor;
}

const anchorSchema = z.union([z.strictObject({ after: z.string() }), z.strictObject({ before: z.string() })]);
const FORM = /^([A-Za-z0-9_-]{1,16384})\.([A-Za-z0-9_-]{43})$/;

/** @param secret 32 bytes that only this node knows */
export function createContinuationTokens(secret: Uint8Array): ContinuationTokens {
  const macOf = (payload: string, { caller, criteria }: TokenScope): Buffer => {
    const filter = createHash('sha256').update(JSON.stringify(criteria)).digest('base64url');
    return createHmac('sha256', secret)
      .update(JSON.stringify(['foedus catalog page', caller, filter, payload]))
      .digest();
  };
  return {
    write: (anchor, scope) => {
      const payload = Buffer.from(JSON.stringify(anchor)).toString('base64url');
      return `${payload}.${macOf(payload, scope).toString('base64url')}`;
    },
    read: (token, scope) => {
      const [, payload, mac] = FORM.exec(token) ?? [];
      if (payload === undefined || mac === undefined) throw unknownToken();
      if (!timingSafeEqual(Buffer.from(mac, 'base64url'), macOf(payload, scope))) throw unknownToken();
      return anchorSchema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
    },
  };
}

function unknownToken(): FoedusError {
  return badMessage(
    'continuationToken: is none that this connector gave to you for this filter. Repeat the request to the address of the Link header with the same body, or ask for the first page again',
  );
}
