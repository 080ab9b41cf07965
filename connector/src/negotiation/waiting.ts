import { FoedusError } from '../errors.ts';
import type { Role } from '../protocol/state-machine.ts';
import type { Database } from '../store/database.ts';

/** When a counterparty may try again, in seconds: a person has to decide about what waits. */
const RETRY_AFTER_SECONDS = 10;

/**
 * Keeps one counterparty from filling the list of what waits for an answer from here: requests to a provider, and
 * offers to a consumer that has not asked.
 *
 * @param most such negotiations of one counterparty, in each role
 * @returns throws FoedusError `unavailable` when there are as many already: that passes, so the counterparty tries
 *   again, and nothing of it ends by it
 */
export function createWaitingList({ sql }: Database, most: number): (role: Role, counterPartyId: string) => void {
  // By state: of all negotiations with a counterparty those that wait are few.
  const count = sql.prepare(
    `SELECT count(*) AS waiting FROM negotiation INDEXED BY negotiation_by_state
     WHERE state = ? AND role = ? AND counterparty_id = ? AND body ->> 'initiatedBy' = ?`,
  );
  return (role, counterPartyId) => {
    const [state, beginner] = role === 'provider' ? ['REQUESTED', 'consumer'] : ['OFFERED', 'provider'];
    const { waiting } = count.get(state, role, counterPartyId, beginner) as { waiting: number };
    if (waiting < most) return;
    throw new FoedusError(
      'unavailable',
      `${waiting} negotiations that you have begun wait for an answer from here, and there may be ${most}. Try again when some of them have moved on.`,
      { details: { retryAfterSeconds: RETRY_AFTER_SECONDS } },
    );
  };
}
