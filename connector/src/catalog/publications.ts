import { compile, parsePolicy, problemsOf, type Enforcement } from '@foedus/usage-policies';
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { FoedusError } from '../errors.ts';
import type { Asset, ContractDefinition, PolicyDefinition } from '../management/model.ts';
import { faults } from '../protocol/messages.ts';
import { policyTemplateSchema } from '../protocol/policy-schema.ts';
import { compactTerms } from '../protocol/terms.ts';
import type { Database } from '../store/database.ts';
import type { Transact } from '../store/transact.ts';
import { checkAccessPolicy } from './access.ts';
import { createOffers, type Offers } from './offers.ts';
import { refusalOf } from './refusal.ts';

interface Collection<T> {
  get(id: string): T | undefined;
  list(): T[];
  /** Creates or replaces. @throws FoedusError `bad-request` when it refers to something that is not there */
  put(item: T): T;
  /** @throws FoedusError `not-found`, or `conflict` while something refers to it */
  remove(id: string): void;
}

/** What this organisation offers: assets, policies, and contract definitions that bring them together. */
export interface Publications {
  readonly assets: Collection<Asset>;
  readonly policies: Collection<PolicyDefinition>;
  readonly contractDefinitions: Collection<ContractDefinition>;
  /** What others see of it. */
  readonly offers: Offers;
}

/** Every reference is checked when it is written, so that a catalog never names what is not there. */
export function createPublications(
  database: Database,
  transact: Transact,
  clock: () => Date,
  /** Labels of the report on enforceability under which nothing is published. */
  refuse: readonly Enforcement[] = [],
): Publications {
  const { sql } = database;
  const table = <T>(name: string) => {
    const byId = sql.prepare(`SELECT body FROM ${name} WHERE id = ?`);
    const all = sql.prepare(`SELECT body FROM ${name} ORDER BY id`);
    const remove = sql.prepare(`DELETE FROM ${name} WHERE id = ?`);
    const read = (row: unknown): T => JSON.parse((row as { body: string }).body) as T;
    return {
      get: (id: string): T | undefined => {
        const row = byId.get(id);
        return row && read(row);
      },
      list: (): T[] => all.all().map(read),
      /** @param blocked why it may not go, if so */
      remove: (id: string, blocked: () => string | undefined): void =>
        transact(() => {
          if (!byId.get(id)) throw new FoedusError('not-found', `There is nothing here under the id ${id}.`);
          const reason = blocked();
          if (reason !== undefined) throw new FoedusError('conflict', reason);
          remove.run(id);
        }),
    };
  };
  const upsert = (name: string) =>
    sql.prepare(`INSERT INTO ${name} (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body`);

  const assets = table<Asset>('asset');
  const policies = table<PolicyDefinition>('policy');
  const definitions = table<ContractDefinition>('contract_definition');
  const putAsset = upsert('asset');
  // What is published is pinned and looked at anew.
  const unpin = sql.prepare('DELETE FROM asset_schema WHERE asset_id = ?');
  const profile = sql.prepare(
    `INSERT INTO asset_profile (asset_id, state, updated_at) VALUES (?, 'waiting', ?)
     ON CONFLICT (asset_id) DO UPDATE SET state = 'waiting', body = NULL, updated_at = excluded.updated_at`,
  );
  const putPolicy = upsert('policy');
  const putDefinition = sql.prepare(
    `INSERT INTO contract_definition (id, policy_id, access_policy_id, open, body) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET policy_id = excluded.policy_id, access_policy_id = excluded.access_policy_id,
       open = excluded.open, body = excluded.body`,
  );
  const clearAudience = sql.prepare('DELETE FROM contract_definition_audience WHERE definition_id = ?');
  const addAudience = sql.prepare('INSERT OR IGNORE INTO contract_definition_audience VALUES (?, ?)');
  const clearAssets = sql.prepare('DELETE FROM contract_definition_asset WHERE definition_id = ?');
  const addAsset = sql.prepare('INSERT OR IGNORE INTO contract_definition_asset VALUES (?, ?)');
  const definitionOfAsset = sql.prepare('SELECT definition_id AS id FROM contract_definition_asset WHERE asset_id = ?');
  const definitionOfPolicy = sql.prepare(
    'SELECT id FROM contract_definition WHERE policy_id = ?1 OR access_policy_id = ?1',
  );
  const definitionOfAccessPolicy = sql.prepare('SELECT id FROM contract_definition WHERE access_policy_id = ?');
  const openTransfer = sql.prepare(
    `SELECT id FROM transfer WHERE dataset_id = ? AND role = 'provider' AND state NOT IN ('COMPLETED', 'TERMINATED')`,
  );
  const idOf = (row: unknown): string | undefined => (row as { id: string } | undefined)?.id;

  return {
    assets: {
      ...assets,
      put: (asset) => {
        checkSource(asset);
        transact(() => {
          putAsset.run(asset.id, JSON.stringify(asset));
          unpin.run(asset.id);
          profile.run(asset.id, clock().toISOString());
        });
        return asset;
      },
      remove: (id) =>
        assets.remove(id, () => {
          const definition = idOf(definitionOfAsset.get(id));
          if (definition !== undefined) {
            return `The contract definition ${definition} offers the asset ${id}. Change or delete it first.`;
          }
          const transfer = idOf(openTransfer.get(id));
          return transfer && `The transfer ${transfer} of the asset ${id} is still open. Terminate it first.`;
        }),
    },
    policies: {
      ...policies,
      put: (definition) => {
        checkPolicy(definition);
        const refusal = refusalOf(definition.policy, refuse);
        if (refusal !== undefined) throw new FoedusError('bad-request', `${refusal} (setting negotiation.refuse)`);
        return transact(() => {
          if (definitionOfAccessPolicy.get(definition.id)) checkAccessPolicy(definition);
          putPolicy.run(definition.id, JSON.stringify(definition));
          return definition;
        });
      },
      remove: (id) =>
        policies.remove(id, () => {
          const definition = idOf(definitionOfPolicy.get(id));
          return (
            definition && `The contract definition ${definition} uses the policy ${id}. Change or delete it first.`
          );
        }),
    },
    contractDefinitions: {
      ...definitions,
      put: (definition) =>
        transact(() => {
          const { id, policy, accessPolicy, audience } = definition;
          if (!policies.get(policy)) throw missing('policy', policy);
          if (accessPolicy !== undefined) {
            const access = policies.get(accessPolicy);
            if (!access) throw missing('policy', accessPolicy);
            checkAccessPolicy(access);
          }
          for (const asset of definition.assets) if (!assets.get(asset)) throw missing('asset', asset);
          putDefinition.run(id, policy, accessPolicy ?? null, audience ? 0 : 1, JSON.stringify(definition));
          clearAssets.run(id);
          for (const asset of definition.assets) addAsset.run(id, asset);
          clearAudience.run(id);
          for (const participant of audience ?? []) addAudience.run(id, participant);
          return definition;
        }),
      remove: (id) => definitions.remove(id, () => undefined),
    },
    offers: createOffers(database, clock),
  };
}

function missing(what: string, id: string): FoedusError {
  return new FoedusError('bad-request', `There is no ${what} ${id}. PUT the ${what} before the contract definition.`);
}

function checkSource({ source }: Asset): void {
  const path = 'path' in source ? source.path : source.type === 's3' ? source.credentialsFile : source.connectionFile;
  if (path !== undefined && (!isAbsolute(path) || !existsSync(path))) {
    const setting = 'path' in source ? 'path' : source.type === 's3' ? 'credentialsFile' : 'connectionFile';
    throw new FoedusError(
      'bad-request',
      `source.${setting}: ${path} is not the absolute path of a file that this connector can see.`,
    );
  }
  if (source.type === 's3' && (source.key === undefined) === (source.prefix === undefined)) {
    throw new FoedusError('bad-request', 'source: give either the key of one object or the prefix of several.');
  }
}

/** A policy is published only if this node can read and enforce every word of it. */
export function checkPolicy({ id, policy }: PolicyDefinition): void {
  const shape = policyTemplateSchema.safeParse(compactTerms(policy));
  if (!shape.success) {
    throw new FoedusError('bad-request', `The policy ${id} is no offer: ${faults(shape.error).join('; ')}`);
  }
  let problems: readonly string[];
  try {
    const parsed = parsePolicy(policy);
    problems = problemsOf(parsed);
    compile(parsed);
  } catch (cause) {
    throw new FoedusError('bad-request', `The policy ${id} cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (problems.length > 0) {
    throw new FoedusError('bad-request', `The policy ${id} cannot be enforced here: ${problems.join(' ')}`);
  }
}
