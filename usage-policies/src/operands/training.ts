/** Our operands about training: privacyBudget, rounds, minimumCohort, metrics, planHash. */
import { z } from 'zod';
import type { UsageRequest, UsageState } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { fromZod } from '../row-filter.ts';
import { TRAIN } from '../terms.ts';
import { itemsOf, onlyItem, readCount, readNumber, readText } from '../values.ts';
import { listed, shown, shownEpsilon, shownEpsilons } from '../wording.ts';
import { HOLDS, fails, spent, unknown, type Operand, type Test, type Verdict } from './operand.ts';

/**
 * How far the sum of charged ε may exceed its limit: adding thousands of floating-point numbers errs by less than
 * this, and nobody's privacy depends on it. It applies to the total, so it does not add up over rounds.
 */
export const EPSILON_TOLERANCE = 1e-9;

type Training = NonNullable<UsageRequest['training']>;

function onTraining(test: (training: Training, state: UsageState) => Verdict) {
  return (request: UsageRequest, state: UsageState): Verdict =>
    request.training === undefined
      ? unknown('The request says nothing about the training.')
      : test(request.training, state);
}

const forTraining = { actions: [TRAIN], rules: ['permission'], wholeRule: true } as const;

const budgetSchema = z.strictObject({ epsilon: z.unknown(), delta: z.unknown() });

/**
 * Total privacy loss (ε, δ) of everything released under the agreement.
 *
 * The ledger adds up ε; a loss stated at δ′ ≤ δ counts, since (ε, δ′)-DP implies (ε, δ)-DP (Dwork and Roth 2014,
 * definition 2.4). A loss at a larger δ says nothing about the budget's δ and is refused. Each round's ε must be what
 * it adds to the composed total (see UsageRequest.training): this test adds, it does not compose.
 */
export const privacyBudget: Operand = {
  ...forTraining,
  operators: ['lteq'],
  read(raw) {
    const parsed = budgetSchema.safeParse(onlyItem(raw));
    if (!parsed.success) throw fromZod(parsed.error, '');
    const epsilon = readNumber(parsed.data.epsilon, '.epsilon');
    const delta = readNumber(parsed.data.delta, '.delta');
    if (epsilon === 0) throw new Unreadable('ε must be greater than 0', '.epsilon');
    if (delta >= 1) throw new Unreadable('δ must be less than 1', '.delta');

    const test = onTraining(({ privacyLoss, evaluation }, state) => {
      const budget = `ε ${shownEpsilon(epsilon)} at δ ${delta}`;
      if (privacyLoss === null) {
        return fails(
          `The agreement sets a privacy budget of ${budget}, and this ${evaluation === true ? 'evaluation is' : 'round is trained'} without noise.`,
        );
      }
      if (!(privacyLoss.delta <= delta)) {
        return fails(`The privacy loss is stated at δ ${privacyLoss.delta}, the agreement counts ${budget}.`);
      }
      if (state.spent.epsilon + privacyLoss.epsilon <= epsilon + EPSILON_TOLERANCE) return HOLDS;
      const [charged, needed, limit] = shownEpsilons(state.spent.epsilon, privacyLoss.epsilon, epsilon);
      return spent(
        `The privacy budget is spent: ε ${charged} of ${limit} is charged, this ${evaluation === true ? 'evaluation' : 'round'} needs ${needed}.`,
      );
    });
    return {
      value: { epsilon, delta },
      words: `a privacy loss of at most ε ${shownEpsilon(epsilon)} at δ ${delta} in all`,
      test,
      limit: { budget: { epsilon, delta } },
    };
  },
};

/** Rounds in all, this one included. An evaluation is none. */
export const rounds: Operand = {
  ...forTraining,
  operators: ['lteq'],
  read(raw, _operator, dataType) {
    const limit = readCount(onlyItem(raw), dataType);
    const test = onTraining(({ evaluation = false }, state) =>
      evaluation || state.spent.rounds + 1 <= limit
        ? HOLDS
        : spent(`The agreed rounds are spent: ${state.spent.rounds} of ${limit} are charged.`),
    );
    return { value: limit, words: `at most ${limit} rounds in all`, test, limit: { rounds: limit } };
  },
};

/** Participants whose updates are summed before anybody sees a sum. Metrics are no updates: `metrics` is about them. */
export const minimumCohort: Operand = {
  ...forTraining,
  operators: ['gteq'],
  read(raw, _operator, dataType) {
    const least = readCount(onlyItem(raw), dataType);
    const test = onTraining(({ cohort, evaluation = false }) =>
      evaluation || cohort >= least
        ? HOLDS
        : fails(`The round has ${cohort} participants; the agreement asks for at least ${least}.`),
    );
    return { value: least, words: `at least ${least} participants in a round`, test };
  },
};

/** Metrics about own rows that may be released. An empty list: none may. */
export const metrics: Operand = {
  ...forTraining,
  operators: ['isPartOf'],
  unordered: true,
  read(raw, _operator, dataType) {
    const granted = [...new Set(itemsOf(raw).map((item) => readText(item, dataType)))];
    const test = onTraining(({ metrics: wanted }) => {
      const refused = wanted.filter((metric) => !granted.includes(metric));
      return refused.length === 0
        ? HOLDS
        : fails(`Metric ${listed(refused)} may not be released: the agreement allows ${listed(granted)}.`);
    });
    return { value: granted, words: `only metrics ${listed(granted)}`, test, namesMetrics: true };
  },
};

/** The test of every permission to train that says nothing of metrics: what is not named is not reported. */
export const noMetricsNamed: Test = ({ training }) =>
  training?.evaluation === true ? fails('The agreement names no metrics that may be released.') : HOLDS;

/** SHA-256 of the one session plan that is agreed. */
export const planHash: Operand = {
  ...forTraining,
  operators: ['eq'],
  read(raw, _operator, dataType) {
    const agreed = readText(onlyItem(raw), dataType);
    if (!/^[0-9a-f]{64}$/.test(agreed)) {
      throw new Unreadable(`${shown(agreed)} is not a SHA-256 hash of 64 lower-case hexadecimal digits`);
    }
    const test = onTraining(({ planHash: stated }) =>
      stated === agreed ? HOLDS : fails(`The session plan is ${shown(stated)}; the agreement is for ${agreed}.`),
    );
    return { value: agreed, words: `only session plan ${agreed}`, test };
  },
};
