import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { FoedusError, problemOf } from '../../errors.ts';
import type { TokenPair } from './transfer-token.ts';

/** A renewal token is a fraction of this. */
const LARGEST_FORM = 16 * 1024;

/** Refuses larger forms before they are read. */
export const formLimit = bodyLimit({
  maxSize: LARGEST_FORM,
  onError: (c) => answer(c, new FoedusError('too-large', `The form is larger than ${LARGEST_FORM} bytes.`)),
});

/**
 * Reads the form `grant_type=refresh_token&refresh_token=…` (RFC 6749 section 6).
 *
 * @returns the renewal token
 * @throws FoedusError `bad-request`
 */
export async function readRenewal(c: Context): Promise<string> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  const form = new URLSearchParams(type === 'application/x-www-form-urlencoded' ? await c.req.text() : '');
  if (form.get('grant_type') !== 'refresh_token') {
    throw new FoedusError(
      'bad-request',
      'Tokens are renewed by the form grant_type=refresh_token&refresh_token=… (application/x-www-form-urlencoded).',
      { details: { error: 'unsupported_grant_type' } },
    );
  }
  const tokens = form.getAll('refresh_token');
  if (tokens.length === 1 && tokens[0] !== '') return tokens[0]!;
  throw new FoedusError('bad-request', 'The form needs one refresh_token: the one of the data address.');
}

/** A new token, or why there is none, as RFC 6749 sections 5.1 and 5.2 have it; errors also carry our code and message. */
export function answer(c: Context, result: TokenPair | Error): Response {
  c.header('cache-control', 'no-store');
  if (!(result instanceof Error)) {
    return c.json({ access_token: result.accessToken, token_type: 'Bearer', expires_in: result.expiresIn });
  }
  const { status, body } = problemOf(result);
  const { code, message } = body;
  const detail = result instanceof FoedusError ? result.details['error'] : undefined;
  const error =
    typeof detail === 'string' ? detail : status === 400 || status === 413 ? 'invalid_request' : 'invalid_grant';
  return c.json({ error, error_description: message, code, message }, status);
}
