/**
 * What clients and coordinator say to each other over mutual TLS, all below `/fl/v1` of the coordinator.
 * Clients only ever call out. The peer certificate names the participant; no message carries a claim about it that counts.
 *
 *   GET  /sessions/:id                            → SessionDescription
 *   POST /sessions/:id/enrolment                  Enrolment → { ledgerHead }: the newest head of the caller's ledger held here
 *   GET  /sessions/:id/task?after=SEQ&wait=S      → Task, or 204 when nothing is new after the wait
 *   GET  /sessions/:id/models/:round              → parameters after `round` rounds (0: initial), update codec
 *   PUT  /sessions/:id/rounds/:round/update       update codec → 204; again with the same bytes → 204
 *   PUT  /sessions/:id/rounds/:round/secure/:step?wait=S  what this member has for the step → what came of the step for
 *                                                 this member, or 204 when nothing has after the wait; the same again → the same
 *   GET  /sessions/:id/rounds/:round/secure/:step?wait=S  what came of the step for this member, or 204 after the wait
 *   POST /sessions/:id/rounds/:round/refusal      Refusal → 204: this client will not take part in the round
 *   POST /sessions/:id/rounds/:round/evaluation   Evaluation → 204
 *   POST /sessions/:id/phase                      ClientPhase → 204: for whoever watches, nothing depends on it
 *   POST /sessions/:id/departure                  Refusal → 204: the contract ended or is suspended
 *
 * An update, a masked input and an evaluation with results carry the sender's newest signed ledger head in the header
 * `foedus-ledger-head`, and are refused without.
 *
 * Under secure aggregation a round has no `update`; its steps and what is PUT and got for each are (messages of
 * ../secure-aggregation/messages.ts):
 *
 *   keys          SignedAdvertisement            Roster
 *   shares        SealedShares                   SealedShares: what the neighbours sealed for this member
 *   input         masked input, ../update/masked-input.ts   Survivors
 *   confirmation  { signature }                  Confirmations
 *   unmasking     Unmasking                      nothing
 *
 * 429 with `Retry-After` (seconds): the caller asks far more often than rounds take, and sends the same again after that time.
 *
 * Errors are `{ code, message }` with a 4xx or 5xx status. 409 `round-over`: drop the update and ask for the next task.
 * 409 `dropped-out`: the round goes on without this member, which joins the next. 409 `older-head`: the head does not go
 * on from the one in `details.ledgerHead`; present that one to the own ledger, and send the same with its newest.
 */
import { z } from 'zod';
import { scoreHistogramSchema } from '../metrics/score-histogram.ts';
import { metricNames, sessionPlanSchema } from './plan.ts';
import { secureTaskSchema } from './secure-round.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

export const sessionDescriptionSchema = z.object({
  plan: sessionPlanSchema,
  /** SHA-256 of the plan in RFC 8785 canonical form, hex. */
  planHash: hash,
  /** SHA-256 of the initial parameters' bytes, hex. */
  modelHash: hash,
  /** The agreement under which the asking participant takes part. */
  agreementId: z.string(),
});
export type SessionDescription = z.infer<typeof sessionDescriptionSchema>;

/** What an enrolment's JWS covers. Signed by the participant's signing key. */
export const enrolmentClaimsSchema = z.strictObject({
  type: z.literal('FederatedTrainingEnrolment'),
  sessionId: z.uuid(),
  planHash: hash,
  modelHash: hash,
  participantId: z.string().min(1),
  coordinator: z.string().min(1),
  agreementId: z.string().min(1),
  /** `providerPid` of the DSP transfer that this training is. */
  transferId: z.string().min(1),
  issuedAt: z.iso.datetime({ offset: true }),
});
export type EnrolmentClaims = z.infer<typeof enrolmentClaimsSchema>;

/** `jws`: detached compact JWS over the RFC 8785 form of `claims`. Enrolling again (after a restart) is fine. */
export const enrolmentSchema = z.strictObject({ claims: enrolmentClaimsSchema, jws: z.string().max(20_000) });
export type Enrolment = z.infer<typeof enrolmentSchema>;

export const taskSchema = z.discriminatedUnion('kind', [
  /** Train from the parameters after `round − 1` rounds and send the update of `round`. */
  z.object({
    kind: z.literal('train'),
    seq: z.int(),
    round: z.int().min(1),
    modelHash: hash,
    /** Participants in this round as the coordinator states it; the agreement's minimum cohort is checked against it. */
    cohort: z.int().min(1),
    /** Present exactly when the plan asks for secure aggregation. */
    secure: secureTaskSchema.optional(),
  }),
  /** Evaluate the parameters after `round` rounds on held-out rows. */
  z.object({ kind: z.literal('evaluate'), seq: z.int(), round: z.int().min(0), modelHash: hash }),
  z.object({ kind: z.literal('pause'), seq: z.int() }),
  z.object({ kind: z.literal('done'), seq: z.int(), reason: z.string() }),
]);
export type Task = z.infer<typeof taskSchema>;

/** ε after a release, and what the agreement allows, at δ; null without a privacy budget. */
export const privacyStatementSchema = z.strictObject({
  epsilonSpent: z.number(),
  epsilonLimit: z.number().nullable(),
  delta: z.number(),
});

/** First part of an update's or a model's body; see update/codec.ts. */
export const updateHeaderSchema = z.strictObject({
  sessionId: z.uuid(),
  planHash: hash,
  round: z.int().min(0),
  /** `update`: local minus global parameters. `model`: parameters. */
  kind: z.enum(['update', 'model']),
  /** Number of float32 values. */
  count: z.int().min(1).max(2_000_000_000),
  /** SHA-256 of the payload bytes, hex. */
  payloadHash: hash,
  privacy: privacyStatementSchema.nullable().optional(),
  /** Seconds of training, for the dashboard; without privacy only, since they tell how many rows there are. */
  trainingSeconds: z.number().min(0).optional(),
});
export type UpdateHeader = z.infer<typeof updateHeaderSchema>;

export const refusalSchema = z.strictObject({
  code: z.string().min(1).max(100),
  reason: z.string().min(1).max(2_000),
  /** The participant whose message makes the sender leave a round under secure aggregation, where it is one's. */
  about: z.string().min(1).max(2_048).optional(),
});
export type Refusal = z.infer<typeof refusalSchema>;

/** Exact metrics without privacy; with it a noised histogram, from which they follow; or nothing, and why. */
export const evaluationSchema = z.strictObject({
  metrics: z.partialRecord(z.enum(metricNames), z.number()),
  histogram: scoreHistogramSchema.optional(),
  /** Where the sender's budget stands after this release. */
  privacy: privacyStatementSchema.nullable().optional(),
  /** In the node's own words. */
  reason: z.string().min(1).max(2_000).optional(),
});
export type Evaluation = z.infer<typeof evaluationSchema>;

/** The steps of a round under secure aggregation, in their order. Training lies between `shares` and `input`. */
export const secureSteps = ['keys', 'shares', 'input', 'confirmation', 'unmasking'] as const;
export type SecureStep = (typeof secureSteps)[number];

/** A member's signature of the survivors: see confirmSurvivors. */
export const confirmationMessageSchema = z.strictObject({ signature: z.string().min(1).max(20_000) });

export const clientPhases = [
  'waiting',
  'downloading',
  'training',
  'charging',
  'uploading',
  'unmasking',
  'evaluating',
] as const;
export const clientPhaseSchema = z.strictObject({ round: z.int().min(0), phase: z.enum(clientPhases) });
export type ClientPhase = z.infer<typeof clientPhaseSchema>;
