import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { AgreementReader } from '../ledger/usage-control.ts';
import { FoedusError } from '../errors.ts';
import type { Database } from '../store/database.ts';
import type { CreatedShareProfile, ShareProfile, ShareProfileRequest, ShareTable } from './model.ts';
import { nameTables } from './table-names.ts';

/**
 * Who may read what through the Delta Sharing endpoint: a profile is one token for the tables of some agreements. The
 * store holds only the token's SHA-256.
 */
export interface ShareProfiles {
  /**
   * @returns the profile with its token: the only time that it is told
   * @throws FoedusError `not-found` for an unknown agreement, `conflict` for one that is not ours to read under
   */
  create(request: ShareProfileRequest): CreatedShareProfile;
  /** Newest first, those included that are no longer good. */
  list(): ShareProfile[];
  /** @throws FoedusError `not-found` */
  get(id: string): ShareProfile;
  /** @throws FoedusError `not-found` */
  revoke(id: string): ShareProfile;
  /** @returns undefined for a token that is unknown, revoked or expired */
  ofToken(token: string): ShareProfile | undefined;
  /** Whether a profile may still be used. */
  isGood(id: string): boolean;
}

export interface ShareProfilesOptions {
  readonly database: Database;
  readonly agreements: AgreementReader;
  readonly clock: () => Date;
  /** Address of the Delta Sharing endpoint, for the profile file. */
  readonly endpoint: () => string;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly purpose: string | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
}

export function createShareProfiles({ database, agreements, clock, endpoint }: ShareProfilesOptions): ShareProfiles {
  const { sql } = database;
  const columns = 'id, name, purpose, created_at AS createdAt, expires_at AS expiresAt, revoked_at AS revokedAt';
  const insert = sql.prepare(
    'INSERT INTO share_profile (id, name, purpose, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const insertTable = sql.prepare(
    'INSERT INTO share_table (profile_id, share, schema, name, agreement_id) VALUES (?, ?, ?, ?, ?)',
  );
  const all = sql.prepare(`SELECT ${columns} FROM share_profile ORDER BY created_at DESC, id`);
  const byId = sql.prepare(`SELECT ${columns} FROM share_profile WHERE id = ?`);
  const good = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)';
  const byHash = sql.prepare(`SELECT ${columns} FROM share_profile WHERE hash = ? AND ${good}`);
  const isGood = sql.prepare(`SELECT 1 FROM share_profile WHERE id = ? AND ${good}`);
  const revoke = sql.prepare('UPDATE share_profile SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?');
  const tablesOf = sql.prepare(
    'SELECT share, schema, name, agreement_id AS agreementId FROM share_table WHERE profile_id = ? ORDER BY share, schema, name',
  );
  const read = (row: unknown): ShareProfile => {
    const { purpose, expiresAt, revokedAt, ...rest } = row as Row;
    return {
      ...rest,
      tables: (tablesOf.all(rest.id) as unknown as ShareTable[]).map((table) => ({ ...table })),
      ...(purpose !== null && { purpose }),
      ...(expiresAt !== null && { expiresAt }),
      ...(revokedAt !== null && { revokedAt }),
    };
  };
  const existing = (id: string): ShareProfile => {
    const row = byId.get(id);
    if (row !== undefined) return read(row);
    throw new FoedusError('not-found', `There is no share profile ${id}. foedus share list shows them.`);
  };

  return {
    create: ({ agreements: ids, purpose, name, expiresAt }) => {
      const now = clock();
      if (expiresAt !== undefined && new Date(expiresAt) <= now) {
        throw new FoedusError('bad-request', `expiresAt: ${expiresAt} is not in the future.`);
      }
      const found = [...new Set(ids)].map((id) => {
        const agreement = agreements.get(id);
        if (agreement === undefined) {
          throw new FoedusError('not-found', `There is no agreement ${id} here. foedus agreement list shows them.`);
        }
        if (agreement.role === 'consumer' && agreement.finalized) return agreement;
        const why =
          agreement.role === 'consumer'
            ? 'is not in force: its negotiation is not FINALIZED'
            : 'is one that this node provides under; its consumer makes the profile';
        throw new FoedusError('conflict', `The agreement ${id} ${why}.`);
      });
      const tables = nameTables(found.map(({ id, assigner, target }) => ({ agreementId: id, assigner, target })));
      const id = `urn:uuid:${randomUUID()}`;
      // The prefix lets scanners of repositories and logs find a token that has got there.
      const token = `foedus_share_${randomBytes(32).toString('base64url')}`;
      const expires = expiresAt === undefined ? null : new Date(expiresAt).toISOString();
      database.transaction(() => {
        insert.run(id, name ?? tables[0]!.name, purpose ?? null, sha256(token), now.toISOString(), expires);
        for (const table of tables) insertTable.run(id, table.share, table.schema, table.name, table.agreementId);
      });
      return {
        ...existing(id),
        profile: {
          shareCredentialsVersion: 1,
          endpoint: endpoint(),
          bearerToken: token,
          ...(expires !== null && { expirationTime: expires }),
        },
      };
    },
    list: () => all.all().map(read),
    get: existing,
    revoke: (id) => {
      revoke.run(clock().toISOString(), id);
      return existing(id);
    },
    ofToken: (token) => {
      const row = byHash.get(sha256(token), clock().toISOString());
      return row && read(row);
    },
    isGood: (id) => isGood.get(id, clock().toISOString()) !== undefined,
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
