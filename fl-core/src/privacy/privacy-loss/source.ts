/**
 * Privacy losses of single releases. A mechanism is described by a pair (P, Q) of output distributions that dominates
 * every pair of neighbours; the privacy loss of an output x drawn from P is log P(x)/Q(x). A source is that distribution
 * in pieces, in ascending order of loss.
 */

import { logErfc } from '../log-space.ts';

/** Outputs x in (from, to), on which P has a density and the loss grows with x. */
export interface Stretch {
  readonly kind: 'stretch';
  readonly from: number;
  readonly to: number;
  /** Density of P at x. */
  density(x: number): number;
  loss(x: number): number;
  /** The x of a loss; values outside the range of losses may give ±∞ or NaN. */
  at(loss: number): number;
  /** Distance of x over which density and loss are smooth enough for five-point quadrature. */
  readonly smooth: number;
}

/** Outputs of one and the same loss. */
export interface Atom {
  readonly kind: 'atom';
  readonly loss: number;
  readonly mass: number;
}

export interface LossSource {
  readonly pieces: readonly (Stretch | Atom)[];
  /** An upper bound of what P has below all pieces (their losses are smaller). */
  readonly below: number;
  /** An upper bound of what P has above all pieces, where Q may be 0. */
  readonly above: number;
}

/** Losses of P against Q and of Q against P: of a unit removed and of one added. The same function where symmetric. */
export interface LossPair {
  /** @param tail probability that may be cut off at each end */
  readonly removed: (tail: number) => LossSource;
  readonly added: (tail: number) => LossSource;
}

/** @returns z with P[N(0,1) > z] ≤ tail (Chernoff) */
export function normalTail(tail: number): number {
  return Math.sqrt(-2 * Math.log(Math.min(0.5, tail)));
}

const normal = (x: number, sigma: number): number =>
  Math.exp((-x * x) / (2 * sigma * sigma)) / (sigma * Math.sqrt(2 * Math.PI));

/** log(1 − q + q·eᵗ) */
function logMix(q: number, t: number): number {
  if (q === 1) return t;
  return t > 30 ? t + Math.log(q) + Math.log1p(((1 - q) / q) * Math.exp(-t)) : Math.log1p(q * Math.expm1(t));
}

/** The t with log(1 − q + q·eᵗ) = loss; NaN or −∞ where there is none. */
function unmix(q: number, loss: number): number {
  if (q === 1) return loss;
  return loss > 30 ? loss - Math.log(q) + Math.log1p(-(1 - q) * Math.exp(-loss)) : Math.log1p(Math.expm1(loss) / q);
}

/**
 * The Poisson-subsampled Gaussian, sensitivity 1: P = (1−q)·N(0, σ²) + q·N(1, σ²), Q = N(0, σ²), which dominates under
 * add/remove (Zhu, Dong, Wang, "Optimal Accounting of Differential Privacy via Characteristic Function",
 * arXiv:2106.08567, Theorem 11).
 */
export function sampledGaussianLosses(sigma: number, q: number): LossPair {
  const exponent = (x: number): number => (2 * x - 1) / (2 * sigma * sigma);
  const position = (t: number): number => sigma * sigma * t + 0.5;
  const mixed = (x: number): number => (1 - q) * normal(x, sigma) + q * normal(x - 1, sigma);
  const smooth = sigma / 4;
  const pair: LossPair = {
    removed(tail) {
      const reach = normalTail(tail) * sigma;
      return {
        pieces: [
          {
            kind: 'stretch',
            from: -reach + (q === 1 ? 1 : 0),
            to: 1 + reach,
            density: mixed,
            loss: (x) => logMix(q, exponent(x)),
            at: (loss) => position(unmix(q, loss)),
            smooth,
          },
        ],
        below: tail,
        above: tail,
      };
    },
    added(tail) {
      const reach = normalTail(tail) * sigma;
      // Mirrored: y = −x, so that the loss grows with y.
      return {
        pieces: [
          {
            kind: 'stretch',
            from: -reach,
            to: reach,
            density: (y) => normal(y, sigma),
            loss: (y) => -logMix(q, exponent(-y)),
            at: (loss) => -position(unmix(q, -loss)),
            smooth,
          },
        ],
        below: tail,
        above: tail,
      };
    },
  };
  return q === 1 ? { removed: pair.removed, added: pair.removed } : pair;
}

/**
 * Sampling γ of the records without replacement under replace-one, with noise σ relative to the distance of the whole
 * batches' sums. δ at ε ≥ 0 is that of γP + (1−γ)Q against Q, at ε < 0 that of P against (1−γ)P + γQ (Zhu, Dong, Wang,
 * arXiv:2106.08567, Theorem 11), P = N(1, σ²), Q = N(0, σ²). Both curves meet at ε = 0 in a kink: an atom of no loss
 * whose mass is (1−γ)·TV(P, Q). The pair is its own mirror image.
 */
export function fixedSizeGaussianLosses(sigma: number, rate: number): LossPair {
  const whole = sampledGaussianLosses(sigma, 1).removed;
  if (rate === 1) return { removed: whole, added: whole };
  const source = (tail: number): LossSource => {
    const reach = normalTail(tail) * sigma;
    const exponent = (x: number): number => (2 * x - 1) / (2 * sigma * sigma);
    const position = (t: number): number => sigma * sigma * t + 0.5;
    const smooth = sigma / 4;
    return {
      pieces: [
        {
          kind: 'stretch',
          from: Math.min(0.5, 1 - reach),
          to: 0.5,
          density: (x) => normal(x - 1, sigma),
          // P/((1−γ)P + γQ) = 1/((1−γ) + γ·e^(−t))
          loss: (x) => -logMix(rate, -exponent(x)),
          at: (loss) => position(-unmix(rate, -loss)),
          smooth,
        },
        { kind: 'atom', loss: 0, mass: (1 - rate) * totalVariation(sigma) },
        {
          kind: 'stretch',
          from: 0.5,
          to: 1 + reach,
          density: (x) => (1 - rate) * normal(x, sigma) + rate * normal(x - 1, sigma),
          loss: (x) => logMix(rate, exponent(x)),
          at: (loss) => position(unmix(rate, loss)),
          smooth,
        },
      ],
      below: tail,
      above: tail,
    };
  };
  return { removed: source, added: source };
}

/** TV(N(0, σ²), N(1, σ²)) = erf(1/(2√2·σ)) */
const totalVariation = (sigma: number): number => -Math.expm1(logErfc(1 / (2 * Math.SQRT2 * sigma)));

/** The Laplace mechanism of sensitivity 1 and scale b: losses from −1/b to 1/b, with atoms at both ends. */
export function laplaceLosses(scale: number): LossPair {
  const source = (): LossSource => ({
    pieces: [
      { kind: 'atom', loss: -1 / scale, mass: Math.exp(-1 / scale) / 2 },
      {
        kind: 'stretch',
        from: 0,
        to: 1,
        // P is centred at 1.
        density: (x) => Math.exp((x - 1) / scale) / (2 * scale),
        loss: (x) => (2 * x - 1) / scale,
        at: (loss) => (loss * scale + 1) / 2,
        smooth: scale / 4,
      },
      { kind: 'atom', loss: 1 / scale, mass: 0.5 },
    ],
    below: 0,
    above: 0,
  });
  return { removed: source, added: source };
}

/**
 * Integers with symmetric, log-concave noise, one value of integer sensitivity: P is the noise, Q the noise moved.
 *
 * @param logWeight log of a multiple of the noise's probability of k ≥ 0
 * @param extent beyond this distance the noise has less than `tail`
 */
export function integerNoiseLosses(
  sensitivity: number,
  noise: (tail: number) => { readonly extent: number; readonly logWeight: (k: number) => number },
): LossPair {
  const source = (tail: number): LossSource => {
    const { extent, logWeight } = noise(tail);
    let total = 0;
    for (let k = -extent; k <= extent; k++) total += Math.exp(logWeight(Math.abs(k)) - logWeight(0));
    const pieces: Atom[] = [];
    // The loss of k against the noise moved up by the sensitivity falls with k.
    for (let k = extent; k >= -extent; k--) {
      const loss = logWeight(Math.abs(k)) - logWeight(Math.abs(k - sensitivity));
      pieces.push({ kind: 'atom', loss, mass: Math.exp(logWeight(Math.abs(k)) - logWeight(0)) / total });
    }
    return { pieces, below: tail, above: tail };
  };
  return { removed: source, added: source };
}
