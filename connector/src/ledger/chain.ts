import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalise, digest } from '../identity/canonical.ts';
import { meters } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import { hashSchema, ledgerHeadSchema, spentSchema, type LedgerHead } from './head.ts';

export type Spent = z.infer<typeof spentSchema>;

const adoptedSchema = ledgerHeadSchema.omit({ agreementId: true });

/** One thing that happened to an agreement's ledger. Its RFC 8785 form is what is hashed. */
const elementSchema = z.strictObject({
  /** Hash of the element before; 64 zeros for the first. */
  previous: hashSchema,
  agreementId: z.string(),
  /** 1, 2, 3 … */
  sequence: z.int().min(1),
  kind: z.enum(['reserved', 'committed', 'refunded', 'drawn', 'reconciled']),
  entryId: z.string(),
  key: z.string(),
  /** What it adds to what is spent; `refunded`: what it takes off; `committed`: nothing. */
  amounts: z.partialRecord(z.enum(meters), z.number().nonnegative()),
  /** What is spent with it. */
  spent: spentSchema,
  policyDigest: z.string(),
  /** `reserved`, `reconciled`: what was decided, asked for and paid for, by its hash (factsDigest). */
  facts: hashSchema.optional(),
  /** `reconciled`: the heads that were adopted, and what the operator said. */
  adopted: z.array(adoptedSchema).optional(),
  reason: z.string().optional(),
  at: z.string(),
});
export type Element = z.infer<typeof elementSchema>;

/** An element as it is stored. */
export interface StoredElement {
  readonly sequence: number;
  readonly kind: string;
  readonly body: string;
  readonly hash: string;
}

/** What the chain is told; the rest follows from the element before. */
export type Happening = Omit<Element, 'previous' | 'sequence' | 'spent'> & {
  /** What is spent with it. @default what was spent before, and the amounts */
  readonly spent?: Spent;
};

export const NOTHING_SPENT: Spent = { uses: 0, rounds: 0, epsilon: 0, rows: 0, bytes: 0 };
export const NO_HASH = '0'.repeat(64);

/** The texts of an entry that no other field of its elements covers, as one hash. */
export function factsDigest(entry: { decision: string; request: string | null; basis: string | null }): string {
  return digest([entry.decision, entry.request, entry.basis]);
}

/** SHA-256 of an element's body, hex. */
export function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** @returns undefined for what is no element in its canonical form */
export function readElement(body: string): Element | undefined {
  try {
    const element = elementSchema.safeParse(JSON.parse(body));
    if (!element.success) return undefined;
    return Buffer.from(canonicalise(element.data)).toString() === body ? element.data : undefined;
  } catch {
    return undefined;
  }
}

export function plus(spent: Spent, amounts: Element['amounts']): Spent {
  const sum = { ...spent };
  for (const meter of meters) sum[meter] += amounts[meter] ?? 0;
  return sum;
}

/** The newest element of a chain. */
export interface Tip {
  readonly sequence: number;
  readonly hash: string;
  readonly spent: Spent;
  readonly at: string;
}

/** The elements of all agreements. Callers append within their own transaction. */
export interface Chain {
  /** undefined: nothing has happened under the agreement yet. */
  tip(agreementId: string): Tip | undefined;
  /** Sequence of the newest element that charged, gave back or adopted something; 0: there is none. */
  newestCharge(agreementId: string): number;
  /** @param newest the tip, as `tip` gives it */
  append(happening: Happening, newest: Tip | undefined): Tip;
  /** The hash of one element; undefined where there is none of this sequence. */
  hashAt(agreementId: string, sequence: number): string | undefined;
  /** What was spent with the last element that was made no later than `at`. */
  spentAt(agreementId: string, at: string): Spent;
  /** Heads that were adopted in reconciling. */
  adopted(agreementId: string): readonly Omit<LedgerHead, 'agreementId'>[];
  /** All elements in order, one after the other from the store. */
  elements(agreementId: string): Iterable<StoredElement>;
}

/** Chains over the table of migration 6. */
export function createChain({ sql }: Database): Chain {
  const newest = sql.prepare(
    'SELECT sequence, hash, body FROM ledger_element WHERE agreement_id = ? ORDER BY sequence DESC LIMIT 1',
  );
  const insert = sql.prepare(
    'INSERT INTO ledger_element (agreement_id, sequence, kind, body, hash) VALUES (?, ?, ?, ?, ?)',
  );
  const one = sql.prepare('SELECT hash FROM ledger_element WHERE agreement_id = ? AND sequence = ?');
  const backwards = sql.prepare('SELECT body FROM ledger_element WHERE agreement_id = ? ORDER BY sequence DESC');
  const charging = sql.prepare(
    `SELECT sequence FROM ledger_element WHERE agreement_id = ? AND kind NOT IN ('committed', 'drawn')
     ORDER BY sequence DESC LIMIT 1`,
  );
  const reconciled = sql.prepare(
    "SELECT body FROM ledger_element WHERE agreement_id = ? AND kind = 'reconciled' ORDER BY sequence",
  );
  const all = sql.prepare(
    'SELECT sequence, kind, body, hash FROM ledger_element WHERE agreement_id = ? ORDER BY sequence',
  );

  const tip = (agreementId: string): Tip | undefined => {
    const row = newest.get(agreementId) as StoredElement | undefined;
    if (row === undefined) return undefined;
    const { spent, at } = JSON.parse(row.body) as Element;
    return { sequence: row.sequence, hash: row.hash, spent, at };
  };

  return {
    tip,

    newestCharge: (agreementId) => (charging.get(agreementId) as { sequence: number } | undefined)?.sequence ?? 0,

    append(happening, before) {
      const { agreementId, kind } = happening;
      const spent = happening.spent ?? plus(before?.spent ?? NOTHING_SPENT, happening.amounts);
      const sequence = (before?.sequence ?? 0) + 1;
      const element: Element = { ...happening, previous: before?.hash ?? NO_HASH, sequence, spent };
      const body = Buffer.from(canonicalise(element)).toString();
      const hash = hashOf(body);
      insert.run(agreementId, sequence, kind, body, hash);
      return { sequence, hash, spent, at: element.at };
    },

    hashAt: (agreementId, sequence) => (one.get(agreementId, sequence) as { hash: string } | undefined)?.hash,

    spentAt(agreementId, at) {
      for (const { body } of backwards.iterate(agreementId) as Iterable<{ body: string }>) {
        const element = JSON.parse(body) as Element;
        if (element.at <= at) return element.spent;
      }
      return NOTHING_SPENT;
    },

    adopted: (agreementId) =>
      (reconciled.all(agreementId) as unknown as { body: string }[]).flatMap(
        ({ body }) => (JSON.parse(body) as Element).adopted ?? [],
      ),

    elements: (agreementId) => all.iterate(agreementId) as unknown as Iterable<StoredElement>,
  };
}
