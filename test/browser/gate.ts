/** Lets a test decide how far a session gets, instead of guessing how long it takes. */
export interface Gate {
  /** Resolves when round `round` may be trained. */
  waitFor(round: number): Promise<void>;
  /** Opens the way to all rounds up to this one. */
  openUpTo(round: number): void;
}

export function createGate(): Gate {
  let last = 0;
  let waiting: { readonly round: number; readonly resolve: () => void }[] = [];
  return {
    waitFor: (round) =>
      round <= last ? Promise.resolve() : new Promise((resolve) => waiting.push({ round, resolve })),
    openUpTo(round) {
      last = Math.max(last, round);
      const free = waiting.filter((one) => one.round <= last);
      waiting = waiting.filter((one) => one.round > last);
      for (const { resolve } of free) resolve();
    },
  };
}
