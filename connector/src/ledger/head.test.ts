import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { continuesHead, type LedgerHead } from './head.ts';

const nothing = { uses: 0, rounds: 0, epsilon: 0, rows: 0, bytes: 0 };
const start: LedgerHead = {
  agreementId: 'urn:a',
  sequence: 0,
  hash: '0'.repeat(64),
  at: '2026-01-01T00:00:00.000Z',
  spent: nothing,
};

/** The heads of a chain that goes on from one; a negative step is a refund. */
function chain(from: LedgerHead, branch: string, steps: readonly number[]): LedgerHead[] {
  const heads = [from];
  for (const step of steps) {
    const last = heads.at(-1)!;
    const uses = Math.max(0, last.spent.uses + step);
    heads.push({
      ...last,
      sequence: last.sequence + 1,
      hash: `${branch}${last.sequence + 1}`.padStart(64, '0'),
      at: new Date(Date.parse(last.at) + 1000).toISOString(),
      spent: { ...last.spent, uses, epsilon: uses * 0.1 },
    });
  }
  return heads;
}
const steps = fc.array(fc.integer({ min: -2, max: 3 }), { maxLength: 8 });

describe('a head', () => {
  test('goes on from every earlier one of its chain and from itself, and from no later one', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const heads = chain(start, 'a', all);
        for (const [i, earlier] of heads.entries()) {
          for (const [j, later] of heads.entries()) expect(continuesHead(earlier, later)).toBe(j >= i);
        }
      }),
    );
  });

  test('of a ledger that was set back does not go on from what is lost, as long as it is no longer', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.constant(1), { minLength: 1, maxLength: 8 }), (before, lost) => {
        const backup = chain(start, 'a', before).at(-1)!;
        const held = chain(backup, 'a', lost).at(-1)!;
        // It counts up in the same way, and is not as far.
        for (const head of chain(backup, 'b', lost.slice(1))) expect(continuesHead(held, head)).toBe(false);
      }),
    );
  });

  test('of a ledger that was reconciled goes on from what is lost, with however few elements', () => {
    fc.assert(
      fc.property(steps, steps, fc.integer({ min: 1, max: 1e6 }), (before, lost, later) => {
        const backup = chain(start, 'a', before).at(-1)!;
        const held = chain(backup, 'a', lost).at(-1)!;
        const adopted: LedgerHead = {
          ...backup,
          sequence: backup.sequence + 1,
          hash: 'c'.repeat(64),
          at: new Date(Date.parse(held.at) + later).toISOString(),
          // Added up in another order.
          spent: { ...held.spent, epsilon: backup.spent.epsilon + (held.spent.epsilon - backup.spent.epsilon) },
        };
        expect(continuesHead(held, adopted)).toBe(true);
        if (adopted.sequence > held.sequence) return;
        for (const meter of ['uses', 'rounds', 'rows', 'bytes', 'epsilon'] as const) {
          const forgetful = { ...adopted, spent: { ...adopted.spent, [meter]: held.spent[meter] - 1e-3 } };
          expect(continuesHead(held, forgetful)).toBe(false);
        }
        expect(continuesHead(held, { ...adopted, at: held.at })).toBe(false);
      }),
    );
  });
});
