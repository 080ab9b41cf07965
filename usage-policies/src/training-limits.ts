/** What a policy asks of whoever trains under it, for a session to be planned by: nobody has to read ODRL a second time. */
import { compile } from './compile.ts';
import {
  FOEDUS,
  isLogical,
  type Condition,
  type Constraint,
  type Policy,
  type PrivacyUnit,
  type Rule,
} from './model.ts';
import { examine } from './operands/examine.ts';
import { hidesAsMuch } from './operands/session.ts';
import { minimumCohort } from './operands/training.ts';
import type { PolicyOptions } from './options.ts';
import { ANY_ACTION } from './parse-rule.ts';
import { Unreadable } from './policy-error.ts';
import { isKindOf } from './purposes.ts';
import { TRAIN } from './terms.ts';
import { itemsOf } from './values.ts';
import { createVocabulary, type Vocabulary } from './vocabulary.ts';

/** ε at δ. */
export interface PrivacyBudget {
  readonly epsilon: number;
  readonly delta: number;
}

/** What holds for every round and evaluation that a policy permits. null: it says nothing that holds for all of them. */
export interface TrainingLimits {
  /** Whether any of its permissions is for training. */
  readonly permitted: boolean;
  /** Of everything that is released. */
  readonly budget: PrivacyBudget | null;
  /** Of each release. */
  readonly roundBudget: PrivacyBudget | null;
  /** In all. */
  readonly rounds: number | null;
  readonly minimumCohort: number | null;
  /** The only metrics that may be released. null: none is named, and none may be. */
  readonly metrics: readonly string[] | null;
  /** IRIs of which the purpose has to be one, or a kind of one where the policy says so. */
  readonly purposes: readonly string[] | null;
  /** SHA-256 of the one model, hex. */
  readonly modelHash: string | null;
  /** SHA-256 of the one session plan, hex. */
  readonly planHash: string | null;
  readonly secureAggregation: boolean;
  /** What the noise has to hide at least. */
  readonly privacyUnit: PrivacyUnit | null;
  /** What this package cannot check, a sentence each: a node of this version refuses to train under it. */
  readonly problems: readonly string[];
}

const NO_LIMITS: TrainingLimits = {
  permitted: false,
  budget: null,
  roundBudget: null,
  rounds: null,
  minimumCohort: null,
  metrics: null,
  purposes: null,
  modelHash: null,
  planHash: null,
  secureAggregation: false,
  privacyUnit: null,
  problems: [],
};

/**
 * What a permission to train asks for in every case: its constraints that stand alone or in an `and`, never one of
 * several alternatives (`or`, `xone`). Of several permissions to train, any may be the one that counts, so none of them
 * limits anything. The minimum cohort alone is the largest that stands anywhere in the policy: too large a cohort is
 * within every reading of it. Which use is permitted is for `decide` to say; this only tells what is worth asking for.
 *
 * @param options the same that parsePolicy was given
 */
export function trainingLimits(policy: Policy, options: PolicyOptions = {}): TrainingLimits {
  const vocabulary = createVocabulary(options.profiles);
  const compiled = compile(policy, options);
  const training = policy.permissions.flatMap((rule, at) =>
    isForTraining(rule, vocabulary) ? [{ rule, problems: compiled.permissions[at]?.problems ?? [] }] : [],
  );
  const [only] = training;
  const shared: TrainingLimits = {
    ...NO_LIMITS,
    permitted: only !== undefined,
    minimumCohort: largestCohort(policy),
    problems: compiled.problems,
  };
  if (only === undefined || training.length > 1) return shared;
  const { rule, problems } = only;
  return [...rule.constraints, ...rule.actionRefinements]
    .flatMap(standing)
    .reduce<TrainingLimits>((limits, constraint) => narrowed(limits, constraint, rule, vocabulary), {
      ...shared,
      problems: [...new Set([...compiled.problems, ...problems])],
    });
}

function isForTraining({ action }: Rule, { actions }: Vocabulary): boolean {
  const name = action === ANY_ACTION ? ANY_ACTION : actions.resolve(action);
  return name === ANY_ACTION || (name !== undefined && actions.grants(name, TRAIN));
}

/** The constraints that have to hold whatever else does. */
function standing(condition: Condition): Constraint[] {
  if (!isLogical(condition)) return [condition];
  const { logical, operands } = condition;
  return logical === 'and' || logical === 'andSequence' ? operands.flatMap(standing) : [];
}

/** The limits with one more constraint: never wider than before. */
function narrowed(limits: TrainingLimits, constraint: Constraint, rule: Rule, vocabulary: Vocabulary): TrainingLimits {
  const { leftOperand, operator } = constraint;
  const value = examine(constraint, rule, vocabulary).read?.value;
  if (value === undefined) return limits;
  switch (leftOperand) {
    case `${FOEDUS}privacyBudget`:
      return { ...limits, budget: smaller(limits.budget, value as PrivacyBudget) };
    case `${FOEDUS}roundPrivacyBudget`:
      return { ...limits, roundBudget: smaller(limits.roundBudget, value as PrivacyBudget) };
    case `${FOEDUS}rounds`:
      return { ...limits, rounds: Math.min(limits.rounds ?? Number(value), Number(value)) };
    case `${FOEDUS}metrics`:
      return { ...limits, metrics: both(limits.metrics, namesIn(value)) };
    case `${FOEDUS}modelHash`:
      return { ...limits, modelHash: limits.modelHash ?? (value as string) };
    case `${FOEDUS}planHash`:
      return { ...limits, planHash: limits.planHash ?? (value as string) };
    case `${FOEDUS}secureAggregation`:
      return { ...limits, secureAggregation: true };
    case `${FOEDUS}privacyUnit`: {
      const unit = value as PrivacyUnit;
      const { privacyUnit } = limits;
      return { ...limits, privacyUnit: privacyUnit !== null && hidesAsMuch(privacyUnit, unit) ? privacyUnit : unit };
    }
    case 'purpose':
      return NAMING.has(operator) ? { ...limits, purposes: bothKinds(limits.purposes, namesIn(value)) } : limits;
    default:
      return limits;
  }
}

/** Operators that say what a purpose is, not what it is not. */
const NAMING: ReadonlySet<string> = new Set(['eq', 'isA', 'isAnyOf', 'isPartOf']);

const namesIn = (value: unknown): readonly string[] => itemsOf(value).map(String);

/** What is within the smaller ε at the smaller δ is within both: what an account counts by, too. */
function smaller(a: PrivacyBudget | null, b: PrivacyBudget): PrivacyBudget {
  return a === null ? b : { epsilon: Math.min(a.epsilon, b.epsilon), delta: Math.min(a.delta, b.delta) };
}

function both(a: readonly string[] | null, b: readonly string[]): readonly string[] {
  return a === null ? b : a.filter((name) => b.includes(name));
}

/** Purposes of each list that the other allows as well. */
function bothKinds(a: readonly string[] | null, b: readonly string[]): readonly string[] {
  if (a === null) return b;
  const within = (name: string, names: readonly string[]): boolean =>
    names.some((wide) => isKindOf(name, wide) === true);
  return [...new Set([...a.filter((name) => within(name, b)), ...b.filter((name) => within(name, a))])];
}

/** The largest minimum cohort that stands anywhere in a policy, also where it decides nothing. */
function largestCohort(policy: Policy): number | null {
  const found: number[] = [];
  const ofCondition = (condition: Condition): void => {
    if (isLogical(condition)) condition.operands.forEach(ofCondition);
    else if (condition.leftOperand === `${FOEDUS}minimumCohort`) found.push(...cohortIn(condition));
  };
  const ofRule = (rule: Rule): void => {
    [rule.constraints, rule.actionRefinements, rule.targetRefinements, rule.assigneeRefinements]
      .flat()
      .forEach(ofCondition);
    [rule.duties, rule.consequences, rule.remedies].flat().forEach(ofRule);
  };
  [policy.permissions, policy.prohibitions, policy.obligations].flat().forEach(ofRule);
  return found.length === 0 ? null : Math.max(...found);
}

function cohortIn({ operator, rightOperand }: Constraint): number[] {
  if (!minimumCohort.operators.includes(operator)) return [];
  try {
    return [Number(minimumCohort.read(rightOperand, operator, undefined).value)];
  } catch (error) {
    if (error instanceof Unreadable) return [];
    throw error;
  }
}
