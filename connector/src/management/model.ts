/**
 * The operator's API in types: what the management routes validate and what the operator client returns.
 * One zod schema per shape; the TypeScript types are inferred from them.
 */
import { z } from 'zod';
import { negotiationMachine, roles, transferMachine } from '../protocol/state-machine.ts';

const iri = z.string().min(1).max(2048);
const timestamp = z.iso.datetime({ offset: true });
/** Any JSON object: a policy or a catalog as the Dataspace Protocol writes it. */
const jsonObject = z.record(z.string(), z.unknown());

export const transferFormats = ['HttpData-PULL', 'FederatedTraining-PUSH'] as const;

/** A data set of this organisation: where it lies and how it may be moved. */
export const assetSchema = z.strictObject({
  id: iri,
  title: z.string().min(1).max(500),
  description: z.string().max(5_000).optional(),
  /** Absolute path of a Parquet file on this node. Never sent to anybody. */
  source: z.strictObject({ type: z.literal('parquet'), path: z.string().min(1) }),
  formats: z.array(z.string().min(1)).min(1),
});
export type Asset = z.infer<typeof assetSchema>;

/** An ODRL Offer or Set as a template for offers: no assigner, assignee or target. */
export const policyDefinitionSchema = z.strictObject({ id: iri, policy: jsonObject });
export type PolicyDefinition = z.infer<typeof policyDefinitionSchema>;

/** Offers `policy` on `assets` to `audience`. */
export const contractDefinitionSchema = z.strictObject({
  id: iri,
  assets: z.array(iri).min(1),
  policy: iri,
  /** Participant ids that see the offer; absent: every participant of the data space. */
  audience: z.array(iri).min(1).optional(),
});
export type ContractDefinition = z.infer<typeof contractDefinitionSchema>;

export const catalogRequestSchema = z.strictObject({
  /** Root of the other connector, for instance `https://pvd.example:7001`. */
  counterPartyAddress: z.url({ protocol: /^https$/ }),
});

export const negotiationStates = negotiationMachine.states;
export const transferStates = transferMachine.states;
export { roles };

export const negotiationRequestSchema = z.strictObject({
  counterPartyAddress: z.url({ protocol: /^https$/ }),
  datasetId: iri,
  /** The id (`@id`) of an offer in the counterparty's catalog entry for the data set. */
  offerId: iri,
});

export const negotiationSchema = z.object({
  id: iri,
  role: z.enum(roles),
  state: z.enum(negotiationStates),
  /** Absent while our offer, which nobody asked for, has not been answered. */
  consumerPid: iri.optional(),
  /** Absent while our request has not been answered. */
  providerPid: iri.optional(),
  counterPartyId: iri,
  counterPartyAddress: z.string(),
  datasetId: iri,
  initiatedBy: z.enum(roles),
  /** What the consumer asks for (or, before it has asked, what the provider offers it). */
  offer: jsonObject,
  /** What the provider offers instead, until the consumer has answered. */
  counterOffer: jsonObject.optional(),
  agreementId: iri.optional(),
  /** Why it was terminated, in words. */
  reason: z.string().optional(),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Negotiation = z.infer<typeof negotiationSchema>;

/** An agreement as stored by this node, with the signatures it holds. */
export const signedAgreementSchema = z.object({
  id: iri,
  role: z.enum(roles),
  assigner: iri,
  assignee: iri,
  /** Data set id. */
  target: iri,
  /** The ODRL Agreement exactly as exchanged: what both signatures cover, in RFC 8785 canonical form. */
  agreement: jsonObject,
  /** Compact JWS with detached payload, one by each side; absent where a side did not sign. */
  signatures: z.object({ provider: z.string().optional(), consumer: z.string().optional() }),
  /** `VERIFIED` or later: the provider holds both signatures; `FINALIZED`: uses are allowed. */
  finalized: z.boolean(),
  negotiationId: iri,
  counterPartyId: iri,
  counterPartyAddress: z.string(),
  createdAt: timestamp,
});
export type SignedAgreement = z.infer<typeof signedAgreementSchema>;

export const dataAddressSchema = z.object({
  endpointType: z.string().min(1),
  endpoint: z.string().optional(),
  /** `authorization`, `authType` and whatever else the format needs. */
  properties: z.record(z.string(), z.string()).default({}),
});
export type DataAddress = z.infer<typeof dataAddressSchema>;

export const transferRequestSchema = z.strictObject({
  agreementId: iri,
  format: z.string().min(1),
  /** For push formats: where the data goes. */
  dataAddress: dataAddressSchema.optional(),
});

export const transferSchema = z.object({
  id: iri,
  role: z.enum(roles),
  state: z.enum(transferStates),
  consumerPid: iri,
  providerPid: iri.optional(),
  counterPartyId: iri,
  counterPartyAddress: z.string(),
  agreementId: iri,
  datasetId: iri,
  format: z.string(),
  /** Pull: received from the provider with the start. Push: given by the consumer with the request. */
  dataAddress: dataAddressSchema.optional(),
  /** While SUSPENDED: the side that suspended it, which alone may resume it. */
  suspendedBy: z.enum(roles).optional(),
  reason: z.string().optional(),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Transfer = z.infer<typeof transferSchema>;

/** A long poll's answer: all transfers of a format that are not final, and a version to wait on. */
export const flowTransfersSchema = z.object({ version: z.int(), transfers: z.array(transferSchema) });
export type FlowTransfers = z.infer<typeof flowTransfersSchema>;

/** What somebody wants to do under an agreement. Time and assignee are added by the node, never taken from outside. */
export const usageRequestSchema = z.strictObject({
  /** `use`, or `https://w3id.org/foedus/policy#train`. */
  action: z.string().min(1),
  purpose: iri.optional(),
  columns: z.array(z.string().min(1)).optional(),
  training: z
    .strictObject({
      sessionId: z.string().min(1),
      round: z.int().min(1),
      /** SHA-256 of the session plan, hex. */
      planHash: z.string().regex(/^[0-9a-f]{64}$/),
      cohort: z.int().min(1),
      /** Privacy loss this round adds, given all that the ledger holds already; null: no differential privacy. */
      privacyLoss: z.strictObject({ epsilon: z.number().nonnegative(), delta: z.number().min(0).max(1) }).nullable(),
      /** Metrics about own held-out rows that will be released. */
      metrics: z.array(z.string()),
    })
    .optional(),
});
export type UsageRequestBody = z.infer<typeof usageRequestSchema>;

export const reservationRequestSchema = z.strictObject({
  agreementId: iri,
  /** Idempotency key: the same key returns the same reservation and never charges twice. */
  key: z.string().min(1).max(500),
  request: usageRequestSchema,
  /** What a later reader needs to recompute the charge, for instance the mechanism's parameters. */
  basis: jsonObject.optional(),
});

export const decisionSchema = z.object({
  permit: z.boolean(),
  /** In plain words, one per rule that took part. */
  reasons: z.array(z.string()),
  /** SHA-256 of the canonical policy, hex. */
  policyDigest: z.string(),
});
export type DecisionView = z.infer<typeof decisionSchema>;

export const reservationStates = ['reserved', 'committed', 'refunded'] as const;
export const ledgerEntrySchema = z.object({
  id: z.string(),
  agreementId: iri,
  key: z.string(),
  state: z.enum(reservationStates),
  charges: z.array(z.object({ meter: z.enum(['uses', 'rounds', 'epsilon']), amount: z.number().nonnegative() })),
  basis: jsonObject.optional(),
  createdAt: timestamp,
});
export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;

export const reservationSchema = z.object({ entry: ledgerEntrySchema, decision: decisionSchema });
export type Reservation = z.infer<typeof reservationSchema>;

/** Everything charged under one agreement (reserved counts as spent), with the policy's limits. */
export const accountSchema = z.object({
  agreementId: iri,
  spent: z.object({ uses: z.number(), rounds: z.number(), epsilon: z.number() }),
  limits: z.object({
    uses: z.number().nullable(),
    rounds: z.number().nullable(),
    epsilon: z.number().nullable(),
    /** The δ at which ε is counted; null without a privacy budget. */
    delta: z.number().nullable(),
  }),
  entries: z.array(ledgerEntrySchema),
});
export type Account = z.infer<typeof accountSchema>;

export const terminationSchema = z.strictObject({ code: z.string().optional(), reason: z.string().optional() });

/** Every error of the operator's API. */
export const problemSchema = z.object({
  code: z.string(),
  message: z.string(),
  details: jsonObject.optional(),
});
