/**
 * Shamir's secret sharing ("How to Share a Secret", 1979) of 32-byte secrets over the field of p = 2^26 − 5: a secret is
 * cut into eleven pieces of 24 bits, each shared by a polynomial of its own. The products of two field elements are below
 * 2^52 and therefore exact in float64; any t − 1 shares are independent of the secret whatever p is.
 */
import { createRandomBits, type RandomBits } from '../noise/random-bits.ts';

export const PRIME = 2 ** 26 - 5;
export const SECRET_BYTES = 32;
const PIECE_BYTES = 3;
const PIECES = Math.ceil(SECRET_BYTES / PIECE_BYTES);
/** A share on the wire: eleven field elements of four bytes. */
export const SHARE_BYTES = PIECES * 4;

export interface Share {
  /** Where the polynomials were evaluated: 1 … p − 1, another for every holder. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * @param secret 32 bytes
 * @param points the holders' places, distinct, in 1 … p − 1
 * @param threshold how many shares are needed
 * @returns one share for each point
 */
export function split(
  secret: Uint8Array,
  points: readonly number[],
  threshold: number,
  random: RandomBits,
): Uint8Array[] {
  if (secret.length !== SECRET_BYTES) throw new RangeError(`A secret has ${SECRET_BYTES} bytes.`);
  if (!(threshold >= 1 && threshold <= points.length)) {
    throw new RangeError(`${threshold} of ${points.length} shares cannot be asked for.`);
  }
  const shares = points.map(() => new Uint8Array(SHARE_BYTES));
  const views = shares.map((share) => new DataView(share.buffer));
  const coefficients = new Float64Array(threshold);
  for (let piece = 0; piece < PIECES; piece++) {
    coefficients[0] = pieceAt(secret, piece);
    for (let i = 1; i < threshold; i++) coefficients[i] = random.below(PRIME);
    for (const [holder, at] of points.entries()) {
      let value = 0;
      for (let i = threshold - 1; i >= 0; i--) value = reduce(value * at + coefficients[i]!);
      views[holder]!.setUint32(piece * 4, value, true);
    }
  }
  coefficients.fill(0);
  return shares;
}

/**
 * @param shares at least the threshold, at distinct points; more are not looked at
 * @returns the secret, or undefined when the shares do not belong together
 */
export function combine(shares: readonly Share[], threshold: number): Uint8Array | undefined {
  const used = shares.slice(0, threshold);
  if (used.length < threshold || new Set(used.map(({ at }) => at)).size < threshold) return undefined;
  const weights = lagrangeAtZero(used.map(({ at }) => at));
  const padded = new Uint8Array(PIECES * PIECE_BYTES);
  const views = used.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset, SHARE_BYTES));
  for (let piece = 0; piece < PIECES; piece++) {
    let value = 0;
    for (let i = 0; i < views.length; i++) {
      const share = views[i]!.getUint32(piece * 4, true);
      if (share >= PRIME) return undefined;
      value = reduce(value + share * weights[i]!);
    }
    if (value >= 2 ** 24) return undefined;
    padded.set([value & 255, (value >> 8) & 255, value >> 16], piece * PIECE_BYTES);
  }
  if (padded.subarray(SECRET_BYTES).some((byte) => byte !== 0)) return undefined;
  return padded.slice(0, SECRET_BYTES);
}

/** Choices of shares that are tried; one is enough where all are right. */
const MAX_CHOICES = 512;

/**
 * The secret, also where some shares are wrong: other choices of the threshold are tried until one is right. One wrong
 * share among more than the threshold is always found out; several wherever they stand, as long as a choice at random
 * has some hundredths of a chance to avoid them: four among 33 of whom 17 are needed.
 *
 * @param shares at distinct points
 * @param isRight tells the secret from every other
 * @returns undefined when no choice that was tried gives it
 */
export function recover(
  shares: readonly Share[],
  threshold: number,
  isRight: (secret: Uint8Array) => boolean,
  random: RandomBits = createRandomBits(),
): Uint8Array | undefined {
  for (const chosen of choices(shares, threshold, random)) {
    const secret = combine(chosen, threshold);
    if (secret !== undefined && isRight(secret)) return secret;
  }
  return undefined;
}

/**
 * The first ones; then in turn a choice at random, which whoever gives wrong shares cannot foresee, and the next window of
 * the shares in a circle, of which some leave out any one of them.
 */
function* choices(shares: readonly Share[], threshold: number, random: RandomBits): Generator<readonly Share[]> {
  const n = shares.length;
  yield shares.slice(0, threshold);
  if (n <= threshold) return;
  for (let tried = 1, start = 1; tried < MAX_CHOICES; tried++) {
    if (tried % 2 === 0 && start < n) {
      const from = start++;
      yield Array.from({ length: threshold }, (_, i) => shares[(from + i) % n]!);
    } else yield drawn(shares, threshold, random);
  }
}

/** So many of them, each choice equally likely (Fisher-Yates, as far as it is needed). */
function drawn(shares: readonly Share[], count: number, random: RandomBits): Share[] {
  const all = [...shares];
  for (let i = 0; i < count; i++) {
    const other = i + random.below(all.length - i);
    [all[i], all[other]] = [all[other]!, all[i]!];
  }
  return all.slice(0, count);
}

/**
 * x modulo p, for integers 0 ≤ x < 2^53: the remainder operator takes ten times as long. The quotient is at most one too
 * large or too small, and all products are exact.
 */
function reduce(x: number): number {
  const rest = x - Math.floor(x * (1 / PRIME)) * PRIME;
  return rest < 0 ? rest + PRIME : rest >= PRIME ? rest - PRIME : rest;
}

function pieceAt(secret: Uint8Array, piece: number): number {
  const at = piece * PIECE_BYTES;
  return (secret[at] ?? 0) + 256 * (secret[at + 1] ?? 0) + 65_536 * (secret[at + 2] ?? 0);
}

/** The newest weights are kept: with everybody's neighbour everybody, all secrets have the same holders. */
let newest: { readonly points: readonly number[]; readonly weights: readonly number[] } = { points: [], weights: [] };

/** Π_{j≠i} x_j / (x_j − x_i) for every i. */
function lagrangeAtZero(points: readonly number[]): readonly number[] {
  if (points.length !== newest.points.length || points.some((at, i) => at !== newest.points[i])) {
    const all = points.reduce((product, at) => reduce(product * at), 1);
    newest = { points, weights: points.map((own) => reduce(all * inverse(ownDifferences(own, points)))) };
  }
  return newest.weights;
}

/** x_i·Π_{j≠i} (x_j − x_i) */
function ownDifferences(own: number, points: readonly number[]): number {
  let product = own;
  for (const other of points) {
    if (other !== own) product = reduce(product * (other < own ? other - own + PRIME : other - own));
  }
  return product;
}

/** a^(p−2) */
function inverse(a: number): number {
  let result = 1;
  let base = a;
  for (let exponent = PRIME - 2; exponent > 0; exponent = Math.floor(exponent / 2)) {
    if (exponent % 2 === 1) result = reduce(result * base);
    base = reduce(base * base);
  }
  return result;
}
