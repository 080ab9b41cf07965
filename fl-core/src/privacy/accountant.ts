/**
 * From what was done to (ε, δ): composition in Rényi differential privacy and the conversion of Canonne, Kamath, Steinke,
 * "The Discrete Gaussian for Differential Privacy", arXiv:2004.00010, Proposition 12. All events share one unit of
 * privacy and one adjacency; otherwise they may differ from each other and depend on the outcome of earlier ones, as long
 * as their number and parameters are fixed beforehand.
 */
import { commonModel, type PrivacyEvent, subsampledGaussian } from './event.ts';
import { rdpOfEvent } from './rdp-of-event.ts';
import { DEFAULT_ORDERS } from './rdp.ts';
import { truncationMass, withTruncation } from './truncated-sampling.ts';

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
  requireDelta(delta);
  const rdp = composed(events, orders);
  const best = convert(rdp, delta, orders);
  const mass = truncationMass(events);
  if (mass === 0) return best;
  return { ...best, epsilon: withTruncation((left) => convert(rdp, left, orders).epsilon, delta, mass) };
}

/**
 * @param epsilon ε ≥ 0
 * @returns δ ≤ 1 of all events together at that ε, by the same conversion solved for δ
 * @throws RangeError as epsilonOf
 */
export function deltaOf(
  events: readonly PrivacyEvent[],
  epsilon: number,
  orders: readonly number[] = DEFAULT_ORDERS,
): number {
  if (!(epsilon >= 0)) throw new RangeError(`ε must not be negative; it is ${epsilon}.`);
  const rdp = composed(events, orders);
  let delta = 1;
  for (const [i, order] of orders.entries()) {
    const spent = rdp[i] ?? Infinity;
    delta = Math.min(delta, Math.sqrt(-Math.expm1(-spent)));
    if (order < 1.01) continue;
    const log = (order - 1) * (spent - epsilon + Math.log1p(-1 / order)) - Math.log(order);
    if (Number.isFinite(log)) delta = Math.min(delta, Math.exp(log));
  }
  const mass = truncationMass(events);
  return mass === 0 ? delta : Math.min(1, delta + (1 + Math.exp(epsilon)) * mass);
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
 * ε of a history and so many times an event more; both are composed once, so many counts cost little.
 *
 * @returns from a count ≥ 0 to what epsilonOf gives for all of them
 * @throws RangeError as epsilonOf
 */
export function epsilonAfter(
  history: readonly PrivacyEvent[],
  event: PrivacyEvent,
  delta: number,
): (count: number) => number {
  requireDelta(delta);
  commonModel([...history, event]);
  const before = composed(history, DEFAULT_ORDERS);
  const each = composed([event], DEFAULT_ORDERS);
  return (count) => {
    const rdp = before.map((spent, i) => (count === 0 ? spent : spent + count * (each[i] ?? Infinity)));
    const mass = truncationMass(count === 0 ? history : [...history, { ...event, steps: event.steps * count }]);
    return withTruncation((left) => convert(rdp, left, DEFAULT_ORDERS).epsilon, delta, mass);
  };
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
  requireDelta(delta);
  const step = subsampledGaussian({ noiseMultiplier, samplingRate, steps: 1 });
  commonModel([step, ...history]);
  const before = composed(history, DEFAULT_ORDERS);
  const perStep = composed([step], DEFAULT_ORDERS);
  const mass = truncationMass(history);
  const fits = (steps: number): boolean => {
    const rdp = before.map((spent, i) => spent + steps * (perStep[i] ?? Infinity));
    return withTruncation((left) => convert(rdp, left, DEFAULT_ORDERS).epsilon, delta, mass) <= epsilon;
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

/** RDP adds up. Events with the same setting are counted together, so a long history costs no more than a short one. */
function composed(events: readonly PrivacyEvent[], orders: readonly number[]): number[] {
  commonModel(events);
  const settings = mergeSteps(events).map(({ steps, ...setting }) => ({ steps, curve: curveOf(setting, orders) }));
  return orders.map((_, i) => settings.reduce((sum, { steps, curve }) => sum + steps * curve[i]!, 0));
}

/** Curves at the default orders of the settings that were asked for: a ledger asks for the same at every round. */
const curves = new Map<string, readonly number[]>();
const MOST_CURVES = 64;

function curveOf(setting: object, orders: readonly number[]): readonly number[] {
  const event = { ...setting, steps: 1 } as PrivacyEvent;
  const compute = (): readonly number[] => orders.map((order) => rdpOfEvent(event, order));
  if (orders !== DEFAULT_ORDERS) return compute();
  const key = JSON.stringify(setting);
  const known = curves.get(key);
  if (known !== undefined) return known;
  const curve = compute();
  if (curves.size === MOST_CURVES) curves.delete(curves.keys().next().value!);
  curves.set(key, curve);
  return curve;
}

/** The same events with those of one setting in one, without those of no steps. */
export function mergeSteps(events: readonly PrivacyEvent[]): PrivacyEvent[] {
  const bySetting = new Map<string, PrivacyEvent>();
  for (const event of events) {
    const key = JSON.stringify(Object.entries({ ...event, steps: 0 }).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const steps = (bySetting.get(key)?.steps ?? 0) + event.steps;
    if (steps > 0) bySetting.set(key, { ...event, steps });
  }
  return [...bySetting.values()];
}

export function requireDelta(delta: number): void {
  if (!(delta > 0 && delta < 1)) throw new RangeError(`δ must be between 0 and 1; it is ${delta}.`);
}

function convert(rdp: readonly number[], delta: number, orders: readonly number[]): PrivacyLoss {
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
