/** What an agreement says about training, read beforehand, so that no session is planned that its partner must refuse. */
import { type ContractLimits, NO_LIMITS } from '@foedus/fl-core';
import { minimumCohortOf } from './minimum-cohort.ts';

const FOEDUS = 'https://w3id.org/foedus/policy#';
const TRAIN = `${FOEDUS}train`;

/**
 * The partner's own decision point is what enforces its policy. This reads what its permission to train asks for in every
 * case (constraints that stand alone, not alternatives) and knows how to check; of several permissions to train, any may
 * be the one that counts, so nothing of them is read but the minimum cohort.
 *
 * @param agreement the ODRL agreement
 */
export function contractLimitsOf(agreement: unknown): ContractLimits {
  const minimumCohort = minimumCohortOf(agreement);
  const permissions = listOf(propertyOf(agreement, 'permission')).filter(
    (rule) => textOf(propertyOf(rule, 'action')) === TRAIN,
  );
  const [permission] = permissions;
  if (permissions.length !== 1) return { ...NO_LIMITS, minimumCohort };
  const limits: { -readonly [Key in keyof ContractLimits]: ContractLimits[Key] } = { ...NO_LIMITS, minimumCohort };
  for (const constraint of listOf(propertyOf(permission, 'constraint'))) {
    const operand = textOf(propertyOf(constraint, 'leftOperand'));
    const right = propertyOf(constraint, 'rightOperand');
    if (operand === `${FOEDUS}privacyBudget`) limits.budget = smaller(limits.budget, budgetOf(right));
    else if (operand === `${FOEDUS}roundPrivacyBudget`)
      limits.roundBudget = smaller(limits.roundBudget, budgetOf(right));
    else if (operand === `${FOEDUS}rounds`) limits.rounds = least(limits.rounds, numberOf(right));
    else if (operand === `${FOEDUS}metrics`) limits.metrics = textsOf(right);
    else if (operand === `${FOEDUS}modelHash`) limits.modelHash = textOf(right) ?? null;
    else if (operand === `${FOEDUS}secureAggregation`) limits.secureAggregation = true;
    else if (operand === 'purpose') limits.purposes = textsOf(right);
  }
  return limits;
}

type Budget = NonNullable<ContractLimits['budget']>;

function budgetOf(value: unknown): Budget | null {
  const epsilon = numberOf(propertyOf(plain(value), 'epsilon'));
  const delta = numberOf(propertyOf(plain(value), 'delta'));
  return epsilon === null || delta === null || !(epsilon > 0 && delta > 0 && delta < 1) ? null : { epsilon, delta };
}

/** Of two budgets at one δ the smaller; at different ones the first, since they cannot be compared. */
function smaller(a: Budget | null, b: Budget | null): Budget | null {
  if (a === null || b === null) return a ?? b;
  return a.delta === b.delta && b.epsilon < a.epsilon ? b : a;
}

const least = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];

function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name || key === `odrl:${name}`)?.[1];
}

/** A JSON-LD value or reference without its wrapping. */
function plain(value: unknown): unknown {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (typeof one !== 'object' || one === null) return one;
  const { '@id': id, '@value': literal } = one as { '@id'?: unknown; '@value'?: unknown };
  return id ?? literal ?? one;
}

function textOf(value: unknown): string | undefined {
  const one = plain(value);
  return typeof one === 'string' ? one.replace(/^odrl:/, '') : undefined;
}

const textsOf = (value: unknown): string[] => listOf(value).flatMap((one) => textOf(one) ?? []);

function numberOf(value: unknown): number | null {
  const one = plain(value);
  const number = typeof one === 'number' ? one : typeof one === 'string' && one !== '' ? Number(one) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}
