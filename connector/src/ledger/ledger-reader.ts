import type { Database } from '../store/database.ts';
import { createChain } from './chain.ts';
import { createEntryRows } from './entry-rows.ts';
import { verifyAccount, type ChainReport } from './verify.ts';

/** Looks at the ledger and changes nothing of it. */
export interface LedgerReader {
  /** Every agreement under which anything was ever charged. */
  agreements(): string[];
  /** One agreement's chain, from its first element, against its accounts. */
  verify(agreementId: string): ChainReport;
}

export function createLedgerReader(database: Database): LedgerReader {
  const rows = createEntryRows(database);
  const chain = createChain(database);
  return {
    agreements: rows.agreements,
    // One transaction: another process must not charge between two of the looks.
    verify: (agreementId) =>
      database.transaction(() =>
        verifyAccount({
          agreementId,
          elements: chain.elements(agreementId),
          entries: rows.ofAgreement(agreementId),
          charges: rows.chargesOfAgreement(agreementId),
          totals: rows.spent(agreementId),
          isOlder: rows.isOlder(agreementId),
        }),
      ),
  };
}
