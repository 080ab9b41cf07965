/** How much each participant may have this node keep: what is taken comes back with time. */
export interface Allowance {
  /** @returns whether there was so much left; it is taken then */
  take(participantId: string, amount: number): boolean;
}

/**
 * A bucket for each participant that leaks (ITU-T I.371, the generic cell rate algorithm, continuous).
 *
 * @param most what may be taken at once
 * @param overMs after so many milliseconds all of it has come back
 */
export function createAllowance(options: { most: number; overMs: number; clock: () => Date }): Allowance {
  const { most, overMs, clock } = options;
  const taken = new Map<string, { readonly amount: number; readonly at: number }>();
  return {
    take(participantId, amount) {
      const now = clock().getTime();
      const { amount: before = 0, at = now } = taken.get(participantId) ?? {};
      const left = Math.max(0, before - (Math.max(0, now - at) / overMs) * most);
      if (left + amount > most) return false;
      taken.set(participantId, { amount: left + amount, at: now });
      return true;
    },
  };
}
