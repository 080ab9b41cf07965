import { FoedusError } from '../errors.ts';
import type { Identity } from '../identity/index.ts';
import type { SignedAgreement } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import { continuesHead, signedHeadSchema, type SignedHead } from './head.ts';
import { verifyHead } from './verify-head.ts';

/** What this node holds of the ledgers of others: the newest head of each agreement that it is the consumer of. */
export interface PartnerHeads {
  /** @returns undefined where none has come yet */
  get(agreementId: string): SignedHead | undefined;
  /**
   * Keeps a head if it goes on from the one that is kept; answers that overtook each other bring older ones, which are
   * nothing to complain about.
   *
   * @returns the newest
   * @throws FoedusError `not-found`, `conflict` for an agreement that this node provides, `bad-signature`, `bad-request`
   */
  keep(agreementId: string, head: SignedHead): SignedHead;
}

/** Over the table of migration 11. */
export function createPartnerHeads(options: {
  database: Database;
  agreements: { get(id: string): SignedAgreement | undefined };
  identity: Pick<Identity, 'trust'>;
}): PartnerHeads {
  const { database, agreements, identity } = options;
  const find = database.sql.prepare('SELECT head FROM partner_head WHERE agreement_id = ?');
  const write = database.sql.prepare(
    `INSERT INTO partner_head (agreement_id, sequence, head) VALUES (?, ?, ?)
     ON CONFLICT (agreement_id) DO UPDATE SET sequence = excluded.sequence, head = excluded.head`,
  );
  const get: PartnerHeads['get'] = (agreementId) => {
    const row = find.get(agreementId) as { head: string } | undefined;
    return row && signedHeadSchema.parse(JSON.parse(row.head));
  };
  return {
    get,
    keep(agreementId, signed) {
      const agreement = agreements.get(agreementId);
      if (agreement === undefined) throw new FoedusError('not-found', `This node has no agreement ${agreementId}.`);
      if (agreement.role !== 'consumer') {
        throw new FoedusError('conflict', `This node keeps the ledger of the agreement ${agreementId} itself.`);
      }
      verifyHead(signed, { agreementId, signer: agreement.assigner, trust: identity.trust });
      return database.transaction(() => {
        const kept = get(agreementId);
        if (kept !== undefined && !continuesHead(kept.head, signed.head)) return kept;
        write.run(agreementId, signed.head.sequence, JSON.stringify(signed));
        return signed;
      });
    },
  };
}
