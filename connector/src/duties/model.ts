/** Duties in the operator's API and between connectors. */
import { z } from 'zod';
import { roles } from '../protocol/state-machine.ts';

const iri = z.string().min(1).max(2048);
const timestamp = z.iso.datetime({ offset: true });
const digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256 of the evidence in RFC 8785 form, hex.');

export const dutyStates = ['pending', 'due', 'done', 'overdue'] as const;
export type DutyStanding = (typeof dutyStates)[number];

/** What whoever has fulfilled a duty signs: a detached JWS covers exactly these members. */
const receiptSchema = z.strictObject({
  '@type': z.literal('https://w3id.org/foedus/ns#DutyReceipt'),
  id: iri,
  agreementId: iri,
  duty: iri.describe('The duty within the agreement: its IRI, or its place.'),
  action: iri.describe('What was done.'),
  by: iri.describe('Who did it: the signer.'),
  at: timestamp.describe('When it was done, by the clock of whoever did it.'),
  evidence: digest,
});

export const signedReceiptSchema = z
  .strictObject({
    receipt: receiptSchema,
    signature: z
      .string()
      .max(64 * 1024)
      .describe('Compact JWS with detached payload over the receipt in RFC 8785 form.'),
  })
  .describe('A receipt for a duty that was fulfilled, signed by who had to.');
export type SignedReceipt = z.infer<typeof signedReceiptSchema>;

export const dutySchema = z
  .object({
    id: iri,
    agreementId: iri,
    duty: iri.describe('The duty within the agreement: its IRI, or its place. The same on both sides.'),
    kind: z.enum(['obligation', 'duty']),
    action: z.string(),
    text: z.string().describe('What has to be done, in words.'),
    role: z.enum(roles).describe('The role of this node in the agreement.'),
    owedBy: iri.describe('Who has to.'),
    ours: z.boolean().describe('Whether this node’s organisation has to.'),
    counterPartyId: iri,
    datasetId: iri,
    state: z
      .enum(dutyStates)
      .describe(
        'pending: nothing has to be done yet. due: it has to be done now. overdue: its time is over, and nothing is permitted under the agreement until it is done. done.',
      ),
    timed: z.boolean().describe('Whether time alone says when it is due.'),
    waits: z.boolean().describe('Whether its time begins only when data can be used.'),
    opensAt: timestamp.optional().describe('It must not be done before.'),
    dueAt: timestamp.optional().describe('The last moment at which it is in time.'),
    receivedAt: timestamp.optional().describe('When data could first be used under the agreement.'),
    lastDataAt: timestamp.optional().describe('When a transfer under the agreement began last.'),
    fulfilledAt: timestamp.optional(),
    late: z.boolean().optional().describe('Whether it was fulfilled after its time.'),
    evidence: z.unknown().optional().describe('What this side has noted about it. It is not sent to anybody.'),
    receipt: signedReceiptSchema.optional().describe('Ours: as it is sent. Theirs: as it came.'),
    receiptDeliveredAt: timestamp.optional().describe('Ours: when the other side had taken it. Theirs: when it came.'),
    confirmed: z.boolean().optional().describe('Done because this side says so, not by a receipt.'),
    note: z.string().optional().describe('What a person should know.'),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .describe('Something that has to be done under an agreement, by one side or the other.');
export type Duty = z.infer<typeof dutySchema>;

export const fulfilmentRequestSchema = z.strictObject({
  evidence: z
    .unknown()
    .optional()
    .describe('What shows that it was done: any JSON. It stays here; the receipt carries its digest.'),
});

export const deliveryStates = ['held', 'queued', 'done', 'failed'] as const;
export const deliverySchema = z
  .object({
    id: iri,
    kind: z.enum(['log', 'notify', 'receipt']),
    agreementId: iri,
    duty: iri,
    to: z.string().describe('A file, an address or a participant.'),
    beforeUse: z.boolean().describe('Whether the use had to wait for it.'),
    entryId: z.string().optional().describe('The ledger’s entry for the use.'),
    state: z
      .enum(deliveryStates)
      .describe(
        'held: the use is charged and not final. queued: tried until it is done. failed: the use was refused for it.',
      ),
    attempts: z.int(),
    problem: z.string().optional().describe('Why the last attempt came to nothing.'),
    createdAt: timestamp,
    doneAt: timestamp.optional(),
  })
  .describe('A log entry, notice or receipt that this node owes, and what has become of it.');
export type Delivery = z.infer<typeof deliverySchema>;

/** A line in a log, a webhook's body, a notice to a connector: that data are used. Never what is in them. */
export const useNoticeSchema = z
  .strictObject({
    '@type': z.literal('https://w3id.org/foedus/ns#UseNotice'),
    id: iri.describe('Names this notice: one that comes twice is one.'),
    agreementId: iri,
    duty: iri,
    node: iri.describe('The participant whose node let the use happen.'),
    by: iri.describe('Who uses.'),
    datasetId: iri,
    action: z.string().min(1).max(2048),
    purpose: iri.optional(),
    columns: z.array(z.string().max(1_000)).max(10_000).optional(),
    entryId: z.string().max(500).optional().describe('The ledger’s entry; absent in a notice before the use.'),
    when: z.enum(['before-use', 'after-use']),
    at: timestamp,
  })
  .describe('A notice that data are about to be used, or were.');
export type UseNotice = z.infer<typeof useNoticeSchema>;

export const receivedNoticeSchema = z
  .object({ id: iri, from: iri, notice: useNoticeSchema, receivedAt: timestamp })
  .describe('A notice of a use that another connector has sent.');
export type ReceivedNotice = z.infer<typeof receivedNoticeSchema>;

export const receivedFileRequestSchema = z.strictObject({
  agreementId: iri,
  path: z.string().min(1).max(4_096).describe('Absolute path on the machine of the connector.'),
});
export const receivedFileSchema = z
  .object({
    id: iri,
    agreementId: iri,
    path: z.string(),
    bytes: z.int(),
    recordedAt: timestamp,
    deletedAt: timestamp.optional(),
  })
  .describe('A file with data received under an agreement, recorded so that it can be deleted in time.');
export type ReceivedFile = z.infer<typeof receivedFileSchema>;

/** The names of these shapes in documents about the API. */
export const dutySchemaNames = {
  Duty: dutySchema,
  FulfilmentRequest: fulfilmentRequestSchema,
  SignedReceipt: signedReceiptSchema,
  DutyDelivery: deliverySchema,
  UseNotice: useNoticeSchema,
  ReceivedNotice: receivedNoticeSchema,
  ReceivedFileRequest: receivedFileRequestSchema,
  ReceivedFile: receivedFileSchema,
} as const satisfies Record<string, z.ZodType>;
