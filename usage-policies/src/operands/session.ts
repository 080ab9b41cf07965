/** Our operands about how a session trains: roundPrivacyBudget, modelHash, secureAggregation. */
import { Unreadable } from '../policy-error.ts';
import { TRAIN } from '../terms.ts';
import { onlyItem, readText } from '../values.ts';
import { shown, shownEpsilon } from '../wording.ts';
import { HOLDS, fails, unknown, type Operand, type Test } from './operand.ts';
import { privacyBudget } from './training.ts';

const forTraining = { actions: [TRAIN], rules: ['permission'], wholeRule: true } as const;

/** Privacy loss (ε, δ) of each single release: of a round, or of an evaluation; whatever is left of the budget in all. */
export const roundPrivacyBudget: Operand = {
  ...forTraining,
  operators: ['lteq'],
  read(raw, operator, dataType) {
    const { value } = privacyBudget.read(raw, operator, dataType);
    const { epsilon, delta } = value as { epsilon: number; delta: number };
    const budget = `ε ${shownEpsilon(epsilon)} at δ ${delta}`;
    const test: Test = ({ training }) => {
      if (training === undefined) return unknown('The request says nothing about the training.');
      const { privacyLoss } = training;
      if (privacyLoss === null) {
        return fails(`The agreement limits each round to ${budget}, and this round is trained without noise.`);
      }
      if (privacyLoss.epsilon <= epsilon && privacyLoss.delta <= delta) return HOLDS;
      return fails(
        `This round loses ε ${shownEpsilon(privacyLoss.epsilon)} at δ ${privacyLoss.delta}; the agreement limits each round to ${budget}.`,
      );
    };
    return { value, words: `a privacy loss of at most ${budget} in each round`, test };
  },
};

/** SHA-256 of the one model that may be trained. */
export const modelHash: Operand = {
  ...forTraining,
  operators: ['eq'],
  read(raw, _operator, dataType) {
    const agreed = readText(onlyItem(raw), dataType);
    if (!/^[0-9a-f]{64}$/.test(agreed)) {
      throw new Unreadable(`${shown(agreed)} is not a SHA-256 hash of 64 lower-case hexadecimal digits`);
    }
    const test: Test = ({ training }) => {
      const stated = training?.modelHash;
      if (stated === undefined) return unknown('The request does not say which model is trained.');
      return stated === agreed ? HOLDS : fails(`The model is ${shown(stated)}; the agreement is for ${agreed}.`);
    };
    return { value: agreed, words: `only model ${agreed}`, test };
  },
};

const REQUIRED = 'required';

/** Updates are summed under masks, so that nobody sees a single one. The only value is `required`. */
export const secureAggregation: Operand = {
  ...forTraining,
  operators: ['eq'],
  read(raw, _operator, dataType) {
    const wanted = readText(onlyItem(raw), dataType);
    if (wanted !== REQUIRED) throw new Unreadable(`${shown(wanted)} is not "${REQUIRED}", the only value there is`);
    const test: Test = ({ training }) => {
      const stated = training?.secureAggregation;
      if (stated === undefined) return unknown('The request does not say whether updates are aggregated securely.');
      return stated ? HOLDS : fails('The agreement asks for secure aggregation, and this round has none.');
    };
    return { value: REQUIRED, words: 'only with secure aggregation', test };
  },
};
