/** A positive rational number, in integers of any size: what exact samplers take instead of a float. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/**
 * @param value a positive, finite float64
 * @returns the very number that the float is (every float64 is a fraction with a power of two below)
 * @throws RangeError for any other value
 */
export function rationalOf(value: number): Rational {
  if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`A positive number is needed; it is ${value}.`);
  let denominator = 1n;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    denominator *= 2n;
  }
  return { numerator: BigInt(scaled), denominator };
}
