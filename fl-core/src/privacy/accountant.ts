/**
 * From what was done to (ε, δ): composition in Rényi differential privacy and the conversion of Canonne, Kamath, Steinke,
 * "The Discrete Gaussian for Differential Privacy", arXiv:2004.00010, Proposition 12. Unit of privacy: one row;
 * adjacency: one row added or removed. Events may differ from each other and depend on the outcome of earlier ones,
 * as long as their number and parameters are fixed beforehand.
 */
import type { PrivacyEvent } from './event.ts';
import { DEFAULT_ORDERS, rdpOfSubsampledGaussian } from './rdp.ts';

/** ε at the δ asked for, and the Rényi order that gave it (the smallest of those that give the same). */
export interface PrivacyLoss {
  readonly epsilon: number;
  readonly order: number;
}

/**
 * @param events all that was released about the same rows; their order does not matter
 * @param delta δ in (0, 1)
 * @param orders Rényi orders > 1 to choose the best from
 * @returns ε ≥ 0 of all events together; +∞ when no order gives a bound
 * @throws RangeError when δ or a parameter of an event is out of range
 */
export function epsilonOf(
  events: readonly PrivacyEvent[],
  delta: number,
  orders: readonly number[] = DEFAULT_ORDERS,
): PrivacyLoss {
  return convert(composed(events, orders), delta, orders);
}

/**
 * What one more event costs on top of what is already spent: ε(history and event) − ε(history). Summed over a history
 * it gives exactly the ε of all events, which a sum of their separate ε would overstate.
 *
 * @throws RangeError as epsilonOf
 */
export function marginalEpsilon(history: readonly PrivacyEvent[], event: PrivacyEvent, delta: number): number {
  const spent = epsilonOf(history, delta).epsilon;
  return Math.max(0, epsilonOf([...history, event], delta).epsilon - spent);
}

/**
 * The smallest noise multiplier σ (to `tolerance`, rounded up, so that the target always holds) with which `steps`
 * steps at sampling rate q stay within ε at δ.
 *
 * @throws RangeError when even σ = 10⁶ does not reach the target
 */
export function calibrateNoise(target: {
  readonly targetEpsilon: number;
  readonly delta: number;
  readonly samplingRate: number;
  readonly steps: number;
  /** @default 1e-4 */
  readonly tolerance?: number;
}): number {
  const { targetEpsilon, delta, samplingRate, steps, tolerance = 1e-4 } = target;
  const holds = (noiseMultiplier: number): boolean =>
    epsilonOf([subsampledGaussian({ noiseMultiplier, samplingRate, steps })], delta).epsilon <= targetEpsilon;
  let high = 1;
  while (!holds(high)) {
    high *= 2;
    if (high > 1e6) {
      throw new RangeError(`No noise reaches ε = ${targetEpsilon} at δ = ${delta} in ${steps} steps: allow more ε.`);
    }
  }
  let low = high === 1 ? 0 : high / 2;
  while (high - low > tolerance) {
    const middle = (low + high) / 2;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * The largest number of steps that stays within ε at δ, after `history`.
 *
 * @returns 0 when not even one step fits; Number.MAX_SAFE_INTEGER when there is no limit
 */
export function stepsWithin(
  limit: {
    readonly epsilon: number;
    readonly delta: number;
    readonly noiseMultiplier: number;
    readonly samplingRate: number;
  },
  history: readonly PrivacyEvent[] = [],
): number {
  const { epsilon, delta, noiseMultiplier, samplingRate } = limit;
  const before = composed(history, DEFAULT_ORDERS);
  const perStep = DEFAULT_ORDERS.map((order) => rdpOfSubsampledGaussian(order, noiseMultiplier, samplingRate));
  const fits = (steps: number): boolean => {
    const rdp = before.map((spent, i) => spent + steps * (perStep[i] ?? Infinity));
    return convert(rdp, delta, DEFAULT_ORDERS).epsilon <= epsilon;
  };
  if (!fits(1)) return 0;
  let low = 1;
  let high = 2;
  while (fits(high)) {
    low = high;
    high *= 2;
    if (high > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** A Poisson-subsampled Gaussian event of record-level, add/remove privacy. */
export function subsampledGaussian(
  parameters: Pick<PrivacyEvent, 'noiseMultiplier' | 'samplingRate' | 'steps'>,
): PrivacyEvent {
  const { noiseMultiplier, samplingRate, steps } = parameters;
  return {
    mechanism: 'poisson-subsampled-gaussian',
    unit: 'record',
    adjacency: 'add-remove',
    noiseMultiplier,
    samplingRate,
    steps,
  };
}

/** RDP adds up. Events with the same σ and q are counted together, so a long history costs no more than a short one. */
function composed(events: readonly PrivacyEvent[], orders: readonly number[]): number[] {
  const bySetting = new Map<string, PrivacyEvent>();
  for (const event of events) {
    if (!(event.steps >= 0)) throw new RangeError(`The number of steps must not be negative; it is ${event.steps}.`);
    const key = `${event.noiseMultiplier} ${event.samplingRate}`;
    const steps = (bySetting.get(key)?.steps ?? 0) + event.steps;
    if (steps > 0) bySetting.set(key, { ...event, steps });
  }
  const settings = [...bySetting.values()];
  return orders.map((order) =>
    settings.reduce(
      (sum, { noiseMultiplier, samplingRate, steps }) =>
        sum + steps * rdpOfSubsampledGaussian(order, noiseMultiplier, samplingRate),
      0,
    ),
  );
}

function convert(rdp: readonly number[], delta: number, orders: readonly number[]): PrivacyLoss {
  if (!(delta > 0 && delta < 1)) throw new RangeError(`δ must be between 0 and 1; it is ${delta}.`);
  let best: PrivacyLoss = { epsilon: Infinity, order: orders[0] ?? Number.NaN };
  for (const [i, order] of orders.entries()) {
    const epsilon = epsilonAt(order, rdp[i] ?? Infinity, delta);
    if (epsilon < best.epsilon) best = { epsilon, order };
  }
  return best;
}

/** Canonne, Kamath, Steinke, Proposition 12, solved for ε; ε = 0 already where δ² ≥ 1 − exp(−KL) (Bretagnolle-Huber). */
function epsilonAt(order: number, rdp: number, delta: number): number {
  if (delta * delta + Math.expm1(-rdp) >= 0) return 0;
  // Close to order 1 the formula is numerically useless, and never the best.
  if (order < 1.01) return Infinity;
  return Math.max(0, rdp + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1));
}
