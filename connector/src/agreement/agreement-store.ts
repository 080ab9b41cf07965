import type { SignedAgreement } from '../management/model.ts';
import type { Database } from '../store/database.ts';

/** Agreements as this node signed or received them. */
export interface AgreementStore {
  get(id: string): SignedAgreement | undefined;
  /** Newest first. */
  list(): SignedAgreement[];
  insert(agreement: SignedAgreement): void;
  save(agreement: SignedAgreement): void;
  /** Forgets an agreement that never came about. */
  remove(id: string): void;
}

export function createAgreementStore({ sql }: Database): AgreementStore {
  const byId = sql.prepare('SELECT body FROM agreement WHERE id = ?');
  const all = sql.prepare('SELECT body FROM agreement ORDER BY sequence DESC');
  const insert = sql.prepare('INSERT INTO agreement (id, body) VALUES (?, ?)');
  const update = sql.prepare('UPDATE agreement SET body = ? WHERE id = ?');
  const remove = sql.prepare('DELETE FROM agreement WHERE id = ?');
  const read = (row: unknown): SignedAgreement => JSON.parse((row as { body: string }).body) as SignedAgreement;
  return {
    get: (id) => {
      const row = byId.get(id);
      return row && read(row);
    },
    list: () => all.all().map(read),
    insert: (agreement) => void insert.run(agreement.id, JSON.stringify(agreement)),
    save: (agreement) => void update.run(JSON.stringify(agreement), agreement.id),
    remove: (id) => void remove.run(id),
  };
}
