/**
 * Who shares masks and secrets with whom. Small cohorts: everybody with everybody (Bonawitz et al. 2017). Large ones: a
 * circle in random order on which everybody is linked to the k/2 next on both sides (Bell et al., "Secure Single-Server
 * Aggregation with (Poly)Logarithmic Overhead", 2020, section 3.1: Harary graph with random relabelling).
 *
 * The order follows from the hash of the roster. A server that invents members could try rosters until it likes the
 * order, so the active-server mode takes the complete graph.
 */
import { hash } from 'node:crypto';

/**
 * @param members indices in the cohort
 * @param degree even k; null for everybody with everybody
 * @param seed the roster's hash
 * @returns every member's neighbours
 */
export function neighboursOf(
  members: readonly number[],
  degree: number | null,
  seed: string,
): ReadonlyMap<number, readonly number[]> {
  const n = members.length;
  if (degree === null || degree >= n - 1) {
    return new Map(members.map((own) => [own, members.filter((other) => other !== own)]));
  }
  const circle = circleOf(members, seed);
  return new Map(circle.map((member, at) => [member, linkedAt(circle, at, degree)]));
}

/** @returns neighboursOf(…).get(own), or nobody when `own` is no member, without everybody else's */
export function neighboursOfOne(
  own: number,
  members: readonly number[],
  degree: number | null,
  seed: string,
): readonly number[] {
  if (!members.includes(own)) return [];
  if (degree === null || degree >= members.length - 1) return members.filter((other) => other !== own);
  const circle = circleOf(members, seed);
  return linkedAt(circle, circle.indexOf(own), degree);
}

function circleOf(members: readonly number[], seed: string): readonly number[] {
  const keyed = members.map((member) => ({ member, key: hash('sha256', `${seed} ${member}`, 'hex') }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ member }) => member);
}

function linkedAt(circle: readonly number[], at: number, degree: number): readonly number[] {
  const n = circle.length;
  const linked: number[] = [];
  for (let step = 1; step <= degree / 2; step++) linked.push(circle[(at + step) % n]!, circle[(at - step + n) % n]!);
  return linked.toSorted((a, b) => a - b);
}

/** `honest-server`: the server follows the protocol but looks. `active-server`: it may do anything. */
export type Mode = 'honest-server' | 'active-server';

/**
 * @param neighbours k; with the member itself k + 1 hold shares of its secrets
 * @returns how many of the k + 1 are needed for either secret: above half, or above two thirds
 */
export const thresholdOf = (neighbours: number, mode: Mode): number =>
  mode === 'honest-server' ? Math.floor((neighbours + 1) / 2) + 1 : Math.floor((2 * (neighbours + 1)) / 3) + 1;

/**
 * The smallest even k for which, with `corrupt` of n members in league with the server and `dropped` of them gone,
 * - somebody has at least the threshold of corrupt neighbours, or the honest survivors are not connected, with
 *   probability at most 2^−securityBits (Bell et al., Definition 3.1, properties 1 and 2), and
 * - somebody keeps fewer than the threshold of neighbours with probability at most 2^−failureBits (property 3).
 *
 * @returns null when only the complete graph will do
 */
export function chooseDegree(options: {
  readonly members: number;
  readonly corrupt: number;
  readonly dropped: number;
  /** @default 40 */
  readonly securityBits?: number;
  /** @default 20 */
  readonly failureBits?: number;
}): number | null {
  const { members: n, corrupt, dropped, securityBits = 40, failureBits = 20 } = options;
  for (let k = 4; k < n - 1; k += 2) {
    const threshold = thresholdOf(k, 'honest-server');
    // A circulant graph falls apart only where k/2 neighbours in a row are missing.
    let gap = n;
    for (let i = 0; i < k / 2; i++) gap *= Math.max(0, corrupt + dropped - i) / (n - i);
    const exposed = n * hypergeometricTail(n - 1, corrupt, k, threshold);
    const stuck = n * hypergeometricTail(n - 1, dropped, k, k - threshold + 1);
    if (gap + exposed <= 2 ** -securityBits && stuck <= 2 ** -failureBits) return k;
  }
  return null;
}

/** @returns P[at least `least` of `draws` without replacement from n, of which `marked` are marked] */
function hypergeometricTail(n: number, marked: number, draws: number, least: number): number {
  let sum = 0;
  for (let hits = Math.max(least, draws - (n - marked)); hits <= Math.min(draws, marked); hits++) {
    sum += Math.exp(logChoose(marked, hits) + logChoose(n - marked, draws - hits) - logChoose(n, draws));
  }
  return sum;
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

const logFactorials = [0];

/** ln n!, remembered: choosing a degree asks for some hundred thousand. */
function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1]! + Math.log(i));
  return logFactorials[n]!;
}
