/**
 * (ε, δ) by composition of privacy-loss distributions: tighter than Rényi composition, with both an upper and a lower
 * bound of what the mechanism really costs, so that the error of the computation is known.
 */
import { deltaOf, epsilonOf, requireDelta } from '../accountant.ts';
import { commonModel, type PrivacyEvent } from '../event.ts';
import { truncationMass, withTruncation } from '../truncated-sampling.ts';
import { compose, type ComposedLosses, type CountedLosses, transformSize, windowOf } from './compose.ts';
import { discretise, lossRange, type Sense } from './discretise.ts';
import { type CountedPair, pairsOf } from './mechanism.ts';
import type { LossSource } from './source.ts';

/** A bound on each side of the true value. */
export interface Bounds {
  /** Never below the true value: what a ledger may charge. */
  readonly pessimistic: number;
  /** Never above it. */
  readonly optimistic: number;
  /** pessimistic − optimistic */
  readonly error: number;
  /** h: the grid on which losses were counted, in nats. */
  readonly interval: number;
}

export interface LossOptions {
  /** h to begin with, in nats. @default 1e-4 */
  readonly interval?: number;
  /** h is halved until the bounds are this close or the transform is at its largest. @default 1e-3 */
  readonly tolerance?: number;
  /** Whether to compute the optimistic bound too; without it `optimistic` is 0 and h is not refined. @default true */
  readonly bothBounds?: boolean;
}

/** The largest transform that refinement goes to, and the one that a coarser grid avoids. */
const REFINED_POINTS = 1 << 20;
/** Losses that need a coarser grid than this, in nats, are left to Rényi composition: so much loss is no privacy. */
const COARSEST = 0.05;

/**
 * @param events all that was released about the same units
 * @param delta δ in (0, 1)
 * @returns bounds of ε ≥ 0
 * @throws RangeError when δ or a parameter is out of range; PrivacyModelMismatchError; NoLossDistributionError
 */
export function pldEpsilonOf(events: readonly PrivacyEvent[], delta: number, options: LossOptions = {}): Bounds {
  requireDelta(delta);
  commonModel(events);
  const mass = truncationMass(events);
  const pairs = pairsOf(events);
  if (pairs.length === 0) return { pessimistic: 0, optimistic: 0, error: 0, interval: 0 };
  const start = uncapped(events);
  const bounds = refine(
    pairs,
    options,
    delta,
    (composed, sense) => {
      if (sense === 'pessimistic') return withTruncation((left) => composed.epsilon(left), delta, mass);
      // Truncation may also have made it more private, by as much.
      return mass === 0
        ? composed.epsilon(delta)
        : leastEpsilon((e) => composed.delta(e) - (1 + Math.exp(e)) * mass, delta);
    },
    (tail) => tiltForDelta(start, tail),
  );
  // Both are bounds from above: the smaller one is, too.
  const pessimistic = Math.min(bounds.pessimistic, epsilonOf(events, delta).epsilon);
  return { ...bounds, pessimistic, error: pessimistic - bounds.optimistic };
}

/**
 * @param epsilon ε ≥ 0
 * @returns bounds of δ
 * @throws as pldEpsilonOf
 */
export function pldDeltaOf(events: readonly PrivacyEvent[], epsilon: number, options: LossOptions = {}): Bounds {
  if (!(epsilon >= 0)) throw new RangeError(`ε must not be negative; it is ${epsilon}.`);
  commonModel(events);
  const mass = truncationMass(events);
  const extra = mass === 0 ? 0 : (1 + Math.exp(epsilon)) * mass;
  const pairs = pairsOf(events);
  if (pairs.length === 0) return { pessimistic: 0, optimistic: 0, error: 0, interval: 0 };
  const start = uncapped(events);
  const bounds = refine(
    pairs,
    { tolerance: 1e-6, ...options },
    1e-9,
    (composed, sense) =>
      sense === 'pessimistic'
        ? Math.min(1, composed.delta(epsilon) + extra)
        : Math.max(0, composed.delta(epsilon) - extra),
    () => tiltForEpsilon(start, epsilon),
  );
  const pessimistic = Math.min(bounds.pessimistic, deltaOf(events, epsilon));
  return { ...bounds, pessimistic, error: pessimistic - bounds.optimistic };
}

const uncapped = (events: readonly PrivacyEvent[]): PrivacyEvent[] =>
  events.map((event) => {
    if (event.mechanism !== 'poisson-subsampled-gaussian') return event;
    const { batchCap: _cap, ...rest } = event;
    return rest;
  });

/** λ = α − 1 of the best Rényi order: about the tilt that centres the sum at ε(δ). */
function tiltForDelta(events: readonly PrivacyEvent[], delta: number): number {
  const { epsilon, order } = epsilonOf(events, delta);
  return Number.isFinite(epsilon) && epsilon > 0 ? order - 1 : 0;
}

/** The tilt of the δ whose ε this is, by bisection over log δ. */
function tiltForEpsilon(events: readonly PrivacyEvent[], epsilon: number): number {
  let low = -700;
  let high = -1e-3;
  for (let round = 0; round < 20; round++) {
    const middle = (low + high) / 2;
    if (epsilonOf(events, Math.exp(middle)).epsilon > epsilon) low = middle;
    else high = middle;
  }
  return tiltForDelta(events, Math.exp(high));
}

function leastEpsilon(delta: (epsilon: number) => number, target: number): number {
  let low = 0;
  let high = 1;
  if (delta(0) <= target) return 0;
  while (delta(high) > target && high < 1e6) high *= 2;
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (delta(middle) > target) low = middle;
    else high = middle;
  }
  return low;
}

function refine(
  pairs: readonly CountedPair[],
  { interval = 1e-4, tolerance = 1e-3, bothBounds = true }: LossOptions,
  delta: number,
  read: (composed: ComposedLosses, sense: Sense) => number,
  tiltOf: (delta: number) => number,
): Bounds {
  const steps = pairs.reduce((sum, pair) => sum + pair.steps, 0);
  // Cut off so little that it does not show in δ.
  const tail = Math.max(1e-280, (delta * 1e-8) / Math.max(1, steps));
  const tilt = tiltOf(delta);
  const directions = directionsOf(pairs, tail);
  const widest = Math.max(...directions.flatMap((parts) => parts.map(({ source }) => spanOf(source))));
  let h = Number.isFinite(widest) ? interval : Infinity;
  while (widest / h > REFINED_POINTS && h <= COARSEST) h *= 2;
  let isCoarsened = false;
  for (;;) {
    if (!(h <= COARSEST)) return { pessimistic: Infinity, optimistic: 0, error: Infinity, interval: h };
    const evaluated = evaluate(directions, h, tilt, read, bothBounds);
    if (evaluated === 'too-wide') {
      h *= 2;
      isCoarsened = true;
      continue;
    }
    const { pessimistic, optimistic, points } = evaluated;
    const error = pessimistic - optimistic;
    const canRefine = !isCoarsened && points * 2 <= REFINED_POINTS && (2 * widest) / h <= REFINED_POINTS && h > 1e-9;
    if (!bothBounds || error <= tolerance || !canRefine || !Number.isFinite(error)) {
      return { pessimistic, optimistic, error, interval: h };
    }
    h /= 2;
  }
}

interface Part {
  readonly source: LossSource;
  readonly steps: number;
}

/** All removed, and all added: neighbours differ the same way in every release. One of the two where they are equal. */
function directionsOf(pairs: readonly CountedPair[], tail: number): Part[][] {
  const removed = pairs.map(({ pair, steps }) => ({ source: pair.removed(tail), steps }));
  if (pairs.every(({ pair }) => pair.removed === pair.added)) return [removed];
  return [removed, pairs.map(({ pair, steps }) => ({ source: pair.added(tail), steps }))];
}

const spanOf = (source: LossSource): number => {
  const [low, high] = lossRange(source);
  return high - low;
};

function evaluate(
  directions: readonly Part[][],
  h: number,
  tilt: number,
  read: (composed: ComposedLosses, sense: Sense) => number,
  bothBounds: boolean,
): { pessimistic: number; optimistic: number; points: number } | 'too-wide' {
  let pessimistic = 0;
  let optimistic = 0;
  let points = 0;
  for (const [direction, parts] of directions.entries()) {
    // The larger of the two directions counts, so either alone is a lower bound; `removed` is hardly ever the smaller.
    const senses: readonly Sense[] = bothBounds && direction === 0 ? ['pessimistic', 'optimistic'] : ['pessimistic'];
    for (const sense of senses) {
      const counted = parts.map(({ source, steps }) => ({ losses: discretise(source, h, sense), steps }));
      const window = windowOf(counted, h, tilt, spreadOf(counted, h, tilt));
      const size = transformSize(window);
      if (size > REFINED_POINTS) return 'too-wide';
      points = Math.max(points, size);
      const value = read(compose(counted, h, tilt, window, sense), sense);
      if (sense === 'pessimistic') pessimistic = Math.max(pessimistic, value);
      else optimistic = Math.max(optimistic, value);
    }
  }
  return { pessimistic, optimistic, points };
}

/** The standard deviation of the tilted sum, from the curvature of its log moment; at least one grid interval. */
function spreadOf(parts: readonly CountedLosses[], h: number, tilt: number): number {
  let variance = 0;
  for (const { losses, steps } of parts) {
    let mass = 0;
    let mean = 0;
    let square = 0;
    const anchor = tilt > 0 ? losses.first + losses.masses.length : losses.first;
    for (const [i, p] of losses.masses.entries()) {
      const grid = losses.first + i;
      const weight = p * Math.exp(tilt * (grid - anchor) * h);
      mass += weight;
      mean += weight * grid;
      square += weight * grid * grid;
    }
    mean /= mass;
    variance += steps * Math.max(0, square / mass - mean * mean);
  }
  return h * Math.max(1, Math.sqrt(variance));
}
