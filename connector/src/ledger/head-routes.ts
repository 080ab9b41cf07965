import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { reconciledSchema } from '../management/model.ts';
import { FoedusError } from '../errors.ts';
import { json, operation, type Operation } from '../management/operation.ts';
import type { JsonLimits } from '../protocol/json-body.ts';
import { signedHeadSchema } from './head.ts';
import { chainReportSchema, presentedHeadSchema, reconciliationSchema, type ChainReportView } from './head-schemas.ts';
import type { LedgerHeads } from './heads.ts';
import type { PartnerHeads } from './partner-heads.ts';
import type { LedgerReader } from './ledger-reader.ts';

const bodyLimits: JsonLimits = { maxBytes: 256 * 1024, maxDepth: 32 };

export interface HeadParts {
  readonly heads: LedgerHeads;
  readonly partnerHeads: PartnerHeads;
  readonly ledgerReader: LedgerReader;
}

/** The operator's API of the ledger's chains: heads that are given away and come back, and the walk over all of it. */
export function headOperations({ heads, partnerHeads, ledgerReader }: HeadParts): Operation[] {
  const shared = { tag: 'Ledger' } as const;
  return [
    operation({
      ...shared,
      scope: 'read',
      method: 'get',
      path: '/usage/partner-heads/:agreementId',
      id: 'getPartnerHead',
      summary: "The newest head of the provider's ledger that this node holds, as the consumer",
      answer: json(signedHeadSchema, 'The head: send it along with the next request for data.'),
      errors: ['not-found'],
      handle: ({ params: { agreementId } }) => {
        const kept = partnerHeads.get(agreementId);
        if (kept !== undefined) return kept;
        throw new FoedusError('not-found', `No head of the ledger of the agreement ${agreementId} has come yet.`);
      },
    }),
    operation({
      ...shared,
      scope: 'operate',
      method: 'put',
      path: '/usage/partner-heads/:agreementId',
      id: 'keepPartnerHead',
      summary: "Keeps a head of the provider's ledger that came with data",
      body: presentedHeadSchema,
      bodyLimits,
      answer: json(signedHeadSchema, 'The newest one that is kept.'),
      errors: ['not-found', 'bad-signature', 'conflict'],
      handle: ({ params, body }) => partnerHeads.keep(params.agreementId, body.head),
    }),
    operation({
      ...shared,
      scope: 'any',
      method: 'get',
      path: '/usage/heads/:agreementId',
      id: 'getLedgerHead',
      summary: "The newest head of an agreement's ledger, signed",
      answer: json(signedHeadSchema, 'The head.'),
      errors: ['not-found', 'unavailable'],
      handle: async ({ params }) => await heads.signed(params.agreementId),
    }),
    operation({
      ...shared,
      scope: 'use',
      method: 'post',
      path: '/usage/heads/:agreementId',
      id: 'presentLedgerHead',
      summary: 'Hands a head back that a partner holds',
      description:
        'Where the chain does not contain it, the ledger is older than what the partner holds: every use under the agreement is refused until the operator has reconciled it.',
      body: presentedHeadSchema,
      bodyLimits,
      answer: json(signedHeadSchema, 'The chain contains it; this is the newest head.'),
      errors: ['not-found', 'bad-signature', 'conflict', 'unavailable'],
      handle: async ({ params, body }) => await heads.present(params.agreementId, body.head),
    }),
    operation({
      ...shared,
      scope: 'administer',
      method: 'post',
      path: '/usage/heads/:agreementId/reconcile',
      id: 'reconcileLedger',
      summary: "Adopts partners' heads that the ledger does not contain",
      body: reconciliationSchema,
      bodyLimits,
      answer: json(reconciledSchema, 'What was charged for it, and the newest head.'),
      errors: ['not-found', 'conflict', 'unavailable'],
      handle: async ({ params, body: { reason, atLeast } }) =>
        await heads.reconcile(params.agreementId, { reason, ...(atLeast && { atLeast: stated(atLeast) }) }),
    }),
    operation({
      ...shared,
      scope: 'read',
      method: 'get',
      path: '/usage/ledger',
      id: 'verifyLedger',
      summary: 'Walks the chains of all agreements and holds the accounts against them',
      query: z.strictObject({ agreementId: z.string().min(1).max(2_048).optional() }),
      answer: json(z.array(chainReportSchema), 'One report for each agreement under which anything was charged.'),
      errors: ['unavailable'],
      handle: async ({ query: { agreementId } }) => {
        const reports: ChainReportView[] = [];
        for (const id of agreementId === undefined ? ledgerReader.agreements() : [agreementId]) {
          reports.push({ ...ledgerReader.verify(id), disputed: heads.disputed(id) });
          // A long ledger keeps nobody else waiting for longer than one agreement takes.
          await nextTurn();
        }
        return reports;
      },
    }),
  ];
}

/** Without the properties that are there and undefined. */
function stated<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
