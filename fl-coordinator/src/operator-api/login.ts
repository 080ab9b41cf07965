/**
 * The operator's way in: the token as a bearer, or the dashboard's cookie, which the token buys. The cookie holds a random
 * value of its own, and the store only its SHA-256: neither gives the token away.
 */
import { FoedusError } from '@foedus/connector/errors';
import { bearerAuth } from '@foedus/connector/identity';
import type { Database } from '@foedus/connector/store';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const COOKIE = 'foedus_coordinator';
const LIFETIME_SECONDS = 12 * 3_600;
/** Older logins than the newest so many are forgotten: whoever holds the token cannot fill the store. */
const MOST_LOGINS = 1_000;

export interface Logins {
  /** Exchanges the token for a cookie. @throws FoedusError `not-authenticated` */
  login(c: Context, token: string): void;
  /** Lets requests with the token or a valid cookie through; 401 otherwise. */
  readonly required: MiddlewareHandler;
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

export function createLogins({ sql }: Database, operatorToken: string, now: () => Date): Logins {
  const insert = sql.prepare('INSERT INTO logins (hash, expires_at) VALUES (?, ?)');
  const select = sql.prepare('SELECT 1 FROM logins WHERE hash = ? AND expires_at > ?');
  const prune = sql.prepare(
    `DELETE FROM logins WHERE expires_at <= ?
       OR hash NOT IN (SELECT hash FROM logins ORDER BY expires_at DESC LIMIT ${MOST_LOGINS})`,
  );
  const expected = sha256(operatorToken);
  const bearer = bearerAuth(operatorToken);
  return {
    login(c, token) {
      if (!timingSafeEqual(sha256(token), expected)) {
        throw new FoedusError(
          'not-authenticated',
          'This is not the operator token. The configured tokenFile holds it.',
        );
      }
      const value = randomBytes(32).toString('base64url');
      insert.run(sha256(value).toString('hex'), new Date(now().getTime() + LIFETIME_SECONDS * 1000).toISOString());
      prune.run(now().toISOString());
      setCookie(c, COOKIE, value, { httpOnly: true, sameSite: 'Strict', path: '/', maxAge: LIFETIME_SECONDS });
    },
    required: async (c, next) => {
      const value = getCookie(c, COOKIE);
      const known = value !== undefined && select.get(sha256(value).toString('hex'), now().toISOString()) !== undefined;
      return known ? await next() : await bearer(c, next);
    },
  };
}
