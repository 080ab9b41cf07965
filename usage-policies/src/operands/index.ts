import { FOEDUS } from '../model.ts';
import { columns, masks, rowFilter } from './cut.ts';
import { count, dateTime, purpose } from './odrl.ts';
import type { Operand } from './operand.ts';
import { metrics, minimumCohort, planHash, privacyBudget, rounds } from './training.ts';

/** Every operand that this package decides on, by its normalised name. */
export const OPERANDS: ReadonlyMap<string, Operand> = new Map([
  ['purpose', purpose],
  ['dateTime', dateTime],
  ['count', count],
  [`${FOEDUS}columns`, columns],
  [`${FOEDUS}rowFilter`, rowFilter],
  [`${FOEDUS}masks`, masks],
  [`${FOEDUS}privacyBudget`, privacyBudget],
  [`${FOEDUS}rounds`, rounds],
  [`${FOEDUS}minimumCohort`, minimumCohort],
  [`${FOEDUS}metrics`, metrics],
  [`${FOEDUS}planHash`, planHash],
]);
