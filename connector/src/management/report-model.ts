/** What a policy says and who can enforce it: part of the types of the operator's API in model.ts. */
import type { Enforcement, TrainingLimits } from '@foedus/usage-policies';
import { z } from 'zod';
import { privacyUnits } from './usage-model.ts';
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

const budget = z.object({ epsilon: z.number(), delta: z.number() }).nullable();
const names = z.array(z.string());
const sha256 = z.string().nullable();
export const trainingLimitsSchema = z
  .object({
    permitted: z.boolean().describe('Whether any of its permissions is for training.'),
    budget: budget.describe('ε at δ of everything that is released.'),
    roundBudget: budget.describe('ε at δ of each release.'),
    rounds: z.number().nullable().describe('In all.'),
    minimumCohort: z.number().nullable().describe('The largest that stands anywhere in the policy.'),
    metrics: names.nullable().describe('The only ones that may be released. null: none may.'),
    purposes: names.nullable().describe('The purpose has to be one of these, or a kind of one.'),
    modelHash: sha256.describe('SHA-256 of the one model, hex.'),
    planHash: sha256.describe('SHA-256 of the one session plan, hex.'),
    secureAggregation: z.boolean().describe('Whether updates have to be summed under masks.'),
    privacyUnit: z.enum(privacyUnits).nullable().describe('What noise has to hide at least.'),
    problems: names.describe('What this node cannot check, a sentence each: such a permission grants nothing.'),
  })
  .describe(
    'What holds for all training that an agreement permits: never one of several alternatives or permissions. null: it says nothing. The provider’s node decides each round by the agreement itself.',
  ) satisfies z.ZodType<TrainingLimits>;
export type { TrainingLimits } from '@foedus/usage-policies';
