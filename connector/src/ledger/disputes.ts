import type { Database } from '../store/database.ts';
import type { LedgerHead } from './head.ts';

/** Heads that partners hold and this node's chains do not contain (table of migration 6). */
export interface Disputes {
  has(agreementId: string): boolean;
  of(agreementId: string): LedgerHead[];
  add(head: LedgerHead, at: string): void;
  clear(agreementId: string): void;
}

export function createDisputes({ sql }: Database): Disputes {
  const any = sql.prepare('SELECT 1 FROM ledger_dispute WHERE agreement_id = ? LIMIT 1');
  const all = sql.prepare('SELECT head FROM ledger_dispute WHERE agreement_id = ? ORDER BY presented_at');
  const insert = sql.prepare(
    'INSERT OR IGNORE INTO ledger_dispute (agreement_id, hash, head, presented_at) VALUES (?, ?, ?, ?)',
  );
  const remove = sql.prepare('DELETE FROM ledger_dispute WHERE agreement_id = ?');
  return {
    has: (agreementId) => any.get(agreementId) !== undefined,
    of: (agreementId) => (all.all(agreementId) as { head: string }[]).map(({ head }) => JSON.parse(head) as LedgerHead),
    add: (head, at) => void insert.run(head.agreementId, head.hash, JSON.stringify(head), at),
    clear: (agreementId) => void remove.run(agreementId),
  };
}
