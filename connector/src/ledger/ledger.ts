import { randomUUID } from 'node:crypto';
import type { Decision, Meter } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { LedgerEntry, UsageRequestBody } from '../management/model.ts';
import type { Database } from '../store/database.ts';

/** A use that is to be charged, or was: the key that names it, the decision that allowed it, and what it paid for. */
export interface ChargedUse {
  readonly agreementId: string;
  /** Names the use within its agreement: the same key is charged once. */
  readonly key: string;
  readonly decision: Decision;
  /** What was asked for. */
  readonly request: UsageRequestBody;
  readonly basis?: Record<string, unknown>;
}

/** What is about to leave: whole numbers of 0 or more. */
export interface Drawn {
  readonly rows?: number;
  readonly bytes?: number;
}

/** What of an entry never changes, and draws on it depend on. */
export interface Drawable {
  readonly agreementId: string;
  /** Entries of one agreement are numbered in the order in which they were made. */
  readonly sequence: number;
  /** Absent in entries from before requests were kept. */
  readonly request?: UsageRequestBody;
  /** Uses that were charged for it. */
  readonly uses: number;
}

/**
 * The account book of metered use in SQLite.
 *
 * An entry is `reserved` when it is made, then `committed` or `refunded`. Reserved counts as spent, so a crash between
 * the two leaves it charged. Rows and bytes are drawn on it while they leave, before and after it is committed; nothing
 * else of it changes. Amounts are IEEE 754 doubles; ε is dimensionless.
 */
export interface Ledger {
  /** Everything reserved or committed under an agreement. */
  spent(agreementId: string): Record<Meter, number>;
  /**
   * When the first and the last use and training round under an agreement were charged; refunded ones are none.
   *
   * @param before only entries with a smaller sequence than this
   */
  exercised(agreementId: string, before?: number): readonly Exercised[];
  find(agreementId: string, key: string): { entry: LedgerEntry; decision: Decision } | undefined;
  /**
   * Makes a reserved entry out of the decision's charges. The caller decides and reserves inside one
   * `database.transaction`: otherwise another process may spend in between.
   */
  reserve(use: ChargedUse): LedgerEntry;
  /** @throws FoedusError `not-found`, or `conflict` once refunded */
  commit(entryId: string): Settlement;
  /** @throws FoedusError `not-found`, or `conflict` once committed, or once anything was drawn on it */
  refund(entryId: string): Settlement;
  /** @throws FoedusError `not-found` */
  drawable(entryId: string): { readonly use: Drawable; readonly decision: Decision };
  /** Adds what is about to leave to an entry and to what is spent. @throws FoedusError `conflict` once refunded */
  draw(entryId: string, amounts: Drawn): void;
  /** All entries under an agreement, oldest first. */
  entries(agreementId: string): LedgerEntry[];
}

/** Times are RFC 3339, by the ledger's clock. */
export interface Exercised {
  readonly meter: 'uses' | 'rounds';
  readonly first: string;
  readonly last: string;
}

/** An entry that is final, and whether this call made it so. */
export interface Settlement {
  readonly entry: LedgerEntry;
  readonly changed: boolean;
}

interface EntryRow {
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
}

type Standing = Pick<EntryRow, 'sequence' | 'state' | 'agreement_id'>;

interface ChargeRow {
  readonly entry: number;
  readonly meter: Meter;
  readonly amount: number;
}

const METERS = ['uses', 'rounds', 'epsilon', 'rows', 'bytes'] as const satisfies readonly Meter[];
const DRAWN = ['rows', 'bytes'] as const satisfies readonly Meter[];

/** A ledger over the tables of migrations 2 and 5. Times are taken from `clock`. */
export function createLedger({ database, clock }: { database: Database; clock: () => Date }): Ledger {
  const { sql } = database;
  const byKey = sql.prepare('SELECT * FROM ledger_entry WHERE agreement_id = ? AND key = ?');
  const byId = sql.prepare('SELECT * FROM ledger_entry WHERE id = ?');
  const standing = sql.prepare('SELECT sequence, state, agreement_id FROM ledger_entry WHERE id = ?');
  const byAgreement = sql.prepare('SELECT * FROM ledger_entry WHERE agreement_id = ? ORDER BY sequence');
  const chargesOf = sql.prepare('SELECT entry, meter, amount FROM ledger_charge WHERE entry = ?');
  const chargesByAgreement = sql.prepare(
    'SELECT entry, meter, amount FROM ledger_charge JOIN ledger_entry ON sequence = entry WHERE agreement_id = ?',
  );
  const span = sql.prepare(
    `SELECT meter, min(created_at) AS first, max(created_at) AS last
     FROM ledger_charge JOIN ledger_entry ON sequence = entry
     WHERE agreement_id = ? AND sequence < ? AND state <> 'refunded' AND meter IN ('uses', 'rounds') GROUP BY meter`,
  );
  const totals = sql.prepare('SELECT meter, spent FROM ledger_total WHERE agreement_id = ?');
  const insertEntry = sql.prepare(
    `INSERT INTO ledger_entry (id, agreement_id, key, state, policy_digest, decision, request, basis, created_at)
     VALUES (?, ?, ?, 'reserved', ?, ?, ?, ?, ?) RETURNING sequence`,
  );
  const insertCharge = sql.prepare('INSERT INTO ledger_charge (entry, meter, amount) VALUES (?, ?, ?)');
  const addToCharge = sql.prepare(
    `INSERT INTO ledger_charge (entry, meter, amount) VALUES (?, ?, ?)
     ON CONFLICT (entry, meter) DO UPDATE SET amount = amount + excluded.amount`,
  );
  const addToTotal = sql.prepare(
    `INSERT INTO ledger_total (agreement_id, meter, spent) VALUES (?, ?, ?)
     ON CONFLICT (agreement_id, meter) DO UPDATE SET spent = spent + excluded.spent`,
  );
  // A sum of doubles cannot be undone by subtracting: (a + b) - b is not always a. A refund adds up what is left.
  const sumUp = sql.prepare(
    `UPDATE ledger_total SET spent = coalesce((
       SELECT sum(amount) FROM ledger_charge JOIN ledger_entry ON sequence = entry
       WHERE agreement_id = ledger_total.agreement_id AND meter = ledger_total.meter AND state <> 'refunded'
     ), 0) WHERE agreement_id = ?`,
  );
  const settle = sql.prepare('UPDATE ledger_entry SET state = ?, settled_at = ? WHERE sequence = ?');

  const load = (entryId: string): EntryRow => {
    const row = byId.get(entryId) as EntryRow | undefined;
    if (row !== undefined) return row;
    throw new FoedusError(
      'not-found',
      `The ledger has no reservation ${entryId}. Use the id that the reservation was answered with.`,
    );
  };
  const charges = (row: EntryRow): ChargeRow[] => chargesOf.all(row.sequence) as unknown as ChargeRow[];

  return {
    spent(agreementId) {
      const spent: Record<Meter, number> = { uses: 0, rounds: 0, epsilon: 0, rows: 0, bytes: 0 };
      for (const row of totals.all(agreementId) as unknown as { meter: Meter; spent: number }[]) {
        spent[row.meter] = row.spent;
      }
      return spent;
    },

    exercised: (agreementId, before = Number.MAX_SAFE_INTEGER) =>
      span.all(agreementId, before) as unknown as Exercised[],

    find(agreementId, key) {
      const row = byKey.get(agreementId, key) as EntryRow | undefined;
      if (row === undefined) return undefined;
      return { entry: toEntry(row, charges(row)), decision: JSON.parse(row.decision) as Decision };
    },

    reserve({ agreementId, key, decision, request, basis }) {
      return database.transaction(() => {
        const id = randomUUID();
        const createdAt = clock().toISOString();
        const amounts = totalByMeter(decision);
        const { sequence } = insertEntry.get(
          id,
          agreementId,
          key,
          decision.policyDigest,
          JSON.stringify(decision),
          JSON.stringify(request),
          basis === undefined ? null : JSON.stringify(basis),
          createdAt,
        ) as { sequence: number };
        for (const { meter, amount } of amounts) {
          insertCharge.run(sequence, meter, amount);
          addToTotal.run(agreementId, meter, amount);
        }
        return { id, agreementId, key, state: 'reserved', charges: amounts, ...(basis && { basis }), createdAt };
      });
    },

    commit(entryId) {
      return database.transaction(() => {
        const row = load(entryId);
        if (row.state === 'refunded') {
          throw new FoedusError(
            'conflict',
            `The reservation ${entryId} was refunded and cannot be committed. Reserve again under a new key.`,
          );
        }
        if (row.state === 'reserved') settle.run('committed', clock().toISOString(), row.sequence);
        return { entry: toEntry({ ...row, state: 'committed' }, charges(row)), changed: row.state === 'reserved' };
      });
    },

    refund(entryId) {
      return database.transaction(() => {
        const row = load(entryId);
        if (row.state === 'committed') {
          throw new FoedusError(
            'conflict',
            `The reservation ${entryId} is committed: what it paid for was released, so it stays charged.`,
          );
        }
        if (row.state === 'reserved') {
          if (charges(row).some(({ meter, amount }) => DRAWN.some((each) => each === meter) && amount > 0)) {
            throw new FoedusError(
              'conflict',
              `Data have left under the reservation ${entryId}, so it stays charged. Commit it.`,
            );
          }
          settle.run('refunded', clock().toISOString(), row.sequence);
          sumUp.run(row.agreement_id);
        }
        return { entry: toEntry({ ...row, state: 'refunded' }, charges(row)), changed: row.state === 'reserved' };
      });
    },

    drawable(entryId) {
      const row = load(entryId);
      const use = {
        agreementId: row.agreement_id,
        sequence: row.sequence,
        ...(row.request !== null && { request: JSON.parse(row.request) as UsageRequestBody }),
        uses: charges(row).find(({ meter }) => meter === 'uses')?.amount ?? 0,
      };
      return { use, decision: JSON.parse(row.decision) as Decision };
    },

    draw(entryId, { rows = 0, bytes = 0 }) {
      database.transaction(() => {
        const {
          sequence,
          state,
          agreement_id: agreementId,
        } = (standing.get(entryId) as Standing | undefined) ?? load(entryId);
        if (state === 'refunded') {
          throw new FoedusError(
            'conflict',
            `The reservation ${entryId} was refunded: nothing may leave under it. Reserve again under a new key.`,
          );
        }
        for (const [meter, amount] of [
          ['rows', rows],
          ['bytes', bytes],
        ] as const) {
          if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`${amount} ${meter} cannot be drawn`);
          if (amount === 0) continue;
          addToCharge.run(sequence, meter, amount);
          addToTotal.run(agreementId, meter, amount);
        }
      });
    },

    entries(agreementId) {
      const grouped = Map.groupBy(
        chargesByAgreement.all(agreementId) as unknown as ChargeRow[],
        (charge) => charge.entry,
      );
      return (byAgreement.all(agreementId) as unknown as EntryRow[]).map((row) =>
        toEntry(row, grouped.get(row.sequence) ?? []),
      );
    },
  };
}

/** One amount for each meter: a use that several rules count against their limits is still one use. */
function totalByMeter(decision: Decision): LedgerEntry['charges'] {
  return METERS.flatMap((meter) => {
    const charged = decision.charges.filter((charge) => charge.meter === meter);
    // Of what is drawn later a decision only says the limit.
    if (charged.length === 0 || DRAWN.some((each) => each === meter)) return [];
    const amount = Math.max(...charged.map((charge) => charge.amount));
    if (!Number.isFinite(amount) || amount < 0) throw new RangeError(`a charge of ${amount} ${meter} is no amount`);
    return [{ meter, amount }];
  });
}

function toEntry(row: EntryRow, charges: readonly ChargeRow[]): LedgerEntry {
  return {
    id: row.id,
    agreementId: row.agreement_id,
    key: row.key,
    state: row.state,
    charges: METERS.flatMap((meter) => charges.filter((charge) => charge.meter === meter)).map(({ meter, amount }) => ({
      meter,
      amount,
    })),
    ...(row.basis === null ? {} : { basis: JSON.parse(row.basis) as Record<string, unknown> }),
    createdAt: row.created_at,
  };
}
