import { z } from 'zod';

const iri = z.string().min(1).max(2048);
const timestamp = z.iso.datetime({ offset: true });

const shareTableSchema = z
  .object({ share: z.string(), schema: z.string(), name: z.string(), agreementId: iri })
  .describe('A table as Delta Sharing clients name it, and the agreement that it is read under.');
export type ShareTable = z.infer<typeof shareTableSchema>;

export const shareProfileRequestSchema = z
  .strictObject({
    agreements: z.array(iri).min(1).max(100).describe('Each becomes a table. This node is the consumer of all.'),
    purpose: iri.optional().describe('What every read through the profile is for: clients cannot say it themselves.'),
    name: z.string().min(1).max(200).optional().describe('Who or what it is for.'),
    expiresAt: timestamp.optional().describe('Absent: until it is revoked.'),
  })
  .describe('Asks for a profile that Delta Sharing clients of this organisation read with.');
export type ShareProfileRequest = z.infer<typeof shareProfileRequestSchema>;

export const shareProfileSchema = z
  .object({
    id: iri,
    name: z.string(),
    purpose: iri.optional(),
    tables: z.array(shareTableSchema),
    createdAt: timestamp,
    expiresAt: timestamp.optional(),
    revokedAt: timestamp.optional(),
  })
  .describe('A profile, without its token.');
export type ShareProfile = z.infer<typeof shareProfileSchema>;

/** The profile file of the Delta Sharing protocol, version 1. */
const profileFileSchema = z.object({
  shareCredentialsVersion: z.literal(1),
  endpoint: z.string(),
  bearerToken: z.string(),
  expirationTime: timestamp.optional(),
});

export const createdShareProfileSchema = shareProfileSchema
  .extend({ profile: profileFileSchema.describe('The profile file. Its token is told once and never again.') })
  .describe('A new profile.');
export type CreatedShareProfile = z.infer<typeof createdShareProfileSchema>;

/** The names of these shapes in documents about the API. */
export const shareSchemaNames = {
  ShareProfileRequest: shareProfileRequestSchema,
  ShareProfile: shareProfileSchema,
  CreatedShareProfile: createdShareProfileSchema,
} as const satisfies Record<string, z.ZodType>;
