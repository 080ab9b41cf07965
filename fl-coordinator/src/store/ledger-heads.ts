/** The newest heads of partners' ledgers: what a ledger that was put back from a backup can be held against. */
import { signedHeadSchema, type SignedHead } from '@foedus/connector/operator-client';
import type { Database } from '@foedus/connector/store';

export function createLedgerHeads({ sql }: Database) {
  const select = sql.prepare('SELECT head FROM ledger_heads WHERE agreement_id = ?');
  const upsert = sql.prepare(
    `INSERT INTO ledger_heads (agreement_id, participant_id, sequence, head) VALUES (?, ?, ?, ?)
     ON CONFLICT (agreement_id) DO UPDATE SET sequence = excluded.sequence, head = excluded.head`,
  );
  return {
    newest(agreementId: string): SignedHead | null {
      const row = select.get(agreementId) as { head: string } | undefined;
      return row === undefined ? null : signedHeadSchema.parse(JSON.parse(row.head));
    },
    /** Takes the place of the one held: call it with a head that is verified and goes on from that one. */
    keep(participantId: string, signed: SignedHead): void {
      const { agreementId, sequence } = signed.head;
      upsert.run(agreementId, participantId, sequence, JSON.stringify(signed));
    },
  };
}

export type LedgerHeads = ReturnType<typeof createLedgerHeads>;
