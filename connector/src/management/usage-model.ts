/** Uses and what they are charged: part of the types of the operator's API in model.ts. */
import type { Meter, PrivacyUnit } from '@foedus/usage-policies';
import { z } from 'zod';
import { signedHeadSchema } from '../ledger/head.ts';
import { decisionSchema } from './decision.ts';
import { iri, jsonObject, timestamp } from './values.ts';

export const privacyUnits = ['record', 'organisation'] as const satisfies readonly PrivacyUnit[];

export const usageRequestSchema = z
  .strictObject({
    action: z.string().min(1).describe('use, or https://w3id.org/foedus/policy#train.'),
    purpose: iri.optional(),
    columns: z.array(z.string().min(1)).optional(),
    training: z
      .strictObject({
        sessionId: z.string().min(1),
        round: z.int().min(1),
        planHash: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .describe('SHA-256 of the session plan, hex.'),
        cohort: z.int().min(1),
        privacyLoss: z
          .strictObject({ epsilon: z.number().nonnegative(), delta: z.number().min(0).max(1) })
          .nullable()
          .describe(
            'Privacy loss this round adds, given all that the ledger holds already; null: no differential privacy.',
          ),
        metrics: z.array(z.string()).describe('Metrics about own held-out rows that will be released.'),
        modelHash: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .exactOptional()
          .describe('SHA-256 of the initial parameters of the session, hex.'),
        secureAggregation: z
          .boolean()
          .exactOptional()
          .describe('Whether updates are summed under masks: then `cohort` is the fewest that the sum can be over.'),
        privacyUnit: z
          .enum(privacyUnits)
          .nullable()
          .exactOptional()
          .describe(
            'What the noise of this release hides: single rows, or all that the organisation contributes; null: there is none.',
          ),
        evaluation: z
          .boolean()
          .exactOptional()
          .describe('What leaves are the `metrics` of a model, and no update: it loses ε and is no round.'),
      })
      .optional(),
  })
  .describe(
    'What somebody wants to do under an agreement. Time and assignee are added by the node, never taken from outside.',
  );
export type UsageRequestBody = z.infer<typeof usageRequestSchema>;

export const decisionRequestSchema = z.strictObject({ agreementId: iri, request: usageRequestSchema });

export const reservationRequestSchema = z.strictObject({
  agreementId: iri,
  key: z
    .string()
    .min(1)
    .max(500)
    .describe('Idempotency key: the same key returns the same reservation and never charges twice.'),
  request: usageRequestSchema,
  basis: jsonObject
    .optional()
    .describe("What a later reader needs to recompute the charge, for instance the mechanism's parameters."),
  commit: z
    .boolean()
    .optional()
    .describe('Commits it in the same step: for what is released afterwards and never given back.'),
  asOf: z
    .int()
    .min(0)
    .optional()
    .describe(
      'The `sequence` of the account that the charge was computed from. Where it has moved since, the reservation is refused with `conflict` and details.sequence: compute it again.',
    ),
});

/** `rows` and `bytes`: what has left, drawn while it leaves. */
export const meters = ['uses', 'rounds', 'epsilon', 'rows', 'bytes'] as const satisfies readonly Meter[];

export const reservationStates = ['reserved', 'committed', 'refunded'] as const;
export const ledgerEntrySchema = z.object({
  id: z.string(),
  agreementId: iri,
  key: z.string(),
  state: z.enum(reservationStates),
  charges: z.array(z.object({ meter: z.enum(meters), amount: z.number().nonnegative() })),
  basis: jsonObject.optional(),
  createdAt: timestamp,
});
export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;

export const committedEntrySchema = ledgerEntrySchema
  .extend({ head: signedHeadSchema })
  .describe('A committed entry, and the head of the ledger that goes with what is released.');

export const reconciledSchema = z
  .object({ entry: ledgerEntrySchema, head: signedHeadSchema })
  .describe('What was charged for the heads that were adopted, and the head of the ledger with it.');

export const reservationSchema = z.object({
  entry: ledgerEntrySchema,
  decision: decisionSchema,
  head: signedHeadSchema,
});
export type Reservation = z.infer<typeof reservationSchema>;

export const accountSchema = z
  .object({
    agreementId: iri,
    spent: z.object({
      uses: z.number(),
      rounds: z.number(),
      epsilon: z.number(),
      rows: z.number(),
      bytes: z.number(),
    }),
    limits: z.object({
      uses: z.number().nullable(),
      rounds: z.number().nullable(),
      epsilon: z.number().nullable(),
      delta: z.number().nullable().describe('The δ at which ε is counted; null without a privacy budget.'),
      rows: z.number().nullable(),
      bytes: z.number().nullable(),
    }),
    entries: z.array(ledgerEntrySchema),
    sequence: z
      .int()
      .describe('Grows with every reservation and refund: what a charge is computed from is named by it.'),
  })
  .describe("Everything charged under one agreement (reserved counts as spent), with the policy's limits.");
export type Account = z.infer<typeof accountSchema>;
