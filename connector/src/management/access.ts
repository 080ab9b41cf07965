import type { Context } from 'hono';
import { FoedusError } from '../errors.ts';
import type { Scope } from './model.ts';
import type { TokenStore } from './token-store.ts';

/** What a call needs: a scope, or any token that is good. */
export type Needed = Scope | 'any';

/** The scopes that each scope includes. One that only uses data sees nothing else of this node. */
const INCLUDED: Readonly<Record<Scope, readonly Needed[]>> = {
  read: ['any', 'read'],
  use: ['any', 'use'],
  operate: ['any', 'read', 'use', 'operate'],
  administer: ['any', 'read', 'use', 'operate', 'administer'],
};

/** Whether a token's scope is enough. */
export function allows(scope: Scope, needed: Needed): boolean {
  return INCLUDED[scope].includes(needed);
}

/** Who is let in to what. */
export interface Access {
  /**
   * Checks the token of a request.
   *
   * @returns what the token allows: `needed` or more
   * @throws FoedusError `not-authenticated`, or `not-permitted` for a token that allows less
   */
  admit(c: Context, needed: Needed, options?: { browsable?: boolean }): Scope;
}

export function createAccess(tokens: TokenStore): Access {
  return {
    admit: (c, needed, { browsable = false } = {}) => {
      const header = c.req.header('authorization') ?? '';
      const token = bearer(header) ?? (browsable ? basic(header) : undefined);
      const known = token === undefined ? undefined : tokens.scopeOf(token);
      if (known === undefined) {
        // One challenge only: browsers do not find Basic behind another one.
        const challenge = browsable
          ? 'Basic realm="Foedus: any name, and a token as password", charset="UTF-8"'
          : 'Bearer';
        c.header('WWW-Authenticate', challenge);
        throw new FoedusError(
          'not-authenticated',
          'This call needs a token as "Authorization: Bearer …". The file that management.tokenFile names holds one; foedus token create makes others.',
        );
      }
      if (allows(known, needed)) return known;
      throw new FoedusError(
        'not-permitted',
        `This call needs a token with the scope ${needed}; the given one has ${known}. foedus token create --scope ${needed} makes one.`,
      );
    },
  };
}

function bearer(header: string): string | undefined {
  return /^Bearer ([^\s]{1,1000})$/i.exec(header)?.[1];
}

/** The password of HTTP Basic (RFC 7617): what a browser sends when its user was asked. */
function basic(header: string): string | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]{1,2000})$/i.exec(header)?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined;
}
