import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { FoedusError } from '../errors.ts';
import type { Database } from '../store/database.ts';
import type { AccessToken, CreatedToken, Scope, TokenRequest } from './model.ts';

/** A token's last use is written down at most so often, in milliseconds: a look costs no durable write. */
const USE_NOTED_EVERY = 60 * 60 * 1000;

/** The tokens of the operator's API. The store holds only their SHA-256: whoever reads it cannot use them. */
export interface TokenStore {
  /** @returns a new token: the only time that it is told */
  create(request: TokenRequest): CreatedToken;
  /** Newest first, those included that were revoked or have expired. */
  list(): AccessToken[];
  /** @throws FoedusError `not-found` */
  revoke(id: string): AccessToken;
  /** @returns undefined for a token that is unknown, revoked or expired */
  scopeOf(token: string): Scope | undefined;
}

/** @param administerToken of the configured file: always there, so that nobody can lock themselves out */
export function createTokenStore({ sql }: Database, administerToken: string, clock: () => Date): TokenStore {
  const columns =
    'id, name, scope, created_at AS createdAt, expires_at AS expiresAt, last_used_at AS lastUsedAt, revoked_at AS revokedAt';
  const insert = sql.prepare(
    'INSERT INTO access_token (id, name, scope, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const all = sql.prepare(`SELECT ${columns} FROM access_token ORDER BY created_at DESC, id`);
  const byId = sql.prepare(`SELECT ${columns} FROM access_token WHERE id = ?`);
  const byHash = sql.prepare(
    `SELECT id, scope, last_used_at FROM access_token
     WHERE hash = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`,
  );
  const use = sql.prepare('UPDATE access_token SET last_used_at = ? WHERE id = ?');
  const revoke = sql.prepare('UPDATE access_token SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?');
  const read = (row: unknown): AccessToken =>
    Object.fromEntries(
      Object.entries(row as Record<string, unknown>).filter(([, value]) => value !== null),
    ) as unknown as AccessToken;
  const configured = sha256(administerToken);

  return {
    create: ({ name, scope, expiresAt }) => {
      const now = clock();
      if (expiresAt !== undefined && new Date(expiresAt) <= now) {
        throw new FoedusError('bad-request', `expiresAt: ${expiresAt} is not in the future.`);
      }
      const id = `urn:uuid:${randomUUID()}`;
      const expires = expiresAt === undefined ? null : new Date(expiresAt).toISOString();
      // The prefix lets scanners of repositories and logs find a token that has got there.
      const token = `foedus_${scope}_${randomBytes(32).toString('base64url')}`;
      insert.run(id, name, scope, sha256(token).toString('hex'), now.toISOString(), expires);
      return { ...read(byId.get(id)), token };
    },
    list: () => all.all().map(read),
    revoke: (id) => {
      if (revoke.run(clock().toISOString(), id).changes === 0) {
        throw new FoedusError('not-found', `There is no token ${id} here. foedus token list shows their ids.`);
      }
      return read(byId.get(id));
    },
    scopeOf: (token) => {
      const hash = sha256(token);
      if (timingSafeEqual(hash, configured)) return 'administer';
      const now = clock();
      const row = byHash.get(hash.toString('hex'), now.toISOString()) as
        | { id: string; scope: Scope; last_used_at: string | null }
        | undefined;
      if (!row) return undefined;
      if (row.last_used_at === null || now.getTime() - Date.parse(row.last_used_at) > USE_NOTED_EVERY) {
        use.run(now.toISOString(), row.id);
      }
      return row.scope;
    },
  };
}

/** A token has 256 random bits: nothing slower than this is needed to hide it. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
