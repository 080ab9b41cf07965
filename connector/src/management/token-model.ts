/** Tokens of the operator's API: part of its types in model.ts. */
import { z } from 'zod';
import { iri, timestamp } from './values.ts';

/** What a token allows: see `allows` in access.ts. */
export const scopes = ['read', 'use', 'operate', 'administer'] as const;
export type Scope = (typeof scopes)[number];

export const accessTokenSchema = z
  .object({
    id: iri,
    name: z.string(),
    scope: z.enum(scopes),
    createdAt: timestamp,
    expiresAt: timestamp.optional(),
    lastUsedAt: timestamp.optional().describe('To the hour.'),
    revokedAt: timestamp.optional(),
  })
  .describe('A token of the operator’s API, without the secret.');
export type AccessToken = z.infer<typeof accessTokenSchema>;

export const tokenRequestSchema = z.strictObject({
  name: z.string().min(1).max(200).describe('Who or what it is for.'),
  scope: z
    .enum(scopes)
    .describe(
      'read: looks at everything but secrets. use: asks for decisions and charges uses, and sees nothing else. operate: both, and acts. administer: gives and takes tokens, too.',
    ),
  expiresAt: timestamp.optional(),
});
export type TokenRequest = z.infer<typeof tokenRequestSchema>;

export const createdTokenSchema = accessTokenSchema
  .extend({ token: z.string().describe('The secret: told once and never again.') })
  .describe('A new token.');
export type CreatedToken = z.infer<typeof createdTokenSchema>;

export const callerSchema = z.object({ scope: z.enum(scopes) }).describe('What the token of this call allows.');
