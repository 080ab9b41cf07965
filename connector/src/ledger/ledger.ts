import { randomUUID } from 'node:crypto';
import type { Decision } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import { meters, type LedgerEntry, type UsageRequestBody } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import { createChain, factsDigest, NO_HASH, NOTHING_SPENT, type Spent, type Tip } from './chain.ts';
import { createEntryRows, DRAWN, toEntry, type ChargeRow, type EntryRow } from './entry-rows.ts';
import type { LedgerHead } from './head.ts';

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
 * Everything that happens to it becomes an element of a hash chain, one for each agreement (chain.ts), within the same
 * transaction; only draws are gathered, and chained before whatever comes next, and before a head is given away.
 *
 * An entry is `reserved` when it is made, then `committed` or `refunded`. Reserved counts as spent, so a crash between
 * the two leaves it charged. Rows and bytes are drawn on it while they leave, before and after it is committed; nothing
 * else of it changes. Amounts are IEEE 754 doubles; ε is dimensionless.
 */
export interface Ledger {
  /** Everything reserved or committed under an agreement. */
  spent(agreementId: string): Spent;
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
  /** Of the newest element that charged, gave back or adopted something; 0: there is none. */
  sequence(agreementId: string): number;
  /** The newest element of the agreement's chain, which has everything that was charged and drawn until now. */
  head(agreementId: string): LedgerHead;
  /** Charges what heads of a lost branch say that was spent, and that they were adopted. */
  adopt(adoption: Adoption): LedgerEntry;
}

/** What an operator has decided about heads that the chain does not contain. */
export interface Adoption {
  readonly agreementId: string;
  readonly policyDigest: string;
  /** The operator's words. */
  readonly reason: string;
  readonly heads: readonly LedgerHead[];
  /** What it adds to what is spent. */
  readonly amounts: Partial<Spent>;
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

/** A ledger over the tables of migrations 2, 5 and 6. Times are taken from `clock`. */
export function createLedger({ database, clock }: { database: Database; clock: () => Date }): Ledger {
  const rows = createEntryRows(database);
  const chain = createChain(database);
  const now = (): string => clock().toISOString();

  /** The chain with everything that it does not have yet: entries from before there was one, and draws. */
  const catchUp = (agreementId: string): Tip | undefined => {
    let tip = chain.tip(agreementId);
    if (tip === undefined && rows.isOlder(agreementId)) tip = chainOlder(agreementId);
    for (const drawn of rows.unchained(agreementId)) {
      const { id, key, policy_digest: policyDigest } = drawn;
      const amounts = Object.fromEntries(DRAWN.flatMap((meter) => (drawn[meter] > 0 ? [[meter, drawn[meter]]] : [])));
      tip = chain.append({ agreementId, kind: 'drawn', entryId: id, key, amounts, policyDigest, at: now() }, tip);
      rows.chained(drawn);
    }
    return tip;
  };
  const chainOlder = (agreementId: string): Tip | undefined => {
    const charges = rows.chargesOfAgreement(agreementId);
    let tip: Tip | undefined;
    for (const row of rows.ofAgreement(agreementId)) {
      const spent = tip?.spent ?? NOTHING_SPENT;
      const amounts = chargedAtOnce(charges.get(row.sequence) ?? []);
      tip = chain.append({ ...happeningOf(row), kind: 'reserved', amounts, facts: factsDigest(row) }, tip);
      if (row.state === 'reserved') continue;
      const at = row.settled_at ?? row.created_at;
      const settled = { ...happeningOf(row), kind: row.state, at };
      tip = chain.append(row.state === 'committed' ? { ...settled, amounts: {} } : { ...settled, amounts, spent }, tip);
    }
    // Refunds were added up in another order: the last digit may differ.
    if (tip !== undefined) rows.setTotal(agreementId, 'epsilon', tip.spent.epsilon);
    rows.forgetOlder(agreementId);
    return tip;
  };
  /** A ledger that was changed behind its own back gives nothing away. */
  const checkTotals = (agreementId: string, tip: Tip): void => {
    const spent = rows.spent(agreementId);
    if (meters.every((meter) => spent[meter] === tip.spent[meter])) return;
    throw new FoedusError(
      'unavailable',
      'The ledger is not what its chain says, so nothing can be charged: the operator of this node has to look at it (foedus ledger verify).',
    );
  };
  /** @param newest of the chain before the rows were changed, by catchUp */
  const record = (happening: Parameters<typeof chain.append>[0], newest: Tip | undefined): Tip => {
    const tip = chain.append(happening, newest);
    checkTotals(happening.agreementId, tip);
    return tip;
  };

  return {
    spent: (agreementId) => rows.spent(agreementId),

    exercised: (agreementId, before = Number.MAX_SAFE_INTEGER) =>
      rows.span(agreementId, before) as unknown as Exercised[],

    find(agreementId, key) {
      const row = rows.byKey(agreementId, key);
      if (row === undefined) return undefined;
      return { entry: toEntry(row, rows.chargesOf(row)), decision: JSON.parse(row.decision) as Decision };
    },

    reserve({ agreementId, key, decision, request, basis }) {
      return database.transaction(() => {
        const newest = catchUp(agreementId);
        const charges = totalByMeter(decision);
        const row: Omit<EntryRow, 'sequence'> = {
          id: randomUUID(),
          agreement_id: agreementId,
          key,
          state: 'reserved',
          policy_digest: decision.policyDigest,
          decision: JSON.stringify(decision),
          request: JSON.stringify(request),
          basis: basis === undefined ? null : JSON.stringify(basis),
          created_at: now(),
          settled_at: null,
        };
        rows.insert(row, charges);
        record({ ...happeningOf(row), kind: 'reserved', amounts: byMeter(charges), facts: factsDigest(row) }, newest);
        const { id, state, created_at: createdAt } = row;
        return { id, agreementId, key, state, charges, ...(basis && { basis }), createdAt };
      });
    },

    commit(entryId) {
      return database.transaction(() => {
        const row = rows.load(entryId);
        if (row.state === 'refunded') {
          throw new FoedusError(
            'conflict',
            `The reservation ${entryId} was refunded and cannot be committed. Reserve again under a new key.`,
          );
        }
        if (row.state === 'reserved') {
          const newest = catchUp(row.agreement_id);
          const at = now();
          rows.settle(row, 'committed', at);
          record({ ...happeningOf(row), kind: 'committed', amounts: {}, at }, newest);
        }
        const changed = row.state === 'reserved';
        return { entry: toEntry({ ...row, state: 'committed' }, rows.chargesOf(row)), changed };
      });
    },

    refund(entryId) {
      return database.transaction(() => {
        const row = rows.load(entryId);
        const charges = rows.chargesOf(row);
        if (row.state === 'committed') {
          throw new FoedusError(
            'conflict',
            `The reservation ${entryId} is committed: what it paid for was released, so it stays charged.`,
          );
        }
        if (row.state === 'reserved') {
          if (charges.some(({ meter, amount }) => DRAWN.some((each) => each === meter) && amount > 0)) {
            throw new FoedusError(
              'conflict',
              `Data have left under the reservation ${entryId}, so it stays charged. Commit it.`,
            );
          }
          const newest = catchUp(row.agreement_id);
          const at = now();
          rows.settle(row, 'refunded', at);
          rows.sumUp(row.agreement_id);
          const spent = rows.spent(row.agreement_id);
          record({ ...happeningOf(row), kind: 'refunded', amounts: chargedAtOnce(charges), spent, at }, newest);
        }
        return { entry: toEntry({ ...row, state: 'refunded' }, charges), changed: row.state === 'reserved' };
      });
    },

    drawable(entryId) {
      const row = rows.load(entryId);
      const use = {
        agreementId: row.agreement_id,
        sequence: row.sequence,
        ...(row.request !== null && { request: JSON.parse(row.request) as UsageRequestBody }),
        uses: chargedAtOnce(rows.chargesOf(row))['uses'] ?? 0,
      };
      return { use, decision: JSON.parse(row.decision) as Decision };
    },

    draw(entryId, drawn) {
      database.transaction(() => {
        const row = rows.standing(entryId);
        if (row.state === 'refunded') {
          throw new FoedusError(
            'conflict',
            `The reservation ${entryId} was refunded: nothing may leave under it. Reserve again under a new key.`,
          );
        }
        for (const meter of DRAWN) {
          const amount = drawn[meter] ?? 0;
          if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`${amount} ${meter} cannot be drawn`);
          if (amount > 0) rows.draw(row, meter, amount);
        }
      });
    },

    entries(agreementId) {
      const charges = rows.chargesOfAgreement(agreementId);
      return rows.ofAgreement(agreementId).map((row) => toEntry(row, charges.get(row.sequence) ?? []));
    },

    sequence: (agreementId) => chain.newestCharge(agreementId),

    head(agreementId) {
      return database.transaction(() => {
        const tip = catchUp(agreementId);
        if (tip === undefined) {
          return { agreementId, sequence: 0, hash: NO_HASH, at: now(), spent: NOTHING_SPENT };
        }
        checkTotals(agreementId, tip);
        const { sequence, hash, at, spent } = tip;
        return { agreementId, sequence, hash, at, spent };
      });
    },

    adopt({ agreementId, policyDigest, reason, heads, amounts }) {
      return database.transaction(() => {
        const newest = catchUp(agreementId);
        const charges = meters.flatMap((meter) => {
          const amount = amounts[meter] ?? 0;
          return amount > 0 ? [{ meter, amount }] : [];
        });
        const adopted = heads.map(({ sequence, hash, at, spent }) => ({ sequence, hash, at, spent }));
        const decision: Decision = {
          permit: true,
          exhausted: false,
          void: false,
          rules: [],
          reasons: ['What a partner can prove to have been charged was adopted.'],
          plan: null,
          charges: charges.map((charge) => ({ ...charge, limit: null })),
          duties: [],
          policyDigest,
          policyDigests: [policyDigest],
        };
        const at = now();
        const id = randomUUID();
        const row: Omit<EntryRow, 'sequence'> = {
          id,
          agreement_id: agreementId,
          key: `reconciled/${id}`,
          state: 'committed',
          policy_digest: policyDigest,
          decision: JSON.stringify(decision),
          request: null,
          basis: JSON.stringify({ reconciled: adopted, reason }),
          created_at: at,
          settled_at: at,
        };
        rows.insert(row, charges);
        const facts = factsDigest(row);
        record({ ...happeningOf(row), kind: 'reconciled', amounts: byMeter(charges), facts, adopted, reason }, newest);
        return toEntry(
          { ...row, sequence: 0 },
          charges.map((charge) => ({ ...charge, entry: 0, chained: 0 })),
        );
      });
    },
  };
}

function happeningOf(row: Omit<EntryRow, 'sequence'>) {
  const { agreement_id: agreementId, id: entryId, key, policy_digest: policyDigest, created_at: at } = row;
  return { agreementId, entryId, key, policyDigest, at };
}

function byMeter(charges: LedgerEntry['charges']): Partial<Spent> {
  return Object.fromEntries(charges.map(({ meter, amount }) => [meter, amount]));
}

/** What an entry was charged with when it was made. */
function chargedAtOnce(charges: readonly ChargeRow[]): Partial<Spent> {
  return byMeter(charges.filter(({ meter }) => !DRAWN.some((each) => each === meter)));
}

/** One amount for each meter: a use that several rules count against their limits is still one use. */
function totalByMeter(decision: Decision): LedgerEntry['charges'] {
  return meters.flatMap((meter) => {
    const charged = decision.charges.filter((charge) => charge.meter === meter);
    // Of what is drawn later a decision only says the limit.
    if (charged.length === 0 || DRAWN.some((each) => each === meter)) return [];
    const amount = Math.max(...charged.map((charge) => charge.amount));
    if (!Number.isFinite(amount) || amount < 0) throw new RangeError(`a charge of ${amount} ${meter} is no amount`);
    return [{ meter, amount }];
  });
}
