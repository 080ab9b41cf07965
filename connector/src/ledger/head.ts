import { EPSILON_TOLERANCE } from '@foedus/usage-policies';
import { z } from 'zod';

const amount = z.number().nonnegative();

/** Everything that is spent under an agreement, by meter. */
export const spentSchema = z.strictObject({
  uses: amount,
  rounds: amount,
  epsilon: amount,
  rows: amount,
  bytes: amount,
});

export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);

export const ledgerHeadSchema = z
  .strictObject({
    agreementId: z.string().min(1).max(2_048),
    sequence: z.int().min(0).describe('Elements of the chain up to this one; 0: nothing has happened yet.'),
    hash: hashSchema.describe('SHA-256 of the newest element, hex.'),
    at: z.iso.datetime().max(40).describe('When the newest element was made.'),
    spent: spentSchema.describe('What is spent with that element.'),
  })
  .describe("The newest element of an agreement's ledger: it stands for everything that happened before.");
export type LedgerHead = z.infer<typeof ledgerHeadSchema>;

export const signedHeadSchema = z
  .strictObject({
    head: ledgerHeadSchema,
    signature: z.string().min(1).max(65_536).describe('Detached JWS of the provider over the head.'),
  })
  .describe('A head that the provider of the agreement has signed: keep the newest, and present it.');
export type SignedHead = z.infer<typeof signedHeadSchema>;

/**
 * Whether a head goes on from one that a partner holds already, as far as two heads can tell: the chain in between is not
 * there to be checked. What it proves beyond that is for the ledger itself, when the held head is presented to it.
 *
 * A ledger that was reconciled after it had been set back goes on from an element of its own: it may have fewer elements
 * than the lost branch had, but it was made later, and counts as spent whatever the held head says that was.
 */
export function continuesHead(held: LedgerHead, head: LedgerHead): boolean {
  if (head.sequence > held.sequence) return true;
  if (head.sequence === held.sequence && head.hash === held.hash) return true;
  // Adding floating-point numbers up in another order errs by less than the tolerance.
  const covers = (Object.keys(held.spent) as (keyof LedgerHead['spent'])[]).every(
    (meter) => head.spent[meter] >= held.spent[meter] - EPSILON_TOLERANCE,
  );
  return covers && Date.parse(head.at) > Date.parse(held.at);
}
