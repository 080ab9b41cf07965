/** What is published, and to whom: part of the types of the operator's API in model.ts. */
import { z } from 'zod';
import { iri, jsonObject } from './values.ts';

/** Formats with a meaning of their own; any other name may be used by a data flow that registers it. */
export const transferFormats = ['HttpData-PULL', 'HttpData-PUSH', 'AmazonS3-PUSH', 'FederatedTraining-PUSH'] as const;

const path = z.string().min(1).max(4_096);
const pattern = z
  .string()
  .min(1)
  .max(500)
  .optional()
  .describe('Glob below the folder; absent: every file of the type.');
const partitioned = z.boolean().optional().describe('Folders named column=value are columns.');
const csv = {
  delimiter: z.string().length(1).optional(),
  header: z.boolean().optional().describe('Absent: the first line names the columns.'),
};
const files = { path: path.describe('Absolute path of a file or folder on this node.'), pattern };
const objects = {
  endpoint: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Absent: Amazon.'),
  region: z.string().min(1).max(100).default('us-east-1'),
  bucket: z.string().min(1).max(255),
  key: z.string().min(1).max(1_024).optional().describe('One object; or else a prefix.'),
  prefix: z.string().max(1_024).optional(),
  pattern,
  credentialsFile: path
    .optional()
    .describe('Absolute path of a JSON file {"accessKeyId", "secretAccessKey"}; absent: what the environment has.'),
};

export const sourceSchema = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('parquet'), ...files, partitioned }),
    z.strictObject({ type: z.literal('arrow'), ...files }),
    z.strictObject({ type: z.literal('csv'), ...files, partitioned, ...csv }),
    z.strictObject({ type: z.literal('s3'), format: z.enum(['parquet', 'arrow', 'csv']), ...objects, ...csv }),
    z.strictObject({
      type: z.literal('postgresql'),
      connectionFile: path.describe('Absolute path of a file with the connection URI (postgresql://…) in it.'),
      schema: z.string().min(1).max(63).default('public'),
      table: z.string().min(1).max(63),
    }),
  ])
  .describe('Where the data lies. Never sent to anybody.');

export const assetSchema = z
  .strictObject({
    id: iri,
    title: z.string().min(1).max(500),
    description: z.string().max(5_000).optional(),
    source: sourceSchema,
    formats: z
      .array(z.string().min(1).max(500))
      .min(1)
      .max(100)
      .describe(
        `How it may be moved: ${transferFormats.join(', ')}, or a name that a data flow registers. A transfer waits until there is a data flow of its format.`,
      ),
  })
  .describe('A data set of this organisation: where it lies and how it may be moved.');
export type Asset = z.infer<typeof assetSchema>;

export const policyDefinitionSchema = z
  .strictObject({ id: iri, policy: jsonObject.describe('ODRL: without assigner, assignee and target.') })
  .describe('An ODRL Offer or Set as a template for offers.');
export type PolicyDefinition = z.infer<typeof policyDefinitionSchema>;

export const contractDefinitionSchema = z
  .strictObject({
    id: iri,
    assets: z.array(iri).min(1),
    policy: iri,
    audience: z
      .array(iri)
      .min(1)
      .optional()
      .describe('Participant ids that see the offer; absent: every participant of the data space.'),
    accessPolicy: iri
      .optional()
      .describe('A policy that must permit access when somebody asks for the catalog; nobody else sees the offer.'),
  })
  .describe('Offers a policy on assets to an audience.');
export type ContractDefinition = z.infer<typeof contractDefinitionSchema>;
