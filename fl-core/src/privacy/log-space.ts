/** Sums of numbers too large or too small for float64, by their natural logarithms. */

/** @returns log(eᵃ + eᵇ) */
export function logAdd(a: number, b: number): number {
  const high = Math.max(a, b);
  const low = Math.min(a, b);
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}

/** @returns log(eˣ − 1) for x > 0 */
export function logExpm1(x: number): number {
  return x > 40 ? x + Math.log1p(-Math.exp(-x)) : Math.log(Math.expm1(x));
}

/**
 * @returns log erfc(x), to a relative error of erfc below 10⁻¹³ for every finite x, also where erfc itself underflows.
 *   |x| < 2: the series of positive terms (Abramowitz and Stegun 7.1.6); beyond: the continued fraction (7.1.14).
 */
export function logErfc(x: number): number {
  if (x < 0) return Math.LN2 + Math.log1p(-Math.exp(logErfc(-x)) / 2);
  return x < 2 ? Math.log1p(-erfBySeries(x)) : -x * x + Math.log(scaledErfcByFraction(x));
}

/** erf(x) = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)) */
function erfBySeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** e^(x²)·erfc(x) = 1/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …)))), from the inside out. */
function scaledErfcByFraction(x: number): number {
  // 100 levels reach 10⁻¹⁶ at x = 2 and far fewer are needed beyond.
  let tail = x;
  for (let n = 100; n >= 1; n--) tail = x + n / 2 / tail;
  return 1 / (Math.sqrt(Math.PI) * tail);
}
