/** What a policy says and who can enforce it: part of the types of the operator's API in model.ts. */
import type { Enforcement } from '@foedus/usage-policies';
import { z } from 'zod';
import { jsonObject } from './values.ts';

const language = z.enum(['en', 'de']).default('en');
export const enforcements = [
  'enforced-by-provider',
  'enforced-by-consumer',
  'evidence-only',
  'not-understood',
] as const satisfies readonly Enforcement[];
const enforcement = z
  .enum(enforcements)
  .describe('From the best to the worst. What is not understood fails closed: such a permission grants nothing.');
const terms = z.array(z.string().min(1).max(2_048)).max(1_000).default([]);
const nodeCapabilitiesSchema = z.strictObject({
  actions: terms,
  operands: terms,
  statements: terms,
  duties: terms,
  masks: terms,
});
export const enforceabilityRequestSchema = z.strictObject({
  policy: jsonObject.describe('ODRL.'),
  language,
  capabilities: z
    .strictObject({ provider: nodeCapabilitiesSchema.optional(), consumer: nodeCapabilitiesSchema.optional() })
    .optional()
    .describe('What the two nodes can do. Left out: Foedus nodes of this version.'),
});
export const enforceabilityReportSchema = z.object({
  enforcement: enforcement,
  rules: z.array(
    z.object({
      kind: z.enum(['permission', 'prohibition', 'obligation', 'duty', 'consequence', 'remedy']),
      id: z.string().optional(),
      action: z.string(),
      enforcement: enforcement,
      parts: z.array(
        z.object({
          part: z.enum(['action', 'constraint', 'refinement', 'duty', 'policy']),
          text: z.string().describe('What it says, in words.'),
          enforcement: enforcement,
        }),
      ),
    }),
  ),
  policyDigest: z.string().describe('SHA-256 of the canonical policy, hex.'),
});
export const explanationRequestSchema = z.strictObject({ policy: jsonObject.describe('ODRL.'), language });
export const explanationSchema = z.object({ lines: z.array(z.string()) });
