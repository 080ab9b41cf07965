/** What an agreement says about the size of a cohort, so that no round begins that its partner must refuse. */

const MINIMUM_COHORT = 'https://w3id.org/foedus/policy#minimumCohort';
const DEEPEST = 64;

/**
 * The partner's own decision point is what enforces its policy; this only reads the same constraint beforehand, wherever
 * in the policy it stands. Of several the largest counts.
 *
 * @param agreement the ODRL agreement
 * @returns null when the agreement says nothing about it
 */
export function minimumCohortOf(agreement: unknown): number | null {
  const found = [...constraintsIn(agreement, 0)];
  return found.length === 0 ? null : Math.max(...found);
}

function* constraintsIn(value: unknown, depth: number): Generator<number> {
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return;
  const { leftOperand, rightOperand } = value as { leftOperand?: unknown; rightOperand?: unknown };
  if (plain(leftOperand) === MINIMUM_COHORT) {
    const least = Number(plain(rightOperand));
    if (Number.isSafeInteger(least) && least > 0) yield least;
  }
  for (const part of Object.values(value)) yield* constraintsIn(part, depth + 1);
}

/** A JSON-LD value or reference without its wrapping. */
function plain(value: unknown): unknown {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (typeof one !== 'object' || one === null) return one;
  const { '@id': id, '@value': literal } = one as { '@id'?: unknown; '@value'?: unknown };
  return id ?? literal;
}
