import { meters } from '../management/model.ts';
import {
  factsDigest,
  hashOf,
  NO_HASH,
  NOTHING_SPENT,
  plus,
  readElement,
  type Element,
  type Spent,
  type StoredElement,
} from './chain.ts';
import { DRAWN, type ChargeRow, type EntryRow } from './entry-rows.ts';

/** Everything that is stored about one agreement's account. */
export interface StoredAccount {
  readonly agreementId: string;
  readonly elements: Iterable<StoredElement>;
  /** In the order in which they were made. */
  readonly entries: readonly EntryRow[];
  /** By the sequence of their entry. */
  readonly charges: ReadonlyMap<number, readonly ChargeRow[]>;
  readonly totals: Spent;
  /** Whether its entries are from before there was a chain, and are chained when the agreement is used next. */
  readonly isOlder: boolean;
}

export interface ChainReport {
  readonly agreementId: string;
  /** Elements that were found good, from the first. */
  readonly elements: number;
  readonly entries: number;
  /** Hash of the last good element. */
  readonly hash: string;
  readonly spent: Spent;
  /** Rows and bytes that were drawn since: they are in the accounts, and in the chain with its next element. */
  readonly unchained: { readonly rows: number; readonly bytes: number };
  /** The first thing that is wrong, and the element that it concerns (absent: none of the chain). */
  readonly broken?: { readonly sequence?: number; readonly what: string };
}

/** What the chain says of an entry. */
interface Replayed {
  readonly made: Element;
  state: EntryRow['state'];
  settledAt: string | null;
  /** The last element about it. */
  last: number;
  readonly amounts: Spent;
}

/** How far sums of ε may differ by the order in which they were added up. */
const ROUNDING = 1e-9;

class Broken extends Error {
  readonly sequence: number | undefined;
  constructor(what: string, sequence?: number) {
    super(what);
    this.sequence = sequence;
  }
}

/**
 * Walks an agreement's chain from its first element, and holds entries, charges and totals against what it says. Every
 * field of every row is in the chain, so that a changed, added, removed or exchanged one shows. What it cannot show is
 * a chain that was made anew as a whole, or is too short, with accounts that fit: that takes a head that somebody else
 * has kept (Heads.present).
 */
export function verifyAccount(account: StoredAccount): ChainReport {
  const { agreementId, entries, charges, totals } = account;
  const walk = { sequence: 0, hash: NO_HASH, spent: NOTHING_SPENT, at: '' };
  const replayed = new Map<string, Replayed>();
  const unchained = { rows: 0, bytes: 0 };
  let broken: ChainReport['broken'];
  try {
    for (const stored of account.elements) step(stored, agreementId, walk, replayed);
    if (!account.isOlder || walk.sequence > 0) {
      compareEntries(entries, charges, replayed, unchained);
      compareTotals(totals, walk.spent, unchained, walk.sequence);
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    broken = { what: error.message, ...(error.sequence !== undefined && { sequence: error.sequence }) };
  }
  const { sequence, hash, spent } = walk;
  return {
    agreementId,
    elements: sequence,
    entries: entries.length,
    hash,
    spent,
    unchained,
    ...(broken && { broken }),
  };
}

interface Walk {
  sequence: number;
  hash: string;
  spent: Spent;
  at: string;
}

function step(stored: StoredElement, agreementId: string, walk: Walk, replayed: Map<string, Replayed>): void {
  const sequence = walk.sequence + 1;
  const wrong = (what: string) => new Broken(what, sequence);
  if (stored.sequence !== sequence)
    throw wrong(`Element ${sequence} is missing: after ${walk.sequence} comes ${stored.sequence}.`);
  if (hashOf(stored.body) !== stored.hash) throw wrong(`Element ${sequence} was changed: it does not have its hash.`);
  const element = readElement(stored.body);
  if (element === undefined) throw wrong(`Element ${sequence} is none that this program writes.`);
  if (element.previous !== walk.hash) throw wrong(`Element ${sequence} does not continue the one before.`);
  const fits = element.sequence === sequence && element.agreementId === agreementId && element.kind === stored.kind;
  if (!fits) throw wrong(`Element ${sequence} is stored in the place of another.`);
  if (!nearly(element.spent, spentWith(element, walk.spent))) {
    throw wrong(`The sums of element ${sequence} are wrong.`);
  }
  replay(element, replayed, wrong);
  walk.sequence = sequence;
  walk.hash = stored.hash;
  walk.spent = element.spent;
}

function spentWith({ kind, amounts }: Element, before: Spent): Spent {
  if (kind !== 'refunded') return plus(before, amounts);
  const left = { ...before };
  for (const meter of meters) left[meter] -= amounts[meter] ?? 0;
  return left;
}

function replay(element: Element, replayed: Map<string, Replayed>, wrong: (what: string) => Broken): void {
  const { kind, entryId, amounts, sequence, at } = element;
  const known = replayed.get(entryId);
  if (kind === 'reserved' || kind === 'reconciled') {
    if (known !== undefined) throw wrong(`Element ${sequence} makes an entry that there is already.`);
    const isFinal = kind === 'reconciled';
    const state = isFinal ? 'committed' : 'reserved';
    replayed.set(entryId, {
      made: element,
      state,
      settledAt: isFinal ? at : null,
      last: sequence,
      amounts: plus(NOTHING_SPENT, amounts),
    });
    return;
  }
  if (known === undefined || known.made.key !== element.key || known.made.policyDigest !== element.policyDigest) {
    throw wrong(`Element ${sequence} is about an entry that was not made before it.`);
  }
  known.last = sequence;
  if (kind === 'drawn') {
    if (known.state === 'refunded') throw wrong(`Element ${sequence} draws on an entry that was refunded.`);
    for (const meter of DRAWN) known.amounts[meter] += amounts[meter] ?? 0;
    return;
  }
  if (known.state !== 'reserved') throw wrong(`Element ${sequence} settles an entry that was settled before.`);
  known.state = kind;
  known.settledAt = at;
}

function compareEntries(
  entries: readonly EntryRow[],
  charges: ReadonlyMap<number, readonly ChargeRow[]>,
  replayed: ReadonlyMap<string, Replayed>,
  unchained: { rows: number; bytes: number },
): void {
  const ids = [...replayed.keys()];
  const count = Math.max(ids.length, entries.length);
  for (let index = 0; index < count; index++) {
    const [row, id] = [entries[index], ids[index]];
    if (id === undefined) throw new Broken(`Entry ${row?.id} is not in the chain.`);
    const said = replayed.get(id)!;
    if (row?.id !== id) throw new Broken(`Entry ${id} of the chain is not the one in its place.`, said.made.sequence);
    const change = changedIn(row, said);
    if (change !== undefined) throw new Broken(`Entry ${id} is not as it was: its ${change} was changed.`, said.last);
    const drawn = compareCharges(row, charges.get(row.sequence) ?? [], said);
    unchained.rows += drawn.rows;
    unchained.bytes += drawn.bytes;
  }
}

function changedIn(row: EntryRow, { made, state, settledAt }: Replayed): string | undefined {
  if (row.key !== made.key) return 'key';
  if (row.state !== state) return 'state';
  if (row.policy_digest !== made.policyDigest) return 'policy';
  if (row.created_at !== made.at) return 'time';
  // Entries from before their settling was timed have none.
  if (row.settled_at !== settledAt && row.settled_at !== null) return 'time of settling';
  if (row.settled_at === null && state !== 'reserved' && settledAt !== made.at) return 'time of settling';
  if (factsDigest(row) !== made.facts) return 'decision, request or basis';
  return undefined;
}

function compareCharges(
  { id }: EntryRow,
  charges: readonly ChargeRow[],
  { amounts, last }: Replayed,
): { rows: number; bytes: number } {
  const drawn = { rows: 0, bytes: 0 };
  const wrong = (what: string) => new Broken(`Entry ${id} ${what}.`, last);
  for (const meter of meters) {
    const charge = charges.find((each) => each.meter === meter);
    if ((charge?.chained ?? 0) !== amounts[meter]) throw wrong(`is not charged the ${meter} that the chain says`);
    const more = (charge?.amount ?? 0) - amounts[meter];
    if (meter !== 'rows' && meter !== 'bytes') {
      if (more !== 0) throw wrong(`is charged other ${meter} than the chain says`);
    } else {
      if (more < 0) throw wrong(`is charged fewer ${meter} than the chain says`);
      drawn[meter] = more;
    }
  }
  return drawn;
}

function compareTotals(
  totals: Spent,
  spent: Spent,
  unchained: { rows: number; bytes: number },
  sequence: number,
): void {
  const expected = plus(spent, unchained);
  for (const meter of meters) {
    if (totals[meter] === expected[meter]) continue;
    throw new Broken(
      `The account has ${totals[meter]} ${meter} spent, and its chain ${expected[meter]}.`,
      sequence === 0 ? undefined : sequence,
    );
  }
}

function nearly(a: Spent, b: Spent): boolean {
  return meters.every((meter) => Math.abs(a[meter] - b[meter]) <= (meter === 'epsilon' ? ROUNDING : 0));
}
