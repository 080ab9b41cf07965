import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { Inbox } from '../data-plane/push/inbox.ts';
import type { Changes } from '../protocol/changes.ts';
import { existing } from '../protocol/conversation.ts';
import type { ProcessStore } from '../protocol/process-store.ts';
import { isFinal, transferMachine } from '../protocol/state-machine.ts';
import type { Database } from '../store/database.ts';
import { flowTopic } from '../transfer/data-flows.ts';
import type { TokenRenewal } from '../transfer/renewal.ts';
import { shownTo } from '../transfer/shown.ts';
import { transferTopic, type Transfers } from '../transfer/transfers.ts';
import { createListing, field, is, listParameters, oneOf } from './listing.ts';
import * as model from './model.ts';
import { created, json, list, nothing, operation, type Operation } from './operation.ts';
import { longPoll, oneOrMore, waitSchema } from './requests.ts';

const text = z.string().min(1).max(2048).optional();
const filters = {
  state: oneOrMore(model.transferStates).optional().describe('Only those in one of these states.'),
  counterPartyId: text.describe('Only those with this participant.'),
  agreementId: text.describe('Only those under this agreement.'),
  datasetId: text.describe('Only those of this data set.'),
  format: text.describe('Only those in this format.'),
};

/** Transfers in both roles, the data addresses that came with them, and the data flows that move their data. */
export function transferOperations(options: {
  database: Database;
  transfers: Transfers;
  transferStore: ProcessStore<model.Transfer>;
  renewal: TokenRenewal;
  inbox: Pick<Inbox, 'received'>;
  changes: Changes;
}): Operation[] {
  const { database, transfers, transferStore, renewal, inbox, changes } = options;
  const sorts = { createdAt: 'sequence', updatedAt: field('updatedAt') };
  const conditions = {
    state: oneOf('state'),
    role: is('role'),
    counterPartyId: is('counterparty_id'),
    agreementId: is(field('agreementId')),
    datasetId: is('dataset_id'),
    format: is('format'),
  };
  const listTransfers = createListing<model.Transfer, 'createdAt' | 'updatedAt'>(database, {
    table: 'transfer',
    sorts,
    filters: conditions,
  });
  const listWithAddress = createListing<model.Transfer, 'createdAt' | 'updatedAt'>(database, {
    table: `(SELECT * FROM transfer WHERE role = 'consumer' AND ${field('dataAddress')} IS NOT NULL AND format LIKE '%-PULL%')`,
    sorts,
    filters: conditions,
  });
  const transfer = { tag: 'Transfers' };
  const flow = { tag: 'Data flows' };

  return [
    operation({
      ...transfer,
      method: 'post',
      path: '/transfers',
      id: 'requestTransfer',
      summary: 'Asks for data under an agreement',
      scope: 'operate',
      body: model.transferRequestSchema,
      answer: created(model.transferSchema, '/transfers', 'The transfer, REQUESTED.'),
      errors: ['not-found', 'conflict'],
      handle: async ({ body, scope }) => shownTo(scope, await transfers.request(body)),
    }),
    operation({
      ...transfer,
      method: 'get',
      path: '/transfers',
      id: 'listTransfers',
      summary: 'Lists transfers',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['-createdAt', 'updatedAt']),
        ...filters,
        role: z.enum(model.roles).optional().describe('Only those in which this node has this role.'),
      }),
      answer: list(model.transferSchema, 'Transfers.'),
      errors: [],
      handle: ({ query, scope }) => {
        const page = listTransfers(query);
        return { ...page, items: page.items.map((item) => shownTo(scope, item)) };
      },
    }),
    operation({
      ...transfer,
      method: 'get',
      path: '/transfers/:id',
      id: 'getTransfer',
      summary: 'Shows a transfer, at once or when it has got somewhere',
      scope: 'read',
      query: z.strictObject({
        wait: waitSchema,
        until: oneOrMore(model.transferStates)
          .optional()
          .describe('Hold the answer back until one of these states (or a final one) is reached.'),
      }),
      answer: json(model.transferSchema, 'The transfer.'),
      errors: ['not-found'],
      handle: async ({ params: { id }, query: { wait, until }, context, scope }) =>
        shownTo(
          scope,
          await longPoll(context, {
            wait,
            changes,
            topic: transferTopic(id),
            read: () => existing(transferStore.get(id), 'transfer', id),
            ready: ({ state }) => until === undefined || until.includes(state) || isFinal(transferMachine, state),
          }),
        ),
    }),
    operation({
      ...transfer,
      method: 'get',
      path: '/transfers/:id/data-address',
      id: 'getDataAddress',
      summary: 'Shows the endpoint and the token that the provider gave for a pull transfer',
      description:
        'Where the provider renews tokens, the token is good for a while yet: it is renewed before it expires.',
      scope: 'operate',
      query: z.strictObject({
        renew: z
          .enum(['true', 'false'])
          .optional()
          .describe('Renew the token whatever its age: the provider has refused it.'),
      }),
      answer: json(model.dataAddressSchema, 'The data address.'),
      errors: ['not-found', 'not-permitted', 'unavailable', 'wrong-peer', 'refused-redirect'],
      handle: async ({ params: { id }, query: { renew } }) => {
        const found = existing(transferStore.get(id), 'transfer', id);
        const { dataAddress, role } = found;
        if (dataAddress !== undefined && role === 'consumer') {
          return await renewal.renewed({ ...found, dataAddress }, renew === 'true');
        }
        throw new FoedusError('not-found', `No data address has been received for the transfer ${id}.`);
      },
    }),
    operation({
      ...transfer,
      method: 'post',
      path: '/transfers/:id/start',
      id: 'startTransfer',
      summary: 'Resumes a transfer that this side has suspended',
      scope: 'operate',
      body: model.emptySchema,
      answer: json(model.transferSchema, 'The transfer, STARTED.'),
      errors: ['not-found', 'conflict', 'illegal-transition'],
      handle: async ({ params, scope }) => shownTo(scope, await transfers.start(params.id)),
    }),
    operation({
      ...transfer,
      method: 'post',
      path: '/transfers/:id/suspension',
      id: 'suspendTransfer',
      summary: 'Suspends a transfer',
      scope: 'operate',
      body: model.terminationSchema,
      answer: json(model.transferSchema, 'The transfer, SUSPENDED.'),
      errors: ['not-found', 'illegal-transition'],
      handle: ({ params, body, scope }) => shownTo(scope, transfers.suspend(params.id, body)),
    }),
    operation({
      ...transfer,
      method: 'post',
      path: '/transfers/:id/completion',
      id: 'completeTransfer',
      summary: 'Says that a transfer has done what it was for',
      scope: 'operate',
      body: model.emptySchema,
      answer: json(model.transferSchema, 'The transfer, COMPLETED.'),
      errors: ['not-found', 'illegal-transition'],
      handle: ({ params, scope }) => shownTo(scope, transfers.complete(params.id)),
    }),
    operation({
      ...transfer,
      method: 'post',
      path: '/transfers/:id/termination',
      id: 'terminateTransfer',
      summary: 'Ends a transfer',
      scope: 'operate',
      body: model.terminationSchema,
      answer: json(model.transferSchema, 'The transfer, TERMINATED.'),
      errors: ['not-found', 'illegal-transition'],
      handle: ({ params, body, scope }) => shownTo(scope, transfers.terminate(params.id, body)),
    }),
    operation({
      ...transfer,
      method: 'post',
      path: '/transfers/:id/revocation',
      id: 'revokeTransferTokens',
      summary: 'Revokes every token given out for a transfer, and cuts what runs',
      description:
        'For a transfer that this node provides. Its consumer is not told, and gets new tokens only when the transfer is suspended and started again.',
      scope: 'operate',
      body: model.emptySchema,
      answer: json(model.transferSchema, 'The transfer.'),
      errors: ['not-found', 'conflict'],
      handle: ({ params, scope }) => shownTo(scope, transfers.revoke(params.id)),
    }),

    operation({
      ...transfer,
      method: 'get',
      path: '/transfers/:id/received',
      id: 'getReceived',
      summary: 'Shows what has been pushed to this node for a transfer',
      scope: 'read',
      answer: json(model.receivedSchema, 'Where it is, and how far.'),
      errors: ['not-found'],
      handle: ({ params: { id } }) => {
        const found = inbox.received(existing(transferStore.get(id), 'transfer', id).id);
        if (found !== undefined) return found;
        throw new FoedusError('not-found', `Nothing has been pushed to this node for the transfer ${id} yet.`);
      },
    }),

    operation({
      tag: 'Data addresses',
      method: 'get',
      path: '/data-addresses',
      id: 'listDataAddresses',
      summary: 'Lists the data addresses received for pull transfers',
      scope: 'operate',
      query: z.strictObject({ ...listParameters(['-createdAt', 'updatedAt']), ...filters }),
      answer: list(model.receivedDataAddressSchema, 'Data addresses with their transfers.'),
      errors: [],
      handle: ({ query }) => {
        const page = listWithAddress(query);
        return { ...page, items: page.items.map(received) };
      },
    }),

    operation({
      ...flow,
      method: 'get',
      path: '/data-flows',
      id: 'listDataFlows',
      summary: 'Says for every format what moves its data, and what waits for that',
      scope: 'read',
      answer: json(z.array(model.dataFlowSchema), 'Formats.'),
      errors: [],
      handle: () => transfers.flows.list(),
    }),
    operation({
      ...flow,
      method: 'put',
      path: '/data-flows/:format',
      id: 'registerDataFlow',
      summary: 'Registers the caller as what moves data of a format',
      description: 'Transfers of the format may start from now on. It is remembered over restarts.',
      scope: 'operate',
      body: model.emptySchema,
      answer: nothing('It is registered.'),
      errors: [],
      handle: ({ params }) => transfers.flows.register(params.format),
    }),
    operation({
      ...flow,
      method: 'get',
      path: '/data-flows/:format/transfers',
      id: 'watchDataFlow',
      summary: 'Shows all transfers of a format that are not final, when they are others than before',
      scope: 'operate',
      query: z.strictObject({
        wait: waitSchema,
        after: z.coerce
          .number()
          .int()
          .default(-1)
          .describe('The version of the answer before: the answer is held back while it is still this one.'),
      }),
      answer: json(model.flowTransfersSchema, 'The transfers, and a version.'),
      errors: [],
      handle: ({ params: { format }, query: { wait, after }, context }) =>
        longPoll(context, {
          wait,
          changes,
          topic: flowTopic(format),
          read: () => transfers.flows.transfersOf(format),
          // A version below the caller's means that the caller knows another store: it needs to look again, too.
          ready: ({ version }) => version !== after,
        }),
    }),
  ];
}

function received(transfer: model.Transfer): model.ReceivedDataAddress {
  const { id, agreementId, datasetId, counterPartyId, format, state, dataAddress, updatedAt } = transfer;
  return {
    transferId: id,
    agreementId,
    datasetId,
    counterPartyId,
    format,
    state,
    dataAddress: dataAddress!,
    updatedAt,
  };
}
