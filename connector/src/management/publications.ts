import { z } from 'zod';
import type { CatalogClient } from '../catalog/ask.ts';
import type { Publications } from '../catalog/publications.ts';
import { existing } from '../protocol/conversation.ts';
import type { Profiler } from '../profile/profiler.ts';
import type { Database } from '../store/database.ts';
import { contains, createListing, field, is, listParameters } from './listing.ts';
import * as model from './model.ts';
import { json, list, nothing, operation, type Operation } from './operation.ts';
import { sameId } from './requests.ts';

const text = z.string().min(1).max(2048);

/** What this organisation offers, and what it asks others for. */
export function publicationOperations(options: {
  database: Database;
  publications: Publications;
  catalog: CatalogClient;
  profiler: Pick<Profiler, 'published'>;
}): Operation[] {
  const { database, publications, catalog, profiler } = options;
  const { assets, policies, contractDefinitions } = publications;
  const listAssets = createListing<model.Asset, 'id' | 'title'>(database, {
    table: 'asset',
    sorts: { id: 'id', title: field('title') },
    filters: {
      format: `EXISTS (SELECT 1 FROM json_each(body, '$.formats') WHERE value = ?)`,
      search: contains(`id || ' ' || ${field('title')} || ' ' || coalesce(${field('description')}, '')`),
    },
  });
  const listPolicies = createListing<model.PolicyDefinition, 'id'>(database, {
    table: 'policy',
    sorts: { id: 'id' },
    filters: { search: contains('body') },
  });
  const listDefinitions = createListing<model.ContractDefinition, 'id'>(database, {
    table: 'contract_definition',
    sorts: { id: 'id' },
    filters: {
      asset: 'id IN (SELECT definition_id FROM contract_definition_asset WHERE asset_id = ?)',
      policy: is('policy_id'),
    },
  });
  const asset = { tag: 'Assets' };
  const policy = { tag: 'Policies' };
  const definition = { tag: 'Contract definitions' };

  return [
    operation({
      ...asset,
      method: 'get',
      path: '/assets',
      id: 'listAssets',
      summary: 'Lists data sets',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['id', 'title']),
        format: text.optional().describe('Only those that may be moved like this.'),
        search: text.optional().describe('Only those with this text in id, title or description.'),
      }),
      answer: list(model.assetSchema, 'Data sets.'),
      errors: [],
      handle: ({ query }) => listAssets(query),
    }),
    operation({
      ...asset,
      method: 'get',
      path: '/assets/:id',
      id: 'getAsset',
      summary: 'Shows a data set',
      scope: 'read',
      answer: json(model.assetSchema, 'The data set.'),
      errors: ['not-found'],
      handle: ({ params: { id } }) => existing(assets.get(id), 'asset', id),
    }),
    operation({
      ...asset,
      method: 'put',
      path: '/assets/:id',
      id: 'putAsset',
      summary: 'Publishes or changes a data set',
      description:
        'Nobody sees it before a contract definition offers it. Its schema is pinned, and it is profiled in the background.',
      scope: 'operate',
      body: model.assetSchema,
      answer: json(model.assetSchema, 'As it is stored.'),
      errors: [],
      handle: ({ params, body }) => {
        const stored = assets.put(sameId(body, params.id));
        profiler.published();
        return stored;
      },
    }),
    operation({
      ...asset,
      method: 'delete',
      path: '/assets/:id',
      id: 'deleteAsset',
      summary: 'Takes a data set back',
      scope: 'operate',
      answer: nothing('It is gone.'),
      errors: ['not-found', 'conflict'],
      handle: ({ params }) => assets.remove(params.id),
    }),

    operation({
      ...policy,
      method: 'get',
      path: '/policies',
      id: 'listPolicies',
      summary: 'Lists policies',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['id']),
        search: text.optional().describe('Only those with this text somewhere in them.'),
      }),
      answer: list(model.policyDefinitionSchema, 'Policies.'),
      errors: [],
      handle: ({ query }) => listPolicies(query),
    }),
    operation({
      ...policy,
      method: 'get',
      path: '/policies/:id',
      id: 'getPolicy',
      summary: 'Shows a policy',
      scope: 'read',
      answer: json(model.policyDefinitionSchema, 'The policy.'),
      errors: ['not-found'],
      handle: ({ params: { id } }) => existing(policies.get(id), 'policy', id),
    }),
    operation({
      ...policy,
      method: 'put',
      path: '/policies/:id',
      id: 'putPolicy',
      summary: 'Writes a policy',
      description: 'Refused when this node cannot read or enforce a word of it.',
      scope: 'operate',
      body: model.policyDefinitionSchema,
      answer: json(model.policyDefinitionSchema, 'As it is stored.'),
      errors: [],
      handle: ({ params, body }) => policies.put(sameId(body, params.id)),
    }),
    operation({
      ...policy,
      method: 'delete',
      path: '/policies/:id',
      id: 'deletePolicy',
      summary: 'Deletes a policy',
      scope: 'operate',
      answer: nothing('It is gone.'),
      errors: ['not-found', 'conflict'],
      handle: ({ params }) => policies.remove(params.id),
    }),

    operation({
      ...definition,
      method: 'get',
      path: '/contract-definitions',
      id: 'listContractDefinitions',
      summary: 'Lists what is offered on which assets to whom',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['id']),
        asset: text.optional().describe('Only those that offer this asset.'),
        policy: text.optional().describe('Only those with this policy.'),
      }),
      answer: list(model.contractDefinitionSchema, 'Contract definitions.'),
      errors: [],
      handle: ({ query }) => listDefinitions(query),
    }),
    operation({
      ...definition,
      method: 'get',
      path: '/contract-definitions/:id',
      id: 'getContractDefinition',
      summary: 'Shows a contract definition',
      scope: 'read',
      answer: json(model.contractDefinitionSchema, 'The contract definition.'),
      errors: ['not-found'],
      handle: ({ params: { id } }) => existing(contractDefinitions.get(id), 'contract definition', id),
    }),
    operation({
      ...definition,
      method: 'put',
      path: '/contract-definitions/:id',
      id: 'putContractDefinition',
      summary: 'Offers assets under a policy to an audience',
      description: 'Refused when it refers to an asset or a policy that is not there.',
      scope: 'operate',
      body: model.contractDefinitionSchema,
      answer: json(model.contractDefinitionSchema, 'As it is stored.'),
      errors: [],
      handle: ({ params, body }) => contractDefinitions.put(sameId(body, params.id)),
    }),
    operation({
      ...definition,
      method: 'delete',
      path: '/contract-definitions/:id',
      id: 'deleteContractDefinition',
      summary: 'Ends an offer',
      description: 'Agreements that were made under it stay.',
      scope: 'operate',
      answer: nothing('It is gone.'),
      errors: ['not-found', 'conflict'],
      handle: ({ params }) => contractDefinitions.remove(params.id),
    }),

    operation({
      tag: 'Catalogs of others',
      method: 'post',
      path: '/catalog-requests',
      id: 'requestCatalog',
      summary: 'Asks another connector what it offers to this organisation',
      scope: 'operate',
      body: model.catalogRequestSchema,
      answer: json(model.jsonObject, "The counterparty's DSP Catalog, as it came."),
      errors: ['unavailable', 'wrong-peer', 'refused-redirect'],
      handle: async ({ body: { counterPartyAddress, ...question } }) =>
        (await catalog.catalog(counterPartyAddress, question)).catalog,
    }),
  ];
}
