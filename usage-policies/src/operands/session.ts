/** Our operands about how a session trains: roundPrivacyBudget, modelHash, secureAggregation, privacyUnit. */
import type { PrivacyUnit } from '../model.ts';
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

/** From the weaker to the stronger: what hides an organisation hides each of its rows. */
export const PRIVACY_UNITS = ['record', 'organisation'] as const satisfies readonly PrivacyUnit[];

/** Whether hiding one unit hides the other too. */
export function hidesAsMuch(given: PrivacyUnit, wanted: PrivacyUnit): boolean {
  return PRIVACY_UNITS.indexOf(given) >= PRIVACY_UNITS.indexOf(wanted);
}

const HIDDEN: Readonly<Record<PrivacyUnit, string>> = { record: 'single rows', organisation: 'whole organisations' };

/** What the noise of every release hides at least: a row, or all that one organisation has. */
export const privacyUnit: Operand = {
  ...forTraining,
  operators: ['gteq'],
  read(raw, _operator, dataType) {
    const text = readText(onlyItem(raw), dataType);
    const wanted = PRIVACY_UNITS.find((unit) => unit === text);
    if (wanted === undefined) throw new Unreadable(`${shown(text)} is none of ${PRIVACY_UNITS.join(', ')}`);
    const hidden = HIDDEN[wanted];
    const test: Test = ({ training }) => {
      if (training === undefined) return unknown('The request says nothing about the training.');
      const { privacyUnit: stated, privacyLoss, evaluation = false } = training;
      const what = evaluation ? 'evaluation' : 'round';
      if (privacyLoss === null || stated === null) {
        return fails(`The agreement asks for noise that hides ${hidden}, and this ${what} has none.`);
      }
      if (stated === undefined) return unknown('The request does not say what the noise hides.');
      if (hidesAsMuch(stated, wanted)) return HOLDS;
      return fails(`The noise of this ${what} hides ${HIDDEN[stated]}; the agreement asks for it to hide ${hidden}.`);
    };
    return { value: wanted, words: `only with noise that hides ${hidden}`, test };
  },
};
