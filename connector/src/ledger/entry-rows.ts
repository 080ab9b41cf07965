import type { Meter } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import { meters, type LedgerEntry } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import { NOTHING_SPENT, type Spent } from './chain.ts';

/** Meters that are drawn on an entry while data leave; all others are charged when it is made. */
export const DRAWN = ['rows', 'bytes'] as const satisfies readonly Meter[];

/** An entry as it is stored. */
export interface EntryRow {
  readonly sequence: number;
  readonly id: string;
  readonly agreement_id: string;
  readonly key: string;
  readonly state: LedgerEntry['state'];
  readonly policy_digest: string;
  readonly decision: string;
  readonly basis: string | null;
  readonly request: string | null;
  readonly created_at: string;
  readonly settled_at: string | null;
}

type Standing = Pick<EntryRow, 'sequence' | 'id' | 'agreement_id' | 'state'>;

export interface ChargeRow {
  /** Sequence of its entry. */
  readonly entry: number;
  readonly meter: Meter;
  readonly amount: number;
  /** How much of it is in the chain. */
  readonly chained: number;
}

/** What has been drawn on an entry since it was last chained. */
export type UnchainedRow = Pick<EntryRow, 'sequence' | 'id' | 'key' | 'policy_digest'> &
  Record<'rows' | 'bytes', number>;

/** Entries, charges and totals in the tables of migrations 2, 5 and 6. Callers bring their own transaction. */
export function createEntryRows({ sql }: Database) {
  const byKey = sql.prepare('SELECT * FROM ledger_entry WHERE agreement_id = ? AND key = ?');
  const byId = sql.prepare('SELECT * FROM ledger_entry WHERE id = ?');
  const standing = sql.prepare('SELECT sequence, id, agreement_id, state FROM ledger_entry WHERE id = ?');
  const byAgreement = sql.prepare('SELECT * FROM ledger_entry WHERE agreement_id = ? ORDER BY sequence');
  const chargesOf = sql.prepare('SELECT * FROM ledger_charge WHERE entry = ?');
  const chargesByAgreement = sql.prepare(
    'SELECT ledger_charge.* FROM ledger_charge JOIN ledger_entry ON sequence = entry WHERE agreement_id = ?',
  );
  const totals = sql.prepare('SELECT meter, spent FROM ledger_total WHERE agreement_id = ?');
  const insertEntry = sql.prepare(
    `INSERT INTO ledger_entry
       (id, agreement_id, key, state, policy_digest, decision, request, basis, created_at, settled_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence`,
  );
  const addToCharge = sql.prepare(
    `INSERT INTO ledger_charge (entry, meter, amount, chained) VALUES (?, ?, ?, ?)
     ON CONFLICT (entry, meter) DO UPDATE SET amount = amount + excluded.amount, chained = chained + excluded.chained`,
  );
  const addToTotal = sql.prepare(
    `INSERT INTO ledger_total (agreement_id, meter, spent) VALUES (?, ?, ?)
     ON CONFLICT (agreement_id, meter) DO UPDATE SET spent = spent + excluded.spent`,
  );
  const setTotal = sql.prepare('UPDATE ledger_total SET spent = ? WHERE agreement_id = ? AND meter = ?');
  // A sum of doubles cannot be undone by subtracting: (a + b) - b is not always a. A refund adds up what is left.
  const sumUp = sql.prepare(
    `UPDATE ledger_total SET spent = coalesce((
       SELECT sum(amount) FROM ledger_charge JOIN ledger_entry ON sequence = entry
       WHERE agreement_id = ledger_total.agreement_id AND meter = ledger_total.meter AND state <> 'refunded'
     ), 0) WHERE agreement_id = ?`,
  );
  const settle = sql.prepare('UPDATE ledger_entry SET state = ?, settled_at = ? WHERE sequence = ?');
  const span = sql.prepare(
    `SELECT meter, min(created_at) AS first, max(created_at) AS last
     FROM ledger_charge JOIN ledger_entry ON sequence = entry
     WHERE agreement_id = ? AND sequence < ? AND state <> 'refunded' AND meter IN ('uses', 'rounds') GROUP BY meter`,
  );
  // The few that are not chained yet, not all of the agreement: hence the index, and the order of the join.
  const unchained = sql.prepare(
    `SELECT sequence, id, key, policy_digest,
       sum(CASE meter WHEN 'rows' THEN amount - chained ELSE 0 END) AS rows,
       sum(CASE meter WHEN 'bytes' THEN amount - chained ELSE 0 END) AS bytes
     FROM ledger_charge INDEXED BY ledger_charge_unchained CROSS JOIN ledger_entry ON sequence = entry
     WHERE amount > chained AND agreement_id = ? GROUP BY sequence ORDER BY sequence`,
  );
  const chained = sql.prepare('UPDATE ledger_charge SET chained = amount WHERE entry = ? AND amount > chained');
  const older = sql.prepare('SELECT 1 FROM ledger_unchained WHERE agreement_id = ?');
  const forgetOlder = sql.prepare('DELETE FROM ledger_unchained WHERE agreement_id = ?');
  const agreements = sql.prepare(
    `SELECT agreement_id FROM ledger_entry UNION SELECT agreement_id FROM ledger_element
     UNION SELECT agreement_id FROM ledger_total ORDER BY agreement_id`,
  );

  const unknown = (entryId: string): FoedusError =>
    new FoedusError(
      'not-found',
      `The ledger has no reservation ${entryId}. Use the id that the reservation was answered with.`,
    );

  return {
    byKey: (agreementId: string, key: string) => byKey.get(agreementId, key) as EntryRow | undefined,
    /** @throws FoedusError `not-found` */
    load(entryId: string): EntryRow {
      const row = byId.get(entryId) as EntryRow | undefined;
      if (row === undefined) throw unknown(entryId);
      return row;
    },
    /** The little of an entry that a draw needs. @throws FoedusError `not-found` */
    standing(entryId: string): Standing {
      const row = standing.get(entryId) as Standing | undefined;
      if (row === undefined) throw unknown(entryId);
      return row;
    },
    ofAgreement: (agreementId: string) => byAgreement.all(agreementId) as unknown as EntryRow[],
    chargesOf: ({ sequence }: { sequence: number }) => chargesOf.all(sequence) as unknown as ChargeRow[],
    /** By the sequence of their entry. */
    chargesOfAgreement: (agreementId: string) =>
      Map.groupBy(chargesByAgreement.all(agreementId) as unknown as ChargeRow[], ({ entry }) => entry),
    spent(agreementId: string): Spent {
      const spent = { ...NOTHING_SPENT };
      for (const row of totals.all(agreementId) as unknown as { meter: Meter; spent: number }[]) {
        spent[row.meter] = row.spent;
      }
      return spent;
    },
    /** Makes an entry, and charges it in full. */
    insert(row: Omit<EntryRow, 'sequence'>, charges: readonly { meter: Meter; amount: number }[]): void {
      const { id, agreement_id: agreementId, key, state, policy_digest: digest, decision, request, basis } = row;
      const { created_at: made, settled_at: settled } = row;
      const { sequence } = insertEntry.get(
        id,
        agreementId,
        key,
        state,
        digest,
        decision,
        request,
        basis,
        made,
        settled,
      ) as { sequence: number };
      for (const { meter, amount } of charges) {
        addToCharge.run(sequence, meter, amount, amount);
        addToTotal.run(agreementId, meter, amount);
      }
    },
    /** Charges more of what is drawn; the chain does not have it yet. */
    draw({ sequence, agreement_id: agreementId }: Standing, meter: Meter, amount: number): void {
      addToCharge.run(sequence, meter, amount, 0);
      addToTotal.run(agreementId, meter, amount);
    },
    settle: ({ sequence }: EntryRow, state: LedgerEntry['state'], at: string) => void settle.run(state, at, sequence),
    sumUp: (agreementId: string) => void sumUp.run(agreementId),
    setTotal: (agreementId: string, meter: Meter, spent: number) => void setTotal.run(spent, agreementId, meter),
    span: (agreementId: string, before: number) => span.all(agreementId, before),
    unchained: (agreementId: string) => unchained.all(agreementId) as unknown as UnchainedRow[],
    chained: ({ sequence }: { sequence: number }) => void chained.run(sequence),
    /** Whether the entries of an agreement are older than its chain. */
    isOlder: (agreementId: string) => older.get(agreementId) !== undefined,
    forgetOlder: (agreementId: string) => void forgetOlder.run(agreementId),
    agreements: () => (agreements.all() as unknown as { agreement_id: string }[]).map((row) => row.agreement_id),
  };
}

export function toEntry(row: EntryRow, charges: readonly ChargeRow[]): LedgerEntry {
  return {
    id: row.id,
    agreementId: row.agreement_id,
    key: row.key,
    state: row.state,
    charges: meters
      .flatMap((meter) => charges.filter((charge) => charge.meter === meter))
      .map(({ meter, amount }) => ({ meter, amount })),
    ...(row.basis === null ? {} : { basis: JSON.parse(row.basis) as Record<string, unknown> }),
    createdAt: row.created_at,
  };
}
