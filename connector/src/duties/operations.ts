import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { createListing, field, is, listParameters, oneOf } from '../management/listing.ts';
import { roles, type SignedAgreement } from '../management/model.ts';
import { created, json, list, operation, type Operation } from '../management/operation.ts';
import { oneOrMore } from '../management/requests.ts';
import type { Database } from '../store/database.ts';
import * as model from './model.ts';
import type { DutyKeeping } from './keeping.ts';

const text = z.string().min(1).max(2048).optional();

/** What has to be done under agreements, what was done, and who was told. */
export function dutyOperations(options: {
  database: Database;
  agreements: { get(id: string): SignedAgreement | undefined };
  dutyKeeping: Pick<DutyKeeping, 'duties' | 'files'>;
}): Operation[] {
  const { database, agreements, dutyKeeping } = options;
  const listDuties = createListing<model.Duty, 'createdAt' | 'dueAt'>(database, {
    table: 'duty',
    // Without an end: after all that have one.
    sorts: { createdAt: 'sequence', dueAt: `coalesce(${field('dueAt')}, '9999')` },
    filters: {
      state: oneOf('state'),
      agreementId: is('agreement_id'),
      ours: is('ours'),
      action: is('action'),
      role: is(field('role')),
      counterPartyId: is(field('counterPartyId')),
    },
  });
  const listDeliveries = createListing<model.Delivery, 'createdAt'>(database, {
    table: 'duty_delivery',
    sorts: { createdAt: 'sequence' },
    filters: { state: oneOf('state'), agreementId: is(field('agreementId')), kind: is(field('kind')) },
  });
  const listNotices = createListing<model.ReceivedNotice, 'receivedAt'>(database, {
    table: 'use_notice',
    sorts: { receivedAt: 'sequence' },
    filters: { from: is(field('from')) },
  });
  const listFiles = createListing<model.ReceivedFile, 'recordedAt'>(database, {
    table: 'received_file',
    sorts: { recordedAt: 'sequence' },
    filters: { agreementId: is('agreement_id') },
  });
  const shared = { tag: 'Duties' };
  return [
    operation({
      ...shared,
      method: 'get',
      path: '/duties',
      id: 'listDuties',
      summary: 'Lists what has to be done under agreements, by this side or the other',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['dueAt', 'createdAt']),
        state: oneOrMore(model.dutyStates).optional().describe('Only those in one of these states.'),
        ours: z.stringbool().optional().describe('Only what this organisation has to do, or what others have to.'),
        role: z.enum(roles).optional().describe('Only those under agreements in which this node has this role.'),
        agreementId: text,
        action: text.describe('Only these, for instance delete.'),
        counterPartyId: text.describe('Only those under agreements with this participant.'),
      }),
      answer: list(model.dutySchema, 'Duties.'),
      errors: [],
      handle: ({ query }) => {
        dutyKeeping.duties.advance();
        return listDuties(query);
      },
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/duties/:id',
      id: 'getDuty',
      summary: 'Shows a duty, with its receipt',
      scope: 'read',
      answer: json(model.dutySchema, 'The duty.'),
      errors: ['not-found'],
      handle: ({ params }) => dutyKeeping.duties.get(params.id),
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/duties/:id/fulfil',
      id: 'fulfilDuty',
      summary: 'Says that a duty is done',
      description:
        'Of one that this organisation has to do: a receipt is signed and sent to the other side until it is taken. Of one that the other side has to do: it is taken for done without a receipt. May be repeated.',
      scope: 'operate',
      body: model.fulfilmentRequestSchema,
      answer: json(model.dutySchema, 'The duty, done.'),
      errors: ['not-found', 'conflict'],
      handle: ({ params, body }) => dutyKeeping.duties.fulfil(params.id, body.evidence),
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/duty-deliveries',
      id: 'listDutyDeliveries',
      summary: 'Lists log entries, notices and receipts that this node owes, and what has become of them',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['-createdAt']),
        state: oneOrMore(model.deliveryStates).optional().describe('Only those in one of these states.'),
        kind: z.enum(['log', 'notify', 'receipt']).optional(),
        agreementId: text,
      }),
      answer: list(model.deliverySchema, 'Deliveries.'),
      errors: [],
      handle: ({ query }) => listDeliveries(query),
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/use-notices',
      id: 'listUseNotices',
      summary: 'Lists notices of uses that this node was sent',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['-receivedAt']),
        from: text.describe('Only those of this participant.'),
      }),
      answer: list(model.receivedNoticeSchema, 'Notices.'),
      errors: [],
      handle: ({ query }) => listNotices(query),
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/received-files',
      id: 'recordReceivedFile',
      summary: 'Notes a file with received data, so that the node can delete it in time',
      description:
        'With duties.deleteReceivedFiles the node deletes it when the agreement’s duty to delete is due, and reports that as done.',
      scope: 'operate',
      body: model.receivedFileRequestSchema,
      answer: created(model.receivedFileSchema, '/received-files', 'The note.'),
      errors: ['not-found'],
      handle: ({ body: { agreementId, path } }) => {
        if (agreements.get(agreementId)?.role !== 'consumer') {
          throw new FoedusError('not-found', `This node is the consumer under no agreement ${agreementId}.`);
        }
        return dutyKeeping.files.record(agreementId, path);
      },
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/received-files',
      id: 'listReceivedFiles',
      summary: 'Lists files with received data that this node knows of',
      scope: 'read',
      query: z.strictObject({ ...listParameters(['-recordedAt']), agreementId: text }),
      answer: list(model.receivedFileSchema, 'Files.'),
      errors: [],
      handle: ({ query }) => listFiles(query),
    }),
  ];
}
