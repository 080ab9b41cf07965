import type { Transfer } from '../management/model.ts';

/** The number that tokens carry which are given out now; a token with a smaller one is revoked. */
export function generationOf({ access }: Pick<Transfer, 'access'>): number {
  return access?.generation ?? 0;
}

/** The smallest number of a token that may be renewed. */
export function renewableFrom({ access }: Pick<Transfer, 'access'>): number {
  return access?.renewableFrom ?? 0;
}

/**
 * Revokes every token that was given out for a transfer. To be stored in the transaction in which its reason happens,
 * so that no crash brings a token back.
 */
export function revoked(transfer: Transfer): Transfer {
  const generation = generationOf(transfer) + 1;
  return { ...transfer, access: { generation, renewableFrom: generation } };
}

/**
 * Revokes what was given out for a transfer that has left STARTED.
 *
 * What the consumer itself has suspended it may resume itself, and the protocol has no new data address for that: so
 * its right to renew outlives its own pause. Nothing else does.
 */
export function revokedByLeaving(transfer: Transfer): Transfer {
  const all = revoked(transfer);
  if (transfer.state !== 'SUSPENDED' || transfer.suspendedBy !== 'consumer') return all;
  return { ...all, access: { ...all.access!, renewableFrom: renewableFrom(transfer) } };
}
