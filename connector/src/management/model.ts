/**
 * The operator's API in types: what the management routes validate, what their OpenAPI document describes, and what the
 * operator client returns. One zod schema per shape; the TypeScript types are inferred from them.
 */
import { z } from 'zod';
import { dutySchemaNames } from '../duties/model.ts';
import { headSchemaNames } from '../ledger/head-schemas.ts';
import { shareSchemaNames } from '../delta-sharing/model.ts';
import { profileSchemaNames } from '../profile/model.ts';
import { negotiationMachine, roles, transferMachine } from '../protocol/state-machine.ts';
import { decisionSchema, planSchema } from './decision.ts';
import { assetSchema, contractDefinitionSchema, policyDefinitionSchema } from './publication-model.ts';
import {
  enforceabilityReportSchema,
  enforceabilityRequestSchema,
  explanationRequestSchema,
  explanationSchema,
  trainingLimitsSchema,
} from './report-model.ts';
import { accessTokenSchema, callerSchema, createdTokenSchema, tokenRequestSchema } from './token-model.ts';
import {
  accountSchema,
  committedEntrySchema,
  decisionRequestSchema,
  ledgerEntrySchema,
  reconciledSchema,
  reservationRequestSchema,
  reservationSchema,
  usageRequestSchema,
} from './usage-model.ts';
import { iri, jsonObject, timestamp } from './values.ts';

export * from './publication-model.ts';
export * from './report-model.ts';
export * from './token-model.ts';
export * from './usage-model.ts';
export { decisionSchema };
export type { DecisionView, PlanView } from './decision.ts';
export type { Delivery, Duty, ReceivedFile, ReceivedNotice, SignedReceipt } from '../duties/model.ts';

export { jsonObject };

const counterPartyAddress = z
  .url({ protocol: /^https$/ })
  .describe('Root of the other connector, for instance https://pvd.example:7001.');

export const catalogRequestSchema = z.strictObject({
  counterPartyAddress,
  filter: z
    .array(z.unknown())
    .max(100)
    .optional()
    .describe(
      'Criteria in the language of the other connector; what a Foedus connector understands: docs/catalog-filter.md.',
    ),
  limit: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('Stop after the page with which so many data sets have come; absent: every page.'),
});

export const negotiationStates = negotiationMachine.states;
export const transferStates = transferMachine.states;
export { roles };

export const negotiationRequestSchema = z
  .strictObject({
    counterPartyAddress,
    datasetId: iri,
    offerId: iri.describe("The @id of an offer in the counterparty's catalog entry for the data set."),
  })
  .describe('Asks a provider for an offer of its catalog.');

export const offerRequestSchema = z
  .strictObject({
    counterPartyAddress,
    counterPartyId: iri.describe('Participant id of the consumer: nobody else at this address gets the offer.'),
    datasetId: iri.describe('An asset of this node.'),
    offerId: iri.optional().describe('A published offer that the consumer may see.'),
    offer: jsonObject.optional().describe('Or the rules themselves: an ODRL Offer without parties and target.'),
  })
  .refine(({ offerId, offer }) => (offerId === undefined) !== (offer === undefined), 'needs either offerId or offer')
  .describe('Offers a data set to a consumer that has not asked for it.');

export const pendingDecisionSchema = z
  .object({
    about: z.enum(['request', 'offer']).describe('What the counterparty has sent and waits for an answer to.'),
    why: z.string().describe('Why a person has to decide.'),
    since: timestamp,
  })
  .describe('A question to a person.');
export type PendingDecision = z.infer<typeof pendingDecisionSchema>;

export const negotiationSchema = z.object({
  id: iri,
  role: z.enum(roles).describe('The role of this node.'),
  state: z.enum(negotiationStates),
  consumerPid: iri.optional().describe('Absent while our offer, which nobody asked for, has not been answered.'),
  providerPid: iri.optional().describe('Absent while our request has not been answered.'),
  counterPartyId: iri,
  counterPartyAddress: z.string(),
  datasetId: iri,
  initiatedBy: z.enum(roles),
  offer: jsonObject.describe('What the consumer asks for (or, before it has asked, what the provider offers it).'),
  counterOffer: jsonObject.optional().describe('What the provider offers instead, until the consumer has answered.'),
  agreementId: iri.optional(),
  pendingDecision: pendingDecisionSchema.optional().describe('There while it waits for a person of this node.'),
  reason: z.string().optional().describe('Why it was terminated, in words.'),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Negotiation = z.infer<typeof negotiationSchema>;

export const operatorDecisionSchema = z
  .discriminatedUnion('decision', [
    z.strictObject({ decision: z.literal('accept') }).describe("Agrees to the counterparty's rules."),
    z.strictObject({ decision: z.literal('reject'), reason: z.string().min(1).max(2_000).optional() }),
    z
      .strictObject({ decision: z.literal('counter'), offer: jsonObject })
      .describe('Other rules instead: an ODRL Offer without parties and target.'),
  ])
  .describe("A person's answer to what the counterparty asks for or offers.");
export type OperatorDecision = z.infer<typeof operatorDecisionSchema>;

export const signedAgreementSchema = z
  .object({
    id: iri,
    role: z.enum(roles).describe('The role of this node.'),
    assigner: iri,
    assignee: iri,
    target: iri.describe('Data set id.'),
    agreement: jsonObject.describe(
      'The ODRL Agreement exactly as exchanged: what both signatures cover, in RFC 8785 canonical form.',
    ),
    signatures: z
      .object({ provider: z.string().optional(), consumer: z.string().optional() })
      .describe('Compact JWS with detached payload, one by each side; absent where a side did not sign.'),
    finalized: z.boolean().describe('Whether both sides have concluded it: only then are uses allowed.'),
    negotiationId: iri,
    counterPartyId: iri,
    counterPartyAddress: z.string(),
    createdAt: timestamp,
  })
  .describe('An agreement as stored by this node, with the signatures it holds.');
export type SignedAgreement = z.infer<typeof signedAgreementSchema>;

export const dataAddressSchema = z
  .object({
    endpointType: z.string().min(1),
    endpoint: z.string().optional(),
    properties: z
      .record(z.string(), z.string())
      .default({})
      .describe('authorization, authType and whatever else the format needs.'),
  })
  .describe('Where data is fetched from or pushed to.');
export type DataAddress = z.infer<typeof dataAddressSchema>;

export const transferRequestSchema = z.strictObject({
  agreementId: iri,
  format: z.string().min(1).max(500),
  dataAddress: dataAddressSchema
    .optional()
    .describe('For push formats: where the data goes. HttpData-PUSH without an endpoint: to the inbox of this node.'),
});

export const transferSchema = z.object({
  id: iri,
  role: z.enum(roles).describe('The role of this node.'),
  state: z.enum(transferStates),
  consumerPid: iri,
  providerPid: iri.optional(),
  counterPartyId: iri,
  counterPartyAddress: z.string(),
  agreementId: iri,
  datasetId: iri,
  format: z.string(),
  dataAddress: dataAddressSchema
    .optional()
    .describe(
      'Pull: received from the provider with the start. Push: given by the consumer with the request. Only for tokens that may operate.',
    ),
  suspendedBy: z
    .enum(roles)
    .optional()
    .describe('While SUSPENDED: the side that suspended it and alone may resume it.'),
  reason: z.string().optional(),
  dataAddressAt: timestamp.optional().describe('When the data address came, or its token was renewed.'),
  access: z
    .object({ generation: z.int(), renewableFrom: z.int() })
    .optional()
    .describe('Provider: tokens of earlier generations are revoked; from which on they may be renewed.'),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Transfer = z.infer<typeof transferSchema>;

export const receivedDataAddressSchema = z
  .object({
    transferId: iri,
    agreementId: iri,
    datasetId: iri,
    counterPartyId: iri,
    format: z.string(),
    state: z.enum(transferStates).describe('Of its transfer: the address is good while it is STARTED.'),
    dataAddress: dataAddressSchema,
    updatedAt: timestamp,
  })
  .describe('Endpoint and token of a pull transfer, received from its provider.');
export type ReceivedDataAddress = z.infer<typeof receivedDataAddressSchema>;

export const receivedSchema = z
  .object({
    path: z.string().describe('The file on this node, once it is complete.'),
    mediaType: z.string(),
    bytes: z.int().describe('Received so far.'),
    complete: z.boolean(),
  })
  .describe('What a provider has pushed to this node for a transfer.');
export type Received = z.infer<typeof receivedSchema>;

export const dataFlowSchema = z
  .object({
    format: z.string(),
    runs: z
      .enum(['inside', 'outside', 'nowhere'])
      .describe(
        'In the connector, in a program that has registered, or not at all: then transfers of the format wait in REQUESTED.',
      ),
    open: z.int().describe('Transfers of this format that this node provides and that are not final.'),
    waiting: z.int().describe('Those of them that are still REQUESTED.'),
  })
  .describe('What moves the data of a format.');
export type DataFlowView = z.infer<typeof dataFlowSchema>;

export const flowTransfersSchema = z
  .object({ version: z.int(), transfers: z.array(transferSchema) })
  .describe("A long poll's answer: all transfers of a format that are not final, and a version to wait on.");
export type FlowTransfers = z.infer<typeof flowTransfersSchema>;

export const terminationSchema = z.strictObject({ code: z.string().optional(), reason: z.string().optional() });

export const emptySchema = z.strictObject({});

export const healthSchema = z.object({ status: z.string() });
export const readinessSchema = healthSchema.extend({
  delivery: z.object({
    unreachablePeers: z
      .int()
      .describe('Counterparties whose circuit breaker is open, because they do not answer: their messages wait.'),
    processesWaiting: z.int().describe('Negotiations and transfers with something to say to them.'),
  }),
});

export const problemSchema = z
  .object({
    code: z.string().describe('Stable: may be matched on.'),
    message: z.string().describe('What was wrong, and what to do.'),
    details: jsonObject.optional(),
  })
  .describe('Every error of the operator’s API.');

/** The names of these shapes in documents about the API. */
export const schemaNames = {
  Asset: assetSchema,
  PolicyDefinition: policyDefinitionSchema,
  ContractDefinition: contractDefinitionSchema,
  CatalogRequest: catalogRequestSchema,
  EnforceabilityRequest: enforceabilityRequestSchema,
  EnforceabilityReport: enforceabilityReportSchema,
  ExplanationRequest: explanationRequestSchema,
  Explanation: explanationSchema,
  JsonObject: jsonObject,
  NegotiationRequest: negotiationRequestSchema,
  OfferRequest: offerRequestSchema,
  PendingDecision: pendingDecisionSchema,
  Negotiation: negotiationSchema,
  OperatorDecision: operatorDecisionSchema,
  SignedAgreement: signedAgreementSchema,
  TrainingLimits: trainingLimitsSchema,
  DataAddress: dataAddressSchema,
  TransferRequest: transferRequestSchema,
  Transfer: transferSchema,
  ReceivedDataAddress: receivedDataAddressSchema,
  Received: receivedSchema,
  DataFlow: dataFlowSchema,
  FlowTransfers: flowTransfersSchema,
  UsageRequest: usageRequestSchema,
  DecisionRequest: decisionRequestSchema,
  ReservationRequest: reservationRequestSchema,
  Decision: decisionSchema,
  Plan: planSchema,
  LedgerEntry: ledgerEntrySchema,
  ...headSchemaNames,
  CommittedEntry: committedEntrySchema,
  Reconciled: reconciledSchema,
  Reservation: reservationSchema,
  Account: accountSchema,
  Termination: terminationSchema,
  Empty: emptySchema,
  ...profileSchemaNames,
  ...shareSchemaNames,
  AccessToken: accessTokenSchema,
  TokenRequest: tokenRequestSchema,
  CreatedToken: createdTokenSchema,
  Caller: callerSchema,
  Health: healthSchema,
  Readiness: readinessSchema,
  ...dutySchemaNames,
  Problem: problemSchema,
} as const satisfies Record<string, z.ZodType>;
