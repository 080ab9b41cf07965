/** A source of choices that gives the same ones for the same seed: what was found once can be found again. */
export interface Dice {
  /** A whole number from 0 to below `sides`. */
  roll(sides: number): number;
  /** Whether something with the probability `p` happens. */
  chance(p: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** Marsaglia's xorshift32, seeded through a multiplicative hash so that neighbouring seeds have nothing in common. */
export function createDice(seed: number): Dice {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bf03635 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let warmUp = 0; warmUp < 8; warmUp += 1) next();
  const roll = (sides: number): number => next() % sides;
  return { roll, chance: (p) => next() / 0x1_0000_0000 < p, pick: (items) => items[roll(items.length)]! };
}
