import { z } from 'zod';
import { personalKinds } from './personal-data.ts';

const timestamp = z.iso.datetime({ offset: true });
const jsonObject = z.record(z.string(), z.unknown());

export const profileStates = ['waiting', 'running', 'done', 'failed'] as const;

const personalSchema = z.object({
  kind: z.enum(personalKinds),
  by: z.enum(['name', 'values', 'name and values']),
  share: z.number().min(0).max(1).describe('Of the sampled values that look like it.'),
  mask: jsonObject.describe('A mask that a policy could put on the column.'),
});

const columnProfileSchema = z.object({
  name: z.string(),
  type: z.string().describe("In the source's own words."),
  arrow: z.string().nullable().describe('The Arrow type that it leaves as; null: it leaves only masked.'),
  nulls: z.number().min(0).max(1).describe('Share of the sampled rows.'),
  distinct: z.int().nullable().describe('Estimate of the different values in the sample.'),
  min: z.string().optional().describe('Of numbers and times in the sample. Never sent to partners.'),
  max: z.string().optional(),
  personal: personalSchema.optional().describe('There where the column looks like personal data.'),
});
export type ColumnProfile = z.infer<typeof columnProfileSchema>;

export const assetProfileSchema = z
  .object({
    assetId: z.string(),
    state: z.enum(profileStates),
    updatedAt: timestamp,
    problem: z.string().optional().describe('Why it failed.'),
    rows: z.int().optional(),
    sample: z
      .object({
        rows: z.int(),
        method: z
          .enum(['all', 'system', 'first'])
          .describe('All rows, a random sample of blocks, or the first ones of a table in a database.'),
      })
      .optional(),
    columns: z.array(columnProfileSchema).optional(),
    suggestion: jsonObject.optional().describe('One constraint for a policy that puts all suggested masks on.'),
  })
  .describe('What a data set holds, as it was when it was published. For the operator only.');
export type AssetProfile = z.infer<typeof assetProfileSchema>;

export const schemaColumnSchema = z.object({ name: z.string(), type: z.string() });
export type SchemaColumn = z.infer<typeof schemaColumnSchema>;

export const driftSchema = z
  .object({
    added: z.array(z.string()).describe('Served only under agreements that name them.'),
    vanished: z.array(z.string()).describe('Agreements that name them deny.'),
    changed: z
      .array(z.object({ name: z.string(), from: z.string(), to: z.string() }))
      .describe('Agreements that grant them deny.'),
  })
  .describe('How a data set has changed since it was published.');
export type Drift = z.infer<typeof driftSchema>;

export const assetSchemaSchema = z
  .object({
    assetId: z.string(),
    pinnedAt: timestamp,
    columns: z.array(schemaColumnSchema).describe('As pinned.'),
    drift: driftSchema.nullable().describe('null: it is as it was.'),
  })
  .describe("A data set's schema as it was published, compared with what it is now.");
export type AssetSchema = z.infer<typeof assetSchemaSchema>;

/** The names of these shapes in documents about the API. */
export const profileSchemaNames = {
  AssetProfile: assetProfileSchema,
  AssetSchema: assetSchemaSchema,
} as const satisfies Record<string, z.ZodType>;
