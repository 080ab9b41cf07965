/** The running sum of a round's updates: what a strategy averages. Its size depends on the model only. */

/** What came in during a round, summed. */
export interface Aggregate {
  /** Σᵢ Δᵢ, float64 [P]. */
  readonly sum: Float64Array;
  /** |S|, the number of updates in the sum. */
  readonly updates: number;
}

/** A sum that is still growing. */
export interface RunningSum extends Aggregate {
  /** @param update Δᵢ, finite float32 [P] @throws RangeError when it has another length */
  add(update: Float32Array): void;
}

/**
 * Float64 keeps the sum of float32 updates exact to about 2⁻⁵², whatever their order, so that a round that is repeated
 * with the same updates gives the same model to float32 precision.
 *
 * @param parameters P
 */
export function createRunningSum(parameters: number): RunningSum {
  const sum = new Float64Array(parameters);
  let updates = 0;
  return {
    sum,
    get updates() {
      return updates;
    },
    add(update) {
      if (update.length !== parameters) {
        throw new RangeError(`An update of ${update.length} values cannot be added to a model of ${parameters}.`);
      }
      for (let i = 0; i < parameters; i++) sum[i] = sum[i]! + update[i]!;
      updates += 1;
    },
  };
}

/** Gives the memory of a sum back at once: it is the largest thing that a coordinator holds, and it is not needed again. */
export function release({ sum }: Aggregate): void {
  (sum.buffer as ArrayBuffer).transfer(0);
}
