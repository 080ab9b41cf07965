/** What the operator's API says and takes about the ledger's chains. */
import { z } from 'zod';
import { ledgerHeadSchema, signedHeadSchema, spentSchema } from './head.ts';

export const presentedHeadSchema = z
  .strictObject({ head: signedHeadSchema })
  .describe('A head that a partner was given and hands back.');

export const reconciliationSchema = z
  .strictObject({
    reason: z.string().min(1).max(2_000).describe('What happened and was decided: it stays in the chain.'),
    atLeast: spentSchema
      .partial()
      .optional()
      .describe('What is to count as spent at least, where more is known to have been than the heads say.'),
  })
  .describe("Adopts what partners' heads say that was spent.");

export const chainReportSchema = z
  .object({
    agreementId: z.string(),
    elements: z.int().describe('Elements that were found good, from the first.'),
    entries: z.int(),
    hash: z.string().describe('Of the last good element.'),
    spent: spentSchema,
    unchained: z
      .object({ rows: z.number(), bytes: z.number() })
      .describe('Drawn since the newest element; the next one has them.'),
    broken: z
      .object({ sequence: z.int().optional(), what: z.string() })
      .optional()
      .describe('The first thing that is wrong, and the element that it concerns.'),
    disputed: z.array(ledgerHeadSchema).describe('Heads that partners hold and the chain does not contain.'),
  })
  .describe("One agreement's ledger, walked from its first element.");
export type ChainReportView = z.infer<typeof chainReportSchema>;

/** The names of these shapes in documents about the API. */
export const headSchemaNames = {
  LedgerHead: ledgerHeadSchema,
  SignedHead: signedHeadSchema,
  PresentedHead: presentedHeadSchema,
  Reconciliation: reconciliationSchema,
  ChainReport: chainReportSchema,
} as const satisfies Record<string, z.ZodType>;
