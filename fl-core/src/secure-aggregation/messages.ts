/**
 * The messages of a round, as they arrive from outside. Parsing checks shapes and sizes; that a message belongs to the
 * round, comes from whom it says and makes sense then is the state machines' part.
 */
import { z } from 'zod';
import { SHARE_BYTES } from './shamir.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const index = z.int().min(0).max(100_000);
const signature = z.string().min(1).max(20_000);
/** A sealed share: the share and the tag of the seal. */
const sealed = z.base64().length(Math.ceil((SHARE_BYTES * 2 + 16) / 3) * 4);
const openShare = z.base64().length(Math.ceil(SHARE_BYTES / 3) * 4);

/** What a member signs about its keys: nothing of it can be used for another round, cohort, model or policy. */
export const advertisementSchema = z.strictObject({
  type: z.literal('foedus-key-advertisement'),
  participant: z.string().min(1).max(500),
  sessionId: z.string().min(1).max(200),
  round: z.int().min(1),
  cohortHash: hex32,
  modelHash: hex32,
  policyHash: hex32,
  /** Of the whole terms, which contain all of the above and the rest. */
  termsHash: hex32,
  /** X25519, hex: what pairwise masks are agreed with. */
  maskKey: hex32,
  /** X25519, hex: what shares are sealed with. */
  shareKey: hex32,
  /** What the self-mask's secret must hash to when it is put together (selfMaskCommitment). */
  selfMaskCommitment: hex32,
});
export type Advertisement = z.infer<typeof advertisementSchema>;

export const signedAdvertisementSchema = z.strictObject({ advertisement: advertisementSchema, signature });
export type SignedAdvertisement = z.infer<typeof signedAdvertisementSchema>;

/** Server to member: the hashes of all advertisements by index, and those of the member's neighbours in full. */
export const rosterSchema = z.strictObject({
  termsHash: hex32,
  members: z
    .array(z.tuple([index, hex32]))
    .min(2)
    .max(100_000),
  neighbours: z.array(z.tuple([index, signedAdvertisementSchema])).max(100_000),
});
export type Roster = z.infer<typeof rosterSchema>;

/** Member to server: for each neighbour its shares of both secrets, sealed. */
export const sealedSharesSchema = z.strictObject({
  termsHash: hex32,
  shares: z.array(z.tuple([index, sealed])).max(100_000),
});
export type SealedShares = z.infer<typeof sealedSharesSchema>;

/** Server to those who shared and have an input in the sum: whose inputs are in it. */
export const survivorsSchema = z.strictObject({ termsHash: hex32, survivors: z.array(index).max(100_000) });
export type Survivors = z.infer<typeof survivorsSchema>;

/** What a member signs about what the server told it. */
export const confirmationSchema = z.strictObject({
  type: z.literal('foedus-survivors'),
  participant: z.string().min(1).max(500),
  termsHash: hex32,
  rosterHash: hex32,
  survivorsHash: hex32,
});
export type Confirmation = z.infer<typeof confirmationSchema>;

/** Signatures of neighbours under the same view; the documents follow from what the receiver knows. */
export const confirmationsSchema = z.strictObject({
  termsHash: hex32,
  signatures: z.array(z.tuple([index, signature])).max(100_000),
});
export type Confirmations = z.infer<typeof confirmationsSchema>;

/** Member to server: of each neighbour one share, of the self-mask of a survivor or of the mask key of a dropout. */
export const unmaskingSchema = z.strictObject({
  termsHash: hex32,
  selfMasks: z.array(z.tuple([index, openShare])).max(100_000),
  maskKeys: z.array(z.tuple([index, openShare])).max(100_000),
});
export type Unmasking = z.infer<typeof unmaskingSchema>;
