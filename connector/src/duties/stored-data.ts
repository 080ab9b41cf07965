import type { Received } from '../management/model.ts';
import type { Database } from '../store/database.ts';

/**
 * Files with data that this node has stored itself: what was pushed to it under an agreement.
 *
 * @returns a function that gives the absolute paths of those that are there
 */
export function createStoredData(
  { sql }: Database,
  inbox: { received(transferId: string): Received | undefined },
): (agreementId: string) => readonly string[] {
  const transfers = sql.prepare(
    "SELECT id FROM transfer WHERE body ->> 'agreementId' = ? AND body ->> 'role' = 'consumer' ORDER BY sequence",
  );
  return (agreementId) =>
    (transfers.all(agreementId) as { id: string }[]).flatMap(({ id }) => {
      const received = inbox.received(id);
      return received?.complete ? [received.path] : [];
    });
}
