/** What a decision tells whoever enforces it. */
import type { Decision } from '@foedus/usage-policies';
import { z } from 'zod';
import { roles } from '../protocol/state-machine.ts';
import type { SignedAgreement } from './model.ts';

const column = z.string().max(1_000);

export const planSchema = z
  .object({
    columns: z.union([z.literal('all'), z.array(column)]).describe('Columns that may leave, in this order.'),
    masks: z
      .record(column, z.looseObject({ method: z.enum(['null', 'constant', 'hash', 'truncate', 'generalise']) }))
      .describe('What becomes of a column’s values first, by column.'),
    rowFilter: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe(
        'Rows that may leave: {column, operator, value}, {and: […]} or {or: […]}; operators eq, neq, lt, lteq, gt, gteq, isAnyOf. null: every row.',
      ),
    named: z.array(column).describe('Further columns that the data must have, or else nothing may leave.'),
    minimumGroupSize: z.int().nullable().describe('Only aggregates of groups of at least so many rows may leave.'),
    aggregates: z.array(z.string()).nullable().describe('Only these functions of groups may leave, and no row.'),
    limit: z.int().nullable().describe('Rows of one use.'),
    byteLimit: z.int().nullable().describe('Bytes of one use.'),
    sampling: z.number().nullable().describe('Share of the rows, always the same ones.'),
  })
  .describe('How the data have to be cut. Whoever does not understand a part of it must let nothing out.');
export type PlanView = z.infer<typeof planSchema>;

export const decisionSchema = z.object({
  permit: z.boolean(),
  role: z
    .enum(roles)
    .describe(
      'The role of this node. provider: whoever lets the data out has to cut them by the plan. consumer: they were cut by it before they came, and the charges are of an account of this node alone.',
    ),
  exhausted: z.boolean().describe('Whether nothing but a spent budget is in the way.'),
  reasons: z.array(z.string()).describe('In plain words, one per rule that took part.'),
  policyDigest: z.string().describe('SHA-256 of the canonical policy, hex.'),
  plan: planSchema.nullable().describe('null: nothing is permitted.'),
  charges: z
    .array(z.object({ meter: z.string(), amount: z.number(), limit: z.number().nullable() }))
    .describe('What the use costs, and the limit that it counts against; null: counted, not limited.'),
  duties: z
    .array(
      z.object({
        duty: z.string().describe('As in GET /duties.'),
        kind: z.string(),
        action: z.string(),
        timing: z.enum(['before', 'after']).describe('Before the use, or because of it.'),
        state: z.enum(['fulfilled', 'violated', 'not-set', 'inactive']),
        by: z.string().describe('Who has to.'),
        performedByNode: z
          .boolean()
          .describe('Whether this node does it itself when the use is reserved or committed.'),
        reason: z.string(),
      }),
    )
    .describe('What has to be done before this use or because of it.'),
});
export type DecisionView = z.infer<typeof decisionSchema>;

/** A decision as it is told, all of it that somebody else needs to enforce it. */
export function decisionView(
  { permit, exhausted, reasons, policyDigest, plan, charges, duties }: Decision,
  { assignee, role }: Pick<SignedAgreement, 'assignee' | 'role'>,
  performed: ReadonlySet<string>,
): DecisionView {
  return {
    permit,
    role,
    exhausted,
    reasons: [...reasons],
    policyDigest,
    plan: plan && {
      columns: plan.columns === 'all' ? 'all' : [...plan.columns],
      masks: { ...plan.masks },
      rowFilter: plan.rowFilter,
      named: [...(plan.named ?? [])],
      minimumGroupSize: plan.minimumGroupSize ?? null,
      aggregates: plan.aggregates ? [...plan.aggregates] : null,
      limit: plan.limit ?? null,
      byteLimit: plan.byteLimit ?? null,
      sampling: plan.sampling ?? null,
    },
    charges: charges.map(({ meter, amount, limit }) => ({ meter, amount, limit })),
    duties: duties.map(({ key, kind, action, timing, state, by = assignee, reason }) => ({
      duty: key,
      kind,
      action,
      timing,
      state,
      by,
      performedByNode: performed.has(key),
      reason,
    })),
  };
}
